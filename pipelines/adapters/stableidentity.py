"""StableIdentity-type token projectors: a face as two word embeddings in the space of well-known names.

A vision vector gives two offsets n; a token is mean + n · deviation of the embeddings of many names, so it stays where
the text tower understands people. The two tokens overwrite the placeholder and the position after it. Files are made
by training on one person; the statistics lie beside the weights as `celeb_mean` and `celeb_std`.
Source: StableIdentity (Wang et al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import InputError, WrongWeightsError
from .checkpoint import Claims, load_into
from .family import Family, IdentityAdapter, VisionNeed

#: The learning-rate factor that weights and biases are stored without.
FACTOR = 0.1
#: Which tokens of a tokenised name count (the first after the start token and the one behind it).
NAME_TOKENS = slice(1, 3)


class _EqualLinear(nn.Module):
    """Weight and bias times FACTOR; a norm in front (`norm`) or a LeakyReLU(0.2) behind."""

    def __init__(self, inputs: int, outputs: int, norm: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.norm = nn.LayerNorm(inputs) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.norm is None else self.norm(x)
        y = nn.functional.linear(y, self.weight * FACTOR, self.bias * FACTOR)
        return nn.functional.leaky_relu(y, 0.2) if self.norm is None else y


class NameSpaceProjector(nn.Module):
    """A vision vector → two token embeddings. inputs: width of the vector. width: of a token."""

    celeb_mean: Tensor
    celeb_std: Tensor

    def __init__(self, inputs: int, width: int, tokens: int = 2) -> None:
        super().__init__()
        total = width * tokens
        self.net = nn.ModuleList([_EqualLinear(inputs, total, norm=False), _EqualLinear(total, total, norm=True)])
        self.norm = nn.LayerNorm(total)
        self.register_buffer("celeb_mean", torch.zeros(tokens, width))
        self.register_buffer("celeb_std", torch.ones(tokens, width))

    def before_norm(self, vectors: Tensor) -> Tensor:
        """(R, inputs) → (R, tokens·width)."""
        return self.net[1](self.net[0](vectors))

    def offsets(self, vectors: Tensor) -> Tensor:
        """(R, inputs) → (R, tokens, width): one norm over all tokens of a person."""
        return self.norm(self.before_norm(vectors)).view(len(vectors), *self.celeb_mean.shape)

    def forward(self, vectors: Tensor) -> Tensor:
        """(R, inputs) → (R, tokens, width) embeddings for the prompt."""
        return self.celeb_mean + self.offsets(vectors) * self.celeb_std


def name_statistics(ids: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased deviation of the embeddings of names.

    ids: (N, T) tokenised names with start token. table: (vocabulary, width) token embeddings.
    Returns two (2, width). A name of one token counts with its end token, as published.
    """
    embedded = table[ids[:, NAME_TOKENS]]
    return embedded.mean(0), embedded.std(0)


def place_tokens(embedded: Tensor, ids: Tensor, placeholder: int, tokens: Tensor) -> Tensor:
    """The prompt's embeddings with `tokens` written over the placeholder and the positions behind it.

    embedded (B, T, width), ids (B, T), tokens (B, n, width). Raises InputError when a prompt lacks the placeholder
    or the tokens would run over its end.
    """
    embedded = embedded.clone()
    for row, (prompt, person) in enumerate(zip(ids, tokens, strict=True)):
        places = (prompt == placeholder).nonzero().flatten().tolist()
        if not places:
            raise InputError(f"Prompt {row + 1} has no placeholder: write it where the person is named.")
        for place in places:
            if place + len(person) > len(prompt):
                raise InputError(f"Prompt {row + 1}: the {len(person)} tokens at position {place} run over its end.")
            embedded[row, place : place + len(person)] = person.to(embedded)
    return embedded


def build_projector(state: Mapping[str, Tensor]) -> NameSpaceProjector:
    """The projector of the sizes in a state dict (`net`, `norm`), with its weights and the statistics if given."""
    if "net.2.weight" in state:
        raise WrongWeightsError("A StableIdentity projector has two layers; this file has more.")
    total, inputs = state["net.0.weight"].shape
    projector = NameSpaceProjector(inputs, total // 2)
    filled = {"celeb_mean": projector.celeb_mean, "celeb_std": projector.celeb_std, **state}
    load_into(projector, filled, "face_projection_layer")
    return projector


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    state = claims.take("face_projection_layer.")
    state.update({f"celeb_{key}": tensor for key, tensor in claims.take("celeb_").items()})
    return IdentityAdapter(family, claims.checkpoint.name, "SD2.1", build_projector(state))


STABLEIDENTITY = Family(
    "stableidentity", "StableIdentity", lambda c: "face_projection_layer.net.0.weight" in c, _build,
    vision=VisionNeed("vit_face_b16", "pooled", "arcface_224", 224),
)  # fmt: skip
