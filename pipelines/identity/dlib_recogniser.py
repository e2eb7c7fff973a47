"""The 128-d recogniser that arrives with the pack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray
from ..geometry.transforms import Matrix, rotation_scale, similarity
from ..geometry.warp import crop_pictures
from ..registry import Registry
from .embedded_network import EmbeddedNetwork
from .net_dlib import INPUT_SIZE, IdentityNetwork

#: Mesh points that stand for dlib's five: corners of both eyes (person's left eye first) and the base of the nose.
CHIP_POINTS = (263, 362, 33, 133, 2)
#: Where dlib's average face has them, in units of its box.
MEAN_FACE = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
PADDING = 0.25
#: Distance at which two faces are as likely of one person as of two, and how steeply that changes.
EVEN_DISTANCE, STEEPNESS = 0.56, 18.0


class DlibRecogniser:
    """Vectors of 128 numbers, compared by their Euclidean distance; below 0.55 it is most likely one person."""

    name = "dlib_resnet_128"
    licence = "CC0-1.0"
    commercial_use = True
    dimension = 128

    def __init__(self, registry: Registry) -> None:
        self._network = EmbeddedNetwork(registry, "dlib_resnet_128", IdentityNetwork)

    def embed(self, images: Tensor, faces: Sequence[tuple[int, Face]]) -> FloatArray:
        """Raw vectors (N, 128), of length about 1.4.

        images: (B, H, W, 3) in [0, 1]. faces: (index of the picture, face); all go through the network in one call.
        Raises InputError for a face without dense landmarks.
        """
        if not faces:
            return np.zeros((0, self.dimension), np.float32)
        chips = [chip_from_image(face) for _, face in faces]
        frame = tuple(index for index, _ in faces)
        return self.embed_chips(crop_pictures(images[..., :3], frame, np.stack(chips), (INPUT_SIZE, INPUT_SIZE)))

    def embed_chips(self, chips: Tensor) -> FloatArray:
        """Raw vectors (N, 128) of faces that are aligned already: (N, 150, 150, 3) in [0, 1], as dlib makes them."""
        (vectors,) = self._network(chips)
        return vectors.numpy()

    def distance(self, a: FloatArray, b: FloatArray) -> float:
        """Euclidean distance of two raw vectors (128,)."""
        return float(np.linalg.norm(a.astype(np.float64) - b.astype(np.float64)))

    def probability(self, distance: float) -> float:
        """sigmoid((0.56 - distance) * 18)."""
        return float(1.0 / (1.0 + np.exp(-(EVEN_DISTANCE - distance) * STEEPNESS)))


def chip_from_image(face: Face) -> Matrix:
    """`crop_from_image` (2, 3) of dlib's aligned face, 150 px a side with a quarter of the face's size around it.

    Concretely the similarity of the five points to the mean face, enlarged about its middle so that the 149 steps
    between the chip's pixels span one picture pixel less than the box, as dlib counts. Raises InputError without dense
    landmarks.
    """
    if face.landmarks is None:
        raise InputError(
            "The embedded recogniser needs dense landmarks (468 or 478 points) and this face has only five: "
            "find it with Detect Faces, or use the insightface analysis."
        )
    template = (MEAN_FACE + PADDING) / (1 + 2 * PADDING) * INPUT_SIZE
    matrix = similarity(template, face.landmarks[list(CHIP_POINTS), :2])
    _, scale = rotation_scale(matrix)
    enlarged = (INPUT_SIZE - 1) / max(INPUT_SIZE - scale, 1.0)
    matrix *= enlarged
    matrix[:, 2] += (INPUT_SIZE - 1) / 2 - enlarged * INPUT_SIZE / 2
    return matrix
