"""How well the guess sees what lies in front of a face: things drawn over the two sample photos."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..pipelines.face import Face, Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from ..pipelines.stitch.occlusion import Occluder, guess_hidden, hidden_masks
from ..pipelines.stitch.regions import face_masks
from ..pipelines.swap.occluders import GUESS
from .figure import Figure
from .occluders import OCCLUDERS, with_occluder
from .pictures import read_picture
from .swap_quality import SAMPLES
from .threads import torch_threads

#: Least mean overlap (intersection over union) for each thing; thin ones are a pixel wide in the guess's crop.
LEAST = {"hand": 0.65, "hair": 0.55, "bar": 0.4, "microphone": 0.7, "glasses": 0.4}


@torch_threads(1)
def measure() -> list[Figure]:
    """Overlap of what is seen with what was drawn, inside the face, over both photos."""
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    pictures = [read_picture(SAMPLES / name) for name in ("astronaut.png", "grace_hopper.jpg")]
    faces = [analysis.detect(picture).frames[0][0] for picture in pictures]
    return [
        Figure(
            f"overlap of {name} seen with {name} drawn",
            float(np.mean([overlap(analysis, *pair, name) for pair in zip(pictures, faces, strict=True)])),
            LEAST[name],
            at_most=False,
        )
        for name in OCCLUDERS
    ]


def overlap(analysis: FaceAnalysis, picture: Tensor, face: Face, name: str) -> float:
    """Intersection over union inside the face as it is found behind the thing; 0 when no face is found.

    What the photo itself has in front (a fringe, glasses) is not counted.
    """
    covered, truth = with_occluder(picture, face, name)
    found = analysis.detect(covered)
    if not found.frames[0]:
        return 0.0
    own = seen(picture, face) > 0.2
    behind = found.frames[0][0]
    inside = (face_masks(_one(behind, picture), feather=0.0)[0] > 0.5) & ~own
    guessed, drawn = (seen(covered, behind) > 0.5) & inside, (truth > 0.5) & inside
    return float((guessed & drawn).sum() / (guessed | drawn).sum().clamp(min=1))


def seen(picture: Tensor, face: Face) -> Tensor:
    """(H, W): what the guess sees in front of a face."""
    return hidden_masks(Occluder(GUESS, "", guess_hidden), picture, _one(face, picture))[0]


def _one(face: Face, picture: Tensor) -> Faces:
    return Faces(((face,),), picture.shape[1], picture.shape[2])
