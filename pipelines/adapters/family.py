"""What an adapter family is: how its file is recognised and built, what it needs to know of a person, what it gives.

A family is a value, not a branch in the code: `families.FAMILIES` lists them, and everything a family knows about
itself is in its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ..errors import InputError
from .checkpoint import Checkpoint, Claims
from .lora import LoraPair

#: How several references of one person become one set of tokens.
COMBINE_MODES = ("mean vector", "mean tokens", "join tokens")


@dataclass(frozen=True)
class VectorNeed:
    """The recogniser whose vector a family was trained on, as it gives it (raw) or divided by its length (unit)."""

    recogniser: str
    unit: bool


@dataclass(frozen=True)
class VisionNeed:
    """The features a family reads from a picture.

    tower: name of the vision model. output: "penultimate" (hidden states before the last block), "last" (after it,
    without norm), "pooled", "levels" (several depths) or "tokens" (the tower's own output).
    picture: name of the preparation in `pictures`. size_px: side of the tower's input.
    """

    tower: str
    output: str
    picture: str
    size_px: int


@dataclass(frozen=True, eq=False)
class Features:
    """What is known of one person; R references, best first.

    vectors: (R, D) of the recogniser that the family asks for, in the form it asks for.
    vision: (R, n, c) features of the tower it asks for. blank: (1, n, c) the same tower on an all-zero input.
    levels: for `output="levels"`, one (R, n, c) per depth instead of `vision`.
    weights: (R,) how much each reference counts, sum 1; equal when None.
    """

    vectors: Tensor | None = None
    vision: Tensor | None = None
    blank: Tensor | None = None
    levels: tuple[Tensor, ...] = ()
    weights: Tensor | None = None

    def like(self, module: nn.Module) -> Features:
        """The same features on the device and in the dtype of a module."""
        weight = next(module.parameters())

        def moved(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(weight)

        levels = tuple(level.to(weight) for level in self.levels)
        return Features(moved(self.vectors), moved(self.vision), moved(self.blank), levels, moved(self.weights))

    def need_vectors(self, title: str) -> Tensor:
        return _need(self.vectors, title, "the vectors of a recogniser")

    def need_vision(self, title: str) -> Tensor:
        return _need(self.vision, title, "features of a vision model")

    def need_blank(self, title: str) -> Tensor:
        return _need(self.blank, title, "the features of a vision model for an all-zero picture")


def _need(tensor: Tensor | None, title: str, what: str) -> Tensor:
    if tensor is None:
        raise InputError(f"{title} needs {what}, and none were given: connect the model that makes them.")
    return tensor


@dataclass(frozen=True, eq=False)
class IdentityTokens:
    """Tokens for the attention: cond and uncond, each (1, T, width), T may differ between the two."""

    cond: Tensor
    uncond: Tensor

    def rows(self) -> Tensor:
        """(2, T, width): conditional first, as ComfyUI numbers them in `cond_or_uncond`."""
        if self.cond.shape != self.uncond.shape:
            raise InputError(
                f"The tokens of the two sides differ in shape: {tuple(self.cond.shape)} and {tuple(self.uncond.shape)}."
            )
        return torch.cat([self.cond, self.uncond])


@dataclass(frozen=True)
class TokenOptions:
    """How tokens are made from features.

    combine: one of COMBINE_MODES or "" for the family's own. structure: how much of the picture's own structure
    (Plus v2's `s_scale`) enters, 1 as published. uncond_vector: (1, D) that takes the place of the zero vector on
    the unconditional side (noise), or None. same_sides: give the unconditional side the person's tokens too; None is
    the family's own way.
    """

    combine: str = ""
    structure: float = 1.0
    uncond_vector: Tensor | None = None
    same_sides: bool | None = None


@dataclass(frozen=True, eq=False)
class IdentityAdapter:
    """A loaded adapter.

    file: name of its file. backbone: name of the model it was trained for. projector: features → tokens.
    sites: number of a cross-attention → its injection (empty where the tokens go into the prompt).
    lora: weight changes of the same file, by number of the attention.
    named_lora: weight changes by the names of a LoRA file, for the host's own LoRA reader.
    replaced: weights of the transformer block itself that the file brings, by number of the cross-attention and name.
    """

    family: Family
    file: str
    backbone: str
    projector: nn.Module
    sites: Mapping[int, nn.Module] = field(default_factory=dict[int, nn.Module])
    lora: Mapping[int, tuple[LoraPair, ...]] = field(default_factory=dict[int, tuple[LoraPair, ...]])
    named_lora: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    replaced: Mapping[int, Mapping[str, Tensor]] = field(default_factory=dict[int, Mapping[str, Tensor]])

    def module(self) -> nn.ModuleDict:
        """Projector and sites as one module, for a memory manager to count and move."""
        sites = nn.ModuleDict({str(number): site for number, site in self.sites.items()})
        return nn.ModuleDict({"projector": self.projector, "sites": sites})


TokenFunction = Callable[[nn.Module, Features, TokenOptions], IdentityTokens]


@dataclass(frozen=True, eq=False)
class Family:
    """One kind of adapter file.

    name: what users and manifests call it. title: for messages. matches: do keys and shapes fit. build: makes the
    adapter from the tensors, taking every one. tokens: makes attention tokens; None where the family acts on the
    prompt only. file_marks: parts of a file's name that tell this family from others with the same keys.
    combine, same_sides: the published way to treat several references and the unconditional side.
    """

    name: str
    title: str
    matches: Callable[[Checkpoint], bool]
    build: Callable[[Family, Claims], IdentityAdapter]
    tokens: TokenFunction | None = None
    vector: VectorNeed | None = None
    vision: VisionNeed | None = None
    file_marks: tuple[str, ...] = ()
    combine: str = "mean vector"
    same_sides: bool = False


def mean_rows(rows: Tensor, weights: Tensor | None) -> Tensor:
    """(R, ...) → (1, ...): the mean over the references, weighted when weights (R,) are given."""
    if weights is None:
        return rows.mean(0, keepdim=True)
    shape = (-1,) + (1,) * (rows.ndim - 1)
    return (rows * weights.to(rows).view(shape)).sum(0, keepdim=True)


def join_rows(tokens: Tensor) -> Tensor:
    """(R, T, width) → (1, R·T, width): the tokens of all references, one after another."""
    return tokens.reshape(1, -1, tokens.shape[-1])


def combine_tokens(tokens: Tensor, mode: str, weights: Tensor | None) -> Tensor:
    """Tokens per reference (R, T, width) as one set; "mean vector" must have been dealt with before."""
    return join_rows(tokens) if mode == "join tokens" else mean_rows(tokens, weights)


def make_tokens(adapter: IdentityAdapter, features: Features, options: TokenOptions | None = None) -> IdentityTokens:
    """The attention tokens of one person, by the rule of the adapter's family.

    Raises InputError when a feature is missing, the combine mode is unknown or the family acts on the prompt only.
    """
    options, family = options or TokenOptions(), adapter.family
    if family.tokens is None:
        raise InputError(f"{family.title} changes the prompt's tokens, not the attention: use Identity Conditioning.")
    combine = options.combine or family.combine
    if combine not in COMBINE_MODES:
        raise InputError(f"Unknown way to combine references {combine!r}: choose one of {', '.join(COMBINE_MODES)}.")
    with torch.no_grad():
        tokens = family.tokens(adapter.projector, features.like(adapter.projector), replace(options, combine=combine))
    same = family.same_sides if options.same_sides is None else options.same_sides
    return IdentityTokens(tokens.cond, tokens.cond) if same else tokens
