"""What a family needs to know of a person, taken from an identity: vectors, and what vision towers see.

A family says what it needs (`Family.vector`, `Family.vision`); a host gives the towers it has in `Sources`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import EncoderMismatchError, InputError, MissingWeightsError
from ..identity.analysis import FaceAnalysis
from ..identity.face_parts import realigned
from ..identity.identity import Identity, ensure_encoded
from ..identity.parsing import FaceParser, present_parser
from ..registry import Registry
from .checkpoint import Checkpoint, read_checkpoint
from .encoders.e4e import build_e4e
from .encoders.eva02 import build_eva02_from
from .encoders.transface import build_transface
from .family import Family, Features, VectorNeed, VisionNeed
from .kept_parts import kept_parts
from .pictures import RECIPES, blank_pixels, prepare
from .pulid import join_vectors

#: Recogniser → (the choice in Load Face Analysis that has it, its licence).
RECOGNISERS: dict[str, tuple[str, str]] = {
    "arcface_glintr100": ("antelopev2", "InsightFace weights: non-commercial research only"),
    "arcface_w600k_r50": ("buffalo_l", "InsightFace weights: non-commercial research only"),
    "arcface_arc2face": ("arc2face", "Arc2Face's arcface.onnx, trained on WebFace42M: non-commercial research only"),
}
EVA02 = "eva02_clip_l_336"
#: Name in `VisionNeed.tower` → (id of its file, what makes a network of it that gives tokens).
OWN_TOWERS: dict[str, tuple[str, Callable[[Checkpoint], nn.Module]]] = {
    "transface_s": ("transface_s", build_transface),
    "e4e_ffhq": ("e4e_ffhq_encode", build_e4e),
}


@dataclass(frozen=True)
class TowerKind:
    """A vision tower that the host gives. width, patches: of its hidden states, class token counted."""

    title: str
    file: str
    width: int
    patches: int


#: By the name in `VisionNeed.tower`.
HOST_TOWERS = {
    "clip_vit_h": TowerKind("CLIP ViT-H/14", "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors", 1280, 257),
    "clip_vit_l": TowerKind("CLIP ViT-L/14", "clip-vit-large-patch14.safetensors", 1024, 257),
}


@dataclass(frozen=True, eq=False)
class Seen:
    """What a tower sees in N pictures: hidden states before the last block and after it (N, n, c)."""

    penultimate: Tensor
    last: Tensor


class Tower(Protocol):
    """A vision tower of the host."""

    def __call__(self, pixels: Tensor) -> Seen:
        """pixels: (N, 3, S, S), normalised as the family asks."""
        ...


@dataclass(frozen=True, eq=False)
class Sources:
    """Where features come from, besides the identity.

    registry: has the towers that the pack runs itself. tower: of the host, or None. analysis: encodes people anew who
    lack the vector. kept: (R, 512, 512) or (1, 512, 512) in [0, 1], face and hair in the reference pictures. given:
    (R, n, c) or (R, c), what an encoder saw that the pack does not run. parser: tells parts of the pictures apart
    where no mask is given; None is the one whose file is present, or an outline from landmarks.
    """

    registry: Registry
    tower: Tower | None = None
    analysis: FaceAnalysis | None = None
    kept: Tensor | None = None
    given: Tensor | None = None
    parser: FaceParser | None = None


def person_features(family: Family, identity: Identity, sources: Sources) -> tuple[Features, str]:
    """Everything a family needs to know of a person, and a text that says where it came from.

    Raises EncoderMismatchError for a missing vector, MissingWeightsError for a missing tower, InputError for a tower
    or a mask that does not fit.
    """
    said: list[str] = []
    vectors = None
    if family.vector is not None:
        vectors = torch.from_numpy(person_vectors(family.vector, family.title, identity, sources.analysis))
        said.append(f"{'unit' if family.vector.unit else 'raw'} vector of {family.vector.recogniser}")
    weights = torch.from_numpy(identity.weights)
    need = family.vision
    if need is None:
        return Features(vectors, weights=weights), ", ".join(said)
    if need.tower == EVA02:
        features, text = _eva02(need, identity, sources, vectors, weights)
    elif need.tower == "own":
        pixels, text = _pixels(need, identity, sources)
        features = Features(vectors, vision=pixels, weights=weights)
    elif need.tower in HOST_TOWERS:
        features, text = _host(family, need, identity, sources, vectors, weights)
    elif need.tower in OWN_TOWERS and sources.given is None:
        features, text = _own(need, identity, sources, vectors, weights)
    else:
        features = Features(vectors, vision=_given(family, need, identity, sources), weights=weights)
        text = f"features of {need.tower} as connected"
    return features, ", ".join([*said, text])


def person_vectors(need: VectorNeed, title: str, identity: Identity, analysis: FaceAnalysis | None) -> np.ndarray:
    """(R, D) float32: the vectors of one recogniser, each divided by its length where the family asks for that.

    analysis: encodes a person anew who lacks them. Raises EncoderMismatchError, naming the recogniser, its licence and
    what to connect.
    """
    if analysis is not None and analysis.recogniser.name == need.recogniser:
        identity = ensure_encoded(identity, analysis)
    if need.recogniser not in identity.encoders:
        backend, licence = RECOGNISERS[need.recogniser]
        connected = "" if analysis is None else f" The analysis connected here has {analysis.recogniser.name}."
        raise EncoderMismatchError(
            f"{title} was trained on vectors of {need.recogniser} ({licence}), and identity {identity.name!r} has "
            f"{', '.join(identity.encoders) or 'none'}.{connected} Connect Load Face Analysis with {backend!r} to this "
            f"node's analysis: it encodes the person again from the {len(identity)} stored picture(s)."
        )
    raw = identity.references(need.recogniser).raw
    if not need.unit:
        return raw.astype(np.float32)
    lengths = np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
    if (lengths < 1e-12).any():
        raise InputError(f"Identity {identity.name!r}: a vector of {need.recogniser} has length 0 and no direction.")
    return (raw / lengths).astype(np.float32)


def parser_of(sources: Sources) -> FaceParser | None:
    """The connected parser, else the one whose file is present."""
    return sources.parser or present_parser(sources.registry)


def _pixels(need: VisionNeed, identity: Identity, sources: Sources) -> tuple[Tensor, str]:
    """(R, 3, S, S) as a tower reads them, and what was cut away how."""
    recipe = RECIPES[need.picture]
    cuts = bool(recipe.parsed) and sources.kept is None
    parser = parser_of(sources) if cuts else None
    kept, how = kept_parts(recipe, identity, sources.kept, parser)

    def align(pictures: Tensor) -> Tensor:
        return realigned(identity, pictures, recipe.template, need.size_px)

    return prepare(need, identity.pictures(), kept, align), f"{len(identity)} picture(s){how}"


def _eva02(
    need: VisionNeed, identity: Identity, sources: Sources, vectors: Tensor | None, weights: Tensor
) -> tuple[Features, str]:
    """PuLID's: five depths, and the unit class vector joined to the recogniser's."""
    if vectors is None:
        raise InputError("EVA02-CLIP's class vector is joined to a recogniser's vector, and none is asked for.")
    pixels, text = _pixels(need, identity, sources)
    handle = sources.registry.load(EVA02, lambda path: build_eva02_from(read_checkpoint(path)))
    sources.registry.runtime.ready(handle)
    with torch.no_grad():
        seen = handle.module(pixels.to(handle.device))
    joined = join_vectors(vectors, seen.unit_embedding.cpu())
    levels = tuple(level.cpu() for level in seen.levels)
    return Features(joined, levels=levels, weights=weights), f"EVA02-CLIP on {text}"


def _own(
    need: VisionNeed, identity: Identity, sources: Sources, vectors: Tensor | None, weights: Tensor
) -> tuple[Features, str]:
    """The tokens of a tower that the pack runs."""
    weights_id, build = OWN_TOWERS[need.tower]
    handle = sources.registry.load(weights_id, lambda path: build(read_checkpoint(path)))
    pixels, text = _pixels(need, identity, sources)
    sources.registry.runtime.ready(handle)
    with torch.no_grad():
        tokens = handle.module(pixels.to(handle.device)).float().cpu()
    return Features(vectors, vision=tokens, weights=weights), f"{need.tower} on {text}"


def host_features(title: str, need: VisionNeed, tower: Tower | None, pixels: Tensor) -> Tensor:
    """(N, n, c): what the host's tower sees in pixels (N, 3, S, S).

    Raises MissingWeightsError without a tower, InputError for one of another kind.
    """
    kind = HOST_TOWERS[need.tower]
    if tower is None:
        raise MissingWeightsError(
            f"{title} reads the reference pictures with {kind.title}, and no vision model is connected: connect Load "
            f"CLIP Vision with {kind.file} from models/clip_vision to clip_vision."
        )
    with torch.no_grad():
        seen = tower(pixels)
    states = seen.last if need.output == "last" else seen.penultimate
    if states.shape[1:] != (kind.patches, kind.width):
        raise InputError(
            f"{title} reads {kind.patches} tokens of width {kind.width} from {kind.title}, and the connected "
            f"vision model gives {states.shape[1]} of width {states.shape[2]}: load {kind.file} from "
            "models/clip_vision instead."
        )
    return states.float().cpu()


def _host(
    family: Family, need: VisionNeed, identity: Identity, sources: Sources, vectors: Tensor | None, weights: Tensor
) -> tuple[Features, str]:
    pixels, text = _pixels(need, identity, sources)
    both = host_features(family.title, need, sources.tower, torch.cat([pixels, blank_pixels(need)]))
    features = Features(vectors, vision=both[:-1], blank=both[-1:], weights=weights)
    return features, f"{HOST_TOWERS[need.tower].title} on {text}"


def _given(family: Family, need: VisionNeed, identity: Identity, sources: Sources) -> Tensor:
    if sources.given is None:
        raise MissingWeightsError(
            f"{family.title} reads the {need.output} features of {need.tower} on a {need.size_px} px picture, an "
            "encoder that this pack does not run: connect what it saw to features."
        )
    if len(sources.given) != len(identity):
        raise InputError(
            f"The connected features of {need.tower} are for {len(sources.given)} picture(s), identity "
            f"{identity.name!r} has {len(identity)}: encode every reference picture, in their order."
        )
    return sources.given.float()
