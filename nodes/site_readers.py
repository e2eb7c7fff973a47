"""What stands at a site of one of ComfyUI's models and adds what the adapters have for it in this call.

Readers have no state: `attach` puts what they add into the options of each call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ..pipelines.adapters.attachment import SiteCalls, with_identity
from ..pipelines.adapters.injectors import BLOCK, CROSS, MIDDLE, Attend
from ..pipelines.errors import InputError
from .model_sites import Place

#: Our entry in the options of a call, and in the patches of a model.
KEY = "likeness"


@dataclass(frozen=True, eq=False)
class SiteState:
    """What the readers find in the options of one call."""

    calls: SiteCalls
    size: tuple[int, int]


def _state(options: Mapping[str, Any]) -> SiteState:
    if KEY not in options:
        raise InputError(
            "The model has identity adapters but was called without BaseModel.apply_model, by a node that replaces "
            "ComfyUI's way to call a model. Remove that node, or apply the identity after it."
        )
    return options[KEY]


def _attend(options: Mapping[str, Any]) -> Attend:
    def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        precision = options.get("attn_precision")
        return optimized_attention(q, k, v, heads, attn_precision=precision, transformer_options=options)

    return attend


@dataclass(frozen=True, eq=False)
class CrossReader:
    """Stands in for the text attention of one site: computes it, or lets another pack's patch do so, and adds."""

    number: int
    text: Callable[..., Tensor] | None

    def add(self, callback: Callable[..., Tensor], **_arguments: Any) -> None:
        """How IPAdapter nodes extend a patch that they find; raises InputError.

        The patch is shared by every branch of the graph that comes after the node which made it, and the nodes that
        call this do not say for which model they do.
        """
        raise InputError(
            f"A node of another pack ({getattr(callback, '__module__', type(callback).__name__)}) wants to extend the "
            "attention behind Apply Identity Adapter, which would change every other branch of the graph. Move that "
            "node in front of Apply Identity Adapter: then both act."
        )

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        attend, heads = _attend(options), options["n_heads"]
        state = _state(options)
        if self.text is None:
            x = attend(q, k, v, heads)
        else:  # it may call another reader in turn, which must not add everything a second time
            x = self.text(q, k, v, {**options, KEY: SiteState({}, state.size)})
        calls = state.calls.get((CROSS, self.number), ())
        return with_identity(x, q, calls, _grid(options), heads, attend, owned=self.text is None)


@dataclass(frozen=True, eq=False)
class MiddleReader:
    """Between self-attention and cross-attention of every block. numbers: of the sites by (block, id, index)."""

    numbers: Mapping[Place, int]

    def __call__(self, x: Tensor, options: dict[str, Any]) -> Tensor:
        number = self.numbers.get((*options["block"], options["block_index"]))
        calls = () if number is None else _state(options).calls.get((MIDDLE, number), ())
        return with_identity(x, x, calls, _grid(options), options["n_heads"], _attend(options))


@dataclass(frozen=True, eq=False)
class BlockReader:
    """After a whole block of FLUX, on the tokens of the picture; text and reference pictures stay as they are."""

    number: int
    block: Callable[..., dict[str, Tensor]] | None

    def __call__(self, args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Tensor]:
        options = args["transformer_options"]
        state = _state(options)
        if self.block is None:
            result = extra["original_block"](args)
        else:
            result = self.block({**args, "transformer_options": {**options, KEY: SiteState({}, state.size)}}, extra)
        calls = state.calls.get((BLOCK, self.number), ())
        if not calls:
            return result
        first = 0 if "txt" in args else options["img_slice"][0]
        grid = ((state.size[0] + 1) // 2, (state.size[1] + 1) // 2)
        head, picture, tail = result["img"].split_with_sizes(_parts(result["img"], first, grid), dim=1)
        picture = with_identity(picture, picture, calls, grid, 0, _attend(options))
        return {**result, "img": torch.cat([head, picture, tail], dim=1)}


def _parts(tokens: Tensor, first: int, grid: tuple[int, int]) -> list[int]:
    """How many tokens there are before, of and after the picture."""
    count = grid[0] * grid[1]
    return [first, count, tokens.shape[1] - first - count]


def _grid(options: Mapping[str, Any]) -> tuple[int, int]:
    height, width = options["activations_shape"][-2:]
    return height, width
