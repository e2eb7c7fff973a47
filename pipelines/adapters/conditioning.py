"""People in the prompt: token replacement and fusion, for families that change the text and not the attention.

A text encoder is whoever tokenises and encodes as ComfyUI's CLIP does; a conditioning is its list of
[tokens (1, T, width), values].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..identity.identity import Identity
from . import arc2face
from .consistentid import CAPTION, ConsistentIdProjector
from .family import mean_rows
from .fastcomposer import SubjectProjector
from .features import Sources, host_features, parser_of, person_features, person_vectors
from .fuse import FuseModule
from .kept_parts import face_part_pictures
from .library import LoadedAdapter
from .photomaker import PictureEncoder, picture_tokens
from .pictures import RECIPES, normalised, resized
from .prompt import Prompt, find_word, mark_subjects, replace_word, without_word, words_of

Conditioning = list[Any]


class TextEncoder(Protocol):
    """ComfyUI's CLIP, as far as it is needed here."""

    def tokenize(self, text: str) -> Any: ...

    def encode_from_tokens_scheduled(self, tokens: Any) -> Conditioning: ...


@dataclass(frozen=True, eq=False)
class Wish:
    """What the user asks for. trigger: marks the person's word. delay: share of the sampling without the person."""

    text: str
    people: tuple[Identity, ...]
    trigger: str = "img"
    delay: float = 0.0


@dataclass(frozen=True, eq=False)
class Changed:
    """The conditioning with the people, and the same prompt without them."""

    own: Conditioning
    plain: Conditioning
    said: str


Conditioner = Callable[[LoadedAdapter, TextEncoder, Wish, Sources], Changed]


def condition(loaded: LoadedAdapter, clip: TextEncoder, wish: Wish, sources: Sources) -> tuple[Conditioning, str]:
    """The conditioning of a prompt with people in it, and a report.

    With a delay the prompt without them comes first (`start_percent`, `end_percent` of the conditioning). Raises
    InputError for a family that acts on the attention only, a missing trigger word, a prompt that gets too long or a
    CLIP of another model, and what `person_features` raises.
    """
    family = loaded.adapter.family
    if not wish.people:
        raise InputError("There is nobody to put into the prompt: connect at least one identity.")
    if family.name not in CONDITIONERS:
        raise InputError(
            f"{family.title} changes the attention, not the prompt: use Apply Identity Adapter. The prompt is changed "
            f"by {', '.join(CONDITIONERS)}."
        )
    changed = CONDITIONERS[family.name](loaded, clip, wish, sources)
    said = f"{family.title} ({loaded.adapter.file}): {changed.said}"
    if wish.delay <= 0:
        return changed.own, said
    late = [[tokens, {**values, "start_percent": wish.delay, "end_percent": 1.0}] for tokens, values in changed.own]
    early = [[tokens, {**values, "start_percent": 0.0, "end_percent": wish.delay}] for tokens, values in changed.plain]
    return [*early, *late], f"{said}\nThe first {100 * wish.delay:.0f} % of the sampling see the prompt without them."


def _only_one(title: str, wish: Wish) -> Identity:
    if len(wish.people) > 1:
        raise InputError(f"{title} puts one person into a prompt, {len(wish.people)} are connected: leave one.")
    return next(iter(wish.people))


#: Width of the text → whose CLIP gives it.
TEXT_WIDTHS = {768: "an SD1.5", 1024: "an SD2.1", 2048: "an SDXL"}


def _require_width(title: str, encoded: Conditioning, width: int) -> None:
    """Raise InputError for the CLIP of another model: its text has another width."""
    found = encoded[0][0].shape[-1]
    if found != width:
        raise InputError(
            f"{title} works on text of width {width}, the CLIP gives {found}: connect the CLIP of "
            f"{TEXT_WIDTHS.get(width, 'the right')} checkpoint."
        )


def _fused(
    loaded: LoadedAdapter, fuse: nn.Module, encoded: Conditioning, tokens: Tensor, positions: Sequence[int]
) -> Conditioning:
    """The conditioning with identity tokens (N, width) fused in at N positions."""
    title = loaded.ready().family.title  # the text encoder may have taken its place on the device
    module, weight = cast(FuseModule, fuse), next(fuse.parameters())
    _require_width(title, encoded, tokens.shape[-1])
    result: Conditioning = []
    for prompt, values in encoded:
        marks = torch.zeros(prompt.shape[:2], dtype=torch.bool, device=weight.device)
        marks[:, list(positions)] = True
        with torch.no_grad():
            fused = module(prompt.to(weight), tokens.to(weight), marks)
        result.append([fused.to(prompt), dict(values)])
    return result


def _arc2face(loaded: LoadedAdapter, clip: TextEncoder, wish: Wish, sources: Sources) -> Changed:
    """The vector stands for the word "id"; the tower of the file reads the prompt, the CLIP only cuts it into words."""
    person, adapter = _only_one("Arc2Face", wish), loaded.adapter
    need = adapter.family.vector
    assert need is not None
    rows = torch.from_numpy(person_vectors(need, adapter.family.title, person, sources.analysis))
    unit = nn.functional.normalize(mean_rows(rows, torch.from_numpy(person.weights)), dim=-1)
    tokens = clip.tokenize(wish.text)
    if "l" not in tokens:
        raise InputError(f"Arc2Face reads words as CLIP-L does, this CLIP has {', '.join(tokens)}: connect SD1.5's.")
    device = next(loaded.ready().projector.parameters()).device
    ids = torch.tensor([[token[0] for token in tokens["l"][0]]], device=device)
    with torch.no_grad():
        encoded = arc2face.encode(cast(Any, adapter.projector), ids, unit.to(device)).cpu()
    plain = clip.encode_from_tokens_scheduled(tokens)
    _require_width("Arc2Face", plain, encoded.shape[-1])
    said = f'{person.name} in place of "id" in "{wish.text}"'
    return Changed([[encoded, dict(values)] for _, values in plain], plain, said)


def _photomaker(loaded: LoadedAdapter, clip: TextEncoder, wish: Wish, sources: Sources) -> Changed:
    family = loaded.adapter.family
    encoder = cast(PictureEncoder, loaded.adapter.projector)
    known = [person_features(family, person, sources)[0] for person in wish.people]
    loaded.ready()
    with torch.no_grad():
        rows = [picture_tokens(encoder, features.like(encoder)) for features in known]
    return _mark_and_fuse(loaded, clip, wish, rows, encoder.fuse_module)


def _fastcomposer(loaded: LoadedAdapter, clip: TextEncoder, wish: Wish, sources: Sources) -> Changed:
    """One token per person: the best reference's."""
    adapter = loaded.adapter
    projector = cast(SubjectProjector, adapter.projector)
    if not hasattr(projector, "vision_model"):
        raise InputError(f"{adapter.file} has no image_encoder: FastComposer's own vision tower is part of its file.")
    known = [person_features(adapter.family, person, sources)[0] for person in wish.people]
    loaded.ready()
    rows: list[Tensor] = []
    for person, features in zip(wish.people, known, strict=True):
        pixels = features.like(projector).need_vision(adapter.family.title)
        with torch.no_grad():
            rows.append(projector(pixels[person.best : person.best + 1]))
    return _mark_and_fuse(loaded, clip, wish, rows, projector.postfuse_module)


def _mark_and_fuse(
    loaded: LoadedAdapter, clip: TextEncoder, wish: Wish, rows: Sequence[Tensor], fuse: nn.Module
) -> Changed:
    """rows: per person its tokens (n, width)."""
    marked = mark_subjects(clip.tokenize(wish.text), clip.tokenize(wish.trigger), wish.trigger, [len(r) for r in rows])
    encoded = clip.encode_from_tokens_scheduled(marked.tokens)
    own = _fused(loaded, fuse, encoded, torch.cat(list(rows)), marked.positions)
    counts = ", ".join(f"{person.name} as {len(r)} token(s)" for person, r in zip(wish.people, rows, strict=True))
    plain = clip.encode_from_tokens_scheduled(marked.plain)
    return Changed(own, plain, f"{counts} at the word(s) before {wish.trigger!r}")


def _consistentid(loaded: LoadedAdapter, clip: TextEncoder, wish: Wish, sources: Sources) -> Changed:
    """Parts of the best reference fused into the words that name them; the caption is added where there are none."""
    person, adapter = _only_one("ConsistentID", wish), loaded.adapter
    masks, how = face_part_pictures(person, parser_of(sources))
    words = {part: clip.tokenize(part) for part in masks}
    text = wish.text
    places = _part_places(clip.tokenize(text), words)
    if not places:
        text = f"{text.rstrip('. ')}. {CAPTION}"
        places = _part_places(clip.tokenize(text), words)
    ordered = sorted(places.items(), key=lambda entry: entry[1])
    need = adapter.family.vision
    assert need is not None
    pixels = torch.cat([_part_pixels(person, masks[part], need.size_px) for part, _ in ordered])
    seen = host_features(adapter.family.title, need, sources.tower, pixels)
    plain = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    projector = cast(ConsistentIdProjector, loaded.ready().projector)
    width = projector.FacialEncoder.fuse_module.layer_norm.weight.shape[0]
    _require_width(f"ConsistentID ({adapter.file})", plain, width)
    device = next(projector.parameters()).device
    own: Conditioning = []
    for prompt, values in plain:
        marks = torch.zeros(prompt.shape[:2], dtype=torch.bool, device=device)
        marks[:, [at for _, at in ordered]] = True
        present = torch.ones(1, len(ordered), dtype=torch.bool, device=device)
        with torch.no_grad():
            fused = projector.FacialEncoder(prompt.to(device).float(), marks, seen.to(device)[None], present)
        own.append([fused.to(prompt), dict(values)])
    parts = ", ".join(part for part, _ in ordered)
    return Changed(own, plain, f"{parts} of {person.name}, cut out by {how}, fused into their words")


def _part_places(tokens: Prompt, words: dict[str, Prompt]) -> dict[str, int]:
    """Part → position of its word."""
    found: dict[str, int] = {}
    for part, word in words.items():
        key = next(iter(tokens))
        place = find_word(tokens[key], words_of(word[key]))
        if place is not None:
            found[part] = place.chunk * len(tokens[key][place.chunk]) + place.index
    return found


def _part_pixels(person: Identity, mask: Tensor, size_px: int) -> Tensor:
    """(1, 3, S, S): the best reference with everything but a mask (512, 512) black."""
    masked = person.pictures()[person.best][None] * mask[None, ..., None]
    return normalised(resized(masked.permute(0, 3, 1, 2), size_px), RECIPES["whole"])


def _stableidentity(loaded: LoadedAdapter, clip: TextEncoder, wish: Wish, sources: Sources) -> Changed:
    """Two embeddings in the space of names, over the trigger word and the position after it."""
    person = _only_one("StableIdentity", wish)
    features, text = person_features(loaded.adapter.family, person, sources)
    adapter = loaded.ready()
    vectors = features.like(adapter.projector).need_vision(adapter.family.title).flatten(1)
    with torch.no_grad():
        embeddings = adapter.projector(mean_rows(vectors, features.weights))[0].float().cpu()
    tokens, word = clip.tokenize(wish.text), clip.tokenize(wish.trigger)
    own = replace_word(tokens, word, wish.trigger, embeddings)
    plain = clip.encode_from_tokens_scheduled(without_word(tokens, word))
    _require_width("StableIdentity", plain, embeddings.shape[-1])  # ComfyUI drops embeddings of another width
    said = f"{person.name} ({text}) in place of {wish.trigger!r}"
    return Changed(clip.encode_from_tokens_scheduled(own), plain, said)


#: Family → how it puts people into a prompt.
CONDITIONERS: dict[str, Conditioner] = {
    "arc2face": _arc2face,
    "photomaker_v1": _photomaker,
    "photomaker_v2": _photomaker,
    "fastcomposer": _fastcomposer,
    "consistentid": _consistentid,
    "stableidentity": _stableidentity,
}
