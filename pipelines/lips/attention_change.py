"""What an adapter changes about one attention: low-rank terms on its four layers, and attention to identity tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

#: The layers of an attention that have a low-rank term.
LAYERS = ("to_q", "to_k", "to_v", "to_out")


class LowRank(nn.Module):
    """up(down(x)), without a gain."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, rank, bias=False)
        self.up = nn.Linear(rank, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


class AttentionChange(nn.Module):
    """The weights of one attention in an adapter's file, under their published names.

    width: of the attention. context: of what it reads. identity: width of identity tokens, 0 where it reads none.
    """

    def __init__(self, width: int, context: int, rank: int, identity: int) -> None:
        super().__init__()
        for layer, inputs in zip(LAYERS, (width, context, context, width), strict=True):
            self.add_module(f"{layer}_lora", LowRank(inputs, width, rank))
        self.width, self.context, self.identity = width, context, identity
        if identity:
            self.to_k_ip = nn.Linear(identity, width, bias=False)
            self.to_v_ip = nn.Linear(identity, width, bias=False)

    def term(self, layer: str, x: Tensor) -> Tensor:
        """The low-rank term of one of `LAYERS`."""
        return self.get_submodule(f"{layer}_lora")(x)

    def bound(self, tokens: Tensor | None, scale: float) -> Change:
        """The change for given identity tokens (B or 1, T, identity): their keys and values are made here, once.

        scale: of the attention to them; at 0, or without tokens, the low-rank terms stay.
        """
        if tokens is None or not (self.identity and scale):
            return Change(self, scale, None)
        return Change(self, scale, (self.to_k_ip(tokens), self.to_v_ip(tokens)))


@dataclass(frozen=True, eq=False)
class Change:
    """A change that an attention applies. keys_values: of the identity tokens, or None where it does not read them."""

    weights: AttentionChange
    scale: float
    keys_values: tuple[Tensor, Tensor] | None

    def projected(self, x: Tensor, read: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, keys and values with their low-rank terms. x: what asks. read: what is read."""
        term = self.weights.term
        return q + term("to_q", x), k + term("to_k", read), v + term("to_v", read)

    def output(self, y: Tensor, out: Tensor) -> Tensor:
        """The attention's output with its low-rank term. y: what the output layer read. out: what it gave."""
        return out + self.weights.term("to_out", y)


def change_of(state: Mapping[str, Tensor]) -> AttentionChange:
    """An empty module of the sizes that the tensors of one attention have.

    state: names within the attention, as `to_q_lora.down.weight`. Raises KeyError for one that is not there.
    """
    rank, width = state["to_q_lora.down.weight"].shape
    context = state["to_k_lora.down.weight"].shape[1]
    identity = state["to_k_ip.weight"].shape[1] if "to_k_ip.weight" in state else 0
    return AttentionChange(width, context, rank, identity)
