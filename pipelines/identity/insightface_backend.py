"""Face analysis by the models of insightface's packs, with the dense mesh of the embedded landmarker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray, as_float_array
from ..geometry.templates import crop_from_image
from ..geometry.warp import crop_pictures
from ..registry import Registry
from .analysis import Candidate, FaceAnalysis, Landmarker, load_embedded_analysis
from .insightface_sessions import RegistrySession, insightface_class

#: "arc2face" is antelopev2 with the recogniser that Arc2Face was trained on.
Pack = Literal["antelopev2", "buffalo_l", "arc2face"]

LICENCE = "InsightFace weights: non-commercial research only"
ARC2FACE_LICENCE = "Arc2Face weights: trained on WebFace42M, research only"

#: Pack -> (name, weights id, licence of the recogniser). The other networks are the same in all packs.
_RECOGNISERS: dict[Pack, tuple[str, str, str]] = {
    "antelopev2": ("arcface_glintr100", "insightface_glintr100", LICENCE),
    "buffalo_l": ("arcface_w600k_r50", "insightface_w600k_r50", LICENCE),
    "arc2face": ("arcface_arc2face", "arc2face_arcface", ARC2FACE_LICENCE),
}
_DETECTOR, _LANDMARKS_68, _LANDMARKS_106 = "insightface_scrfd_10g", "insightface_1k3d68", "insightface_2d106det"

#: Sides of the squares a picture is shown in to the detector: faces that fill the picture are found in the small one.
_DETECTOR_SIDES: tuple[int, ...] = (256, 640)
_LARGE_SIDE, _LARGE_PICTURE_PX = 1280, 1600

#: Candidates below this score are not passed on; `FaceAnalysis.detect` applies the threshold the user asked for.
_LOWEST_SCORE = 0.1

#: Distance at which same and other person are equally likely, and how fast that turns (see `probability`).
_HALF_DISTANCE, _STEEPNESS = 0.70, 25.0

_CROP_SIZE, _BATCH = 112, 64


class ScrfdDetector:
    """SCRFD 10G with five points (Guo et al. 2021, arXiv 2105.04714), run by insightface's class."""

    def __init__(self, registry: Registry) -> None:
        session = RegistrySession(registry, _DETECTOR)
        session.expect((1, 3, None, None), outputs=9)
        # without the file's name, insightface keeps to this session instead of opening one per size
        self._model = insightface_class("model_zoo.scrfd", "SCRFD")(session=session)

    def candidates(self, images: Tensor, min_size_px: int = 0) -> list[Candidate]:
        """See `Detector.candidates`. The network sees each picture at two or three sizes, one picture at a time."""
        found: list[Candidate] = []
        for index, image in enumerate(images):
            boxes, points = self._detect(as_bgr(image), min_size_px)
            for box, five in zip(boxes, points, strict=True):
                box, five = as_float_array(box), as_float_array(five)
                found.append(Candidate(index, box[:4], float(box[4]), five[:2], five))
        return found

    def _detect(self, bgr: NDArray[np.uint8], min_size_px: int) -> tuple[Any, Any]:
        sides = list(_DETECTOR_SIDES)
        longest = max(bgr.shape[:2])
        # SCRFD finds faces from about 16 px on; larger squares are for small faces in large pictures only
        if longest >= _LARGE_PICTURE_PX and min_size_px < 16 * longest / sides[-1]:
            sides.append(_LARGE_SIDE)
        return self._model.detect(bgr, input_size=[(side, side) for side in sides], det_thresh=_LOWEST_SCORE)


class MeshOnFivePoints:
    """The embedded landmarker's mesh and blendshapes on faces whose box, score and five points SCRFD gives.

    The recognisers were trained on crops aligned to such points, so these stay `Face.landmarks5`.
    """

    def __init__(self, mesh: Landmarker) -> None:
        self._mesh = mesh

    def landmark(self, images: Tensor, candidates: Sequence[Candidate]) -> list[Face]:
        """See `Landmarker.landmark`."""
        faces = self._mesh.landmark(images, candidates)
        return [_with_own_points(face, candidate) for face, candidate in zip(faces, candidates, strict=True)]

    def follow(self, images: Tensor, faces: Sequence[tuple[int, Face]], blendshapes: bool = True) -> list[Face]:
        """See `Landmarker.follow`; SCRFD does not follow, its points and boxes move along with the mesh."""
        return self._mesh.follow(images, faces, blendshapes)


def _with_own_points(face: Face, candidate: Candidate) -> Face:
    if candidate.landmarks5 is None:
        return face
    return replace(face, bbox_xyxy=candidate.bbox_xyxy, score=candidate.score, landmarks5=candidate.landmarks5)


class ArcFaceRecogniser:
    """A 512-d ArcFace network (Deng et al. 2019, arXiv 1801.07698), run by insightface's class.

    Input is the 112 px crop of the template "arcface_112", RGB, (x - 127.5) / 127.5 of 0 to 255; what lies outside
    the picture is black. Pictures much larger than the crop are reduced by area first, so that a close-up is not
    sampled at single pixels; up to twice the crop's scale this is what insightface does.
    """

    commercial_use = False
    dimension = 512

    def __init__(self, registry: Registry, name: str, weights_id: str, licence: str = LICENCE) -> None:
        self.name = name
        self.licence = licence
        session = RegistrySession(registry, weights_id)
        session.expect((None, 3, _CROP_SIZE, _CROP_SIZE), outputs=1, width=self.dimension)
        self._model = insightface_class("model_zoo.arcface_onnx", "ArcFaceONNX")(str(session.path), session)
        fixed = self._model.input_shape[0]
        self._batch = min(fixed, _BATCH) if isinstance(fixed, int) else _BATCH

    def embed(self, images: Tensor, faces: Sequence[tuple[int, Face]]) -> FloatArray:
        """See `Recogniser.embed`; up to 64 faces go through the network in one call."""
        if not faces:
            return np.zeros((0, self.dimension), np.float32)
        frames = tuple(index for index, _ in faces)
        matrices = np.stack([crop_from_image(face, "arcface_112", _CROP_SIZE) for _, face in faces])
        crops = crop_pictures(images[..., :3], frames, matrices, (_CROP_SIZE, _CROP_SIZE))
        pixels = (crops.clamp(0, 1) * 255).permute(0, 3, 1, 2).cpu().numpy().astype(np.float32)
        parts = [self._model.forward(pixels[at : at + self._batch]) for at in range(0, len(pixels), self._batch)]
        raw = as_float_array(np.concatenate(parts))
        if not np.isfinite(raw).all():
            raise InputError(f"{self.name} gave vectors that are not finite: are there NaN pixels in the picture?")
        return raw

    def distance(self, a: FloatArray, b: FloatArray) -> float:
        """In [0, 2]: concretely 1 - cosine of the two vectors."""
        first, second = a.astype(np.float64), b.astype(np.float64)
        lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
        return 1.0 - float(first @ second) / max(lengths, 1e-12)

    def probability(self, distance: float) -> float:
        """Concretely sigmoid((0.70 - distance) x 25).

        An assumption, not a fit: accepted cosines in published verification with these networks lie between 0.2 (one
        false match in about a thousand) and 0.4 (what insightface itself accepts from on), so half is put at 0.3, and
        the slope gives 8 % and 92 % at the two ends.
        """
        return float(1 / (1 + np.exp(np.clip((distance - _HALF_DISTANCE) * _STEEPNESS, -60, 60))))


def load_insightface_analysis(registry: Registry, pack: Pack) -> FaceAnalysis:
    """The analysis of one of insightface's packs, with the dense mesh and blendshapes of the embedded landmarker.

    pack: "antelopev2", "buffalo_l" or "arc2face". Its files are found wherever `weights.places` looks, the doubled
    folder of the zip included. Raises MissingPackageError without insightface 2.1, MissingWeightsError,
    WrongWeightsError, InputError for another pack.
    """
    if pack not in _RECOGNISERS:
        raise InputError(f"There is no pack {pack!r} of insightface here; there are {', '.join(_RECOGNISERS)}.")
    name, weights_id, licence = _RECOGNISERS[pack]
    insightface_class("model_zoo.scrfd", "SCRFD")  # a missing package is told before files are read
    recogniser = ArcFaceRecogniser(registry, name, weights_id, licence)
    mesh = MeshOnFivePoints(load_embedded_analysis(registry).landmarker)
    return FaceAnalysis(pack, ScrfdDetector(registry), mesh, recogniser)


@dataclass(frozen=True, eq=False)
class SparseLandmarks:
    """Landmarks of one face in insightface's own layout.

    points: (68, 3) px with depth, order of the 300-W annotation, or (106, 2) px. rotation_rad: pitch, yaw, roll, with
    68 points only.
    """

    points: FloatArray
    rotation_rad: FloatArray | None = None


class SparseLandmarker:
    """The 68 point (3-D, with head pose) or 106 point network of the packs, run by insightface's class."""

    def __init__(self, registry: Registry, points: Literal[68, 106]) -> None:
        weights_id, width = (_LANDMARKS_68, 3309) if points == 68 else (_LANDMARKS_106, 212)
        session = RegistrySession(registry, weights_id)
        session.expect((None, 3, 192, 192), outputs=1, width=width)
        self._model = insightface_class("model_zoo.landmark", "Landmark")(str(session.path), session)

    def locate(self, images: Tensor, faces: Sequence[tuple[int, Face]]) -> list[SparseLandmarks]:
        """Landmarks of faces given as (index of the picture in `images` (B, H, W, 3), face), in that order."""
        container = insightface_class("app.common", "Face")
        found: list[SparseLandmarks] = []
        pictures: dict[int, NDArray[np.uint8]] = {}
        for index, face in faces:
            if index not in pictures:
                pictures[index] = as_bgr(images[index])
            carrier = container(bbox=face.bbox_xyxy)
            points = as_float_array(self._model.get(pictures[index], carrier))
            pose = carrier.get("pose")
            found.append(SparseLandmarks(points, None if pose is None else as_float_array(np.radians(pose))))
        return found


def as_bgr(image: Tensor) -> NDArray[np.uint8]:
    """A picture (H, W, 3) in [0, 1] as insightface takes it: BGR, 8 bit, contiguous."""
    pixels = (image[..., :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return np.ascontiguousarray(pixels[..., ::-1])
