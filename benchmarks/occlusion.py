"""How well the guess sees what lies in front of a face: things drawn over the two sample photos, and free skin."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..pipelines.face import Face, Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.build import build_identity
from ..pipelines.identity.identity import Identity
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from ..pipelines.stitch import stitch_faces
from ..pipelines.stitch.guess import guess_hidden
from ..pipelines.stitch.occlusion import Occluder, hidden_masks
from ..pipelines.stitch.regions import face_masks
from ..pipelines.swap import SWAPPERS, SwapOptions, Swapper, swap_faces
from ..pipelines.swap.occluders import GUESS
from .figure import Figure
from .occluders import with_occluder
from .pictures import read_picture
from .swap_quality import SAMPLES
from .threads import torch_threads

GUESSED = Occluder(GUESS, "", guess_hidden)

#: Least mean overlap (intersection over union) for each thing; thin ones are two pixels wide in the guess's crop.
LEAST = {
    "hand": 0.89,
    "hand from the right": 0.86,
    "hand from below": 0.88,
    "hand over the eye": 0.86,
    "hair": 0.8,
    "bar": 0.85,
    "microphone": 0.92,
    "glasses": 0.87,
}

#: Most of a drawn thing's pixels in front of the face that a swap may change by more than `SEEN`.
MOST_CHANGED = 0.03
SEEN = 0.1

#: Most of the free skin of cheeks, nose, mouth and chin that may be taken for hidden, mean over photos and tones.
MOST_KEPT = 0.015

#: Factors of red, green and blue that make darker skin of a photo, and the part of the way to white of paler skin.
TONES: dict[str, tuple[tuple[float, float, float], float]] = {
    "as it is": ((1.0, 1.0, 1.0), 0.0),
    "brown": ((0.68, 0.56, 0.47), 0.0),
    "dark": ((0.5, 0.4, 0.34), 0.0),
    "darkest": ((0.3, 0.22, 0.18), 0.01),
    "pale": ((0.75, 0.72, 0.72), 0.25),
}


@torch_threads(1)
def measure() -> list[Figure]:
    """What is seen of drawn things, what a swap leaves of them, and how much free skin is taken for hidden."""
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    pictures = [read_picture(SAMPLES / name) for name in ("astronaut.png", "grace_hopper.jpg")]
    pairs = [(picture, analysis.detect(picture).frames[0][0]) for picture in pictures]
    people = [build_identity(analysis, [picture], "", "")[0] for picture in pictures]
    swapper = SWAPPERS[0].load(registry)
    figures: list[Figure] = []
    for name, least in LEAST.items():
        seen_well = float(np.mean([overlap(analysis, *pair, name) for pair in pairs]))
        figures.append(Figure(f"overlap of {name} seen with {name} drawn", seen_well, least, at_most=False))
        over = [changed_of(analysis, swapper, *pair, who, name) for pair, who in zip(pairs, people[::-1], strict=True)]
        figures.append(Figure(f"share of a drawn {name} that a swap changes", max(over), MOST_CHANGED))
    kept = [kept_skin(*pair, tone) for pair in pairs for tone in TONES]
    figures.append(Figure("free skin taken for hidden, over photos and tones", float(np.mean(kept)), MOST_KEPT))
    return figures


def changed_of(
    analysis: FaceAnalysis, swapper: Swapper, picture: Tensor, face: Face, identity: Identity, name: str
) -> float:
    """Share of a drawn thing's pixels in front of the face that the swap changes by more than `SEEN`."""
    covered, truth = with_occluder(picture, face, name)
    behind = analysis.detect(covered).frames[0][0]
    crops = swap_faces(swapper, covered, [(0, behind, identity)], SwapOptions(occluder=GUESSED))
    changed = (stitch_faces(covered, crops)[0] - covered)[0].abs().amax(-1) > SEEN
    drawn = (truth > 0.99) & (face_masks(_one(behind, picture), feather=0.0)[0] > 0.5)
    return float((changed & drawn).sum() / drawn.sum().clamp(min=1))


def kept_skin(picture: Tensor, face: Face, tone: str) -> float:
    """Mean of what is seen in front of free cheeks, nose, mouth and chin of a photo in one of `TONES`."""
    factors, lift = TONES[tone]
    toned = picture * torch.tensor(factors) + lift
    faces = _one(face, toned)
    # a fringe and glasses are in front, the rest of these photos is free
    own = face_masks(faces, ("forehead", "brows", "eye_area"), grow=0.04, feather=0.0)[0] > 0.5
    free = (face_masks(faces, feather=0.0)[0] > 0.5) & ~own
    return float(seen(toned, face)[free].mean())


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
    return hidden_masks(GUESSED, picture, _one(face, picture))[0]


def _one(face: Face, picture: Tensor) -> Faces:
    return Faces(((face,),), picture.shape[1], picture.shape[2])
