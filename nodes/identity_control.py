"""IdentityNet: a ControlNet whose cross-attention reads identity tokens, while others in its chain keep the text.

Of several people each has a net of its own in the chain, whose residuals count in that person's region only.
"""

from __future__ import annotations

from typing import Any

import torch
from comfy.controlnet import ControlIsolation, ControlNet
from torch import Tensor

from ..pipelines.adapters.family import IdentityTokens
from ..pipelines.adapters.region import Region
from ..pipelines.errors import InputError
from .picture_areas import areas_of

#: The blocks' outputs by the part of the UNet that they are added to.
Residuals = dict[str, list[Tensor | None]]


class IdentityControlNet(ControlNet):
    """ComfyUI's ControlNet with its own context.

    One object serves the conditional and the unconditional side, so that ComfyUI can run both in one batch.
    """

    identity: IdentityTokens
    mask: Tensor | None
    regions: dict[Any, Region]

    @classmethod
    def of(cls, net: Any, identity: IdentityTokens, mask: Tensor | None = None) -> IdentityControlNet:
        """The identity form of a ControlNet that was loaded from a file; the net itself does not change.

        mask: (1, H, W) of the person's region, or everywhere.
        """
        if type(net) is not ControlNet:
            raise InputError(
                f"IdentityNet must be a ControlNet for a UNet, not {type(net).__name__}: load InstantID's "
                "ControlNetModel with Load ControlNet Model."
            )
        control = cls._like(net, identity, mask)
        net.copy_to(control)
        own = control.context_width
        if own != identity.cond.shape[-1]:
            raise InputError(
                f"The ControlNet reads tokens of width {own}, the identity's tokens have width "
                f"{identity.cond.shape[-1]}: connect the adapter and the ControlNet of the same InstantID release."
            )
        return control

    @classmethod
    def _like(cls, net: Any, identity: IdentityTokens, mask: Tensor | None) -> IdentityControlNet:
        control = cls(
            None,
            global_average_pooling=net.global_average_pooling,
            load_device=net.load_device,
            manual_cast_dtype=net.manual_cast_dtype,
        )
        control.control_model = net.control_model
        control.control_model_wrapped = net.control_model_wrapped
        control.identity, control.mask, control.regions = identity, mask, {}
        return control

    @property
    def context_width(self) -> int:
        """Width of the tokens that the cross-attention reads."""
        layers = self.control_model.named_modules()
        return next(layer.in_features for name, layer in layers if name.endswith("attn2.to_k"))

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: dict[str, Any], batched_number: int, transformer_options: dict[str, Any]
    ) -> Residuals | None:
        previous = None
        if self.previous_controlnet is not None:
            previous = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)
        context = self._context(len(x_noisy), transformer_options["cond_or_uncond"])
        with ControlIsolation(self):
            own = super().get_control(
                x_noisy, t, {**cond, "crossattn_controlnet": context}, batched_number, transformer_options
            )
        if self.mask is not None and own is not None:
            own = _inside(own, self._region(x_noisy, len(transformer_options["cond_or_uncond"]), transformer_options))
        return _sum(previous, own)

    def _region(self, x: Tensor, chunks: int, options: dict[str, Any]) -> Region:
        """The person's mask for the rows of the batch, resized once per sampling."""
        areas = areas_of(options, (x.shape[-2], x.shape[-1]), chunks)
        key = (areas, len(x), x.device)
        if key not in self.regions and self.mask is not None:
            self.regions[key] = Region(self.mask, areas, len(x) // chunks)
        return self.regions[key]

    def cleanup(self) -> None:
        self.regions.clear()
        super().cleanup()

    def _context(self, batch: int, sides: list[int]) -> Tensor:
        """The tokens of every row of the batch: its chunks are conditional (0) or not."""
        rows = torch.tensor([0 if side == 0 else 1 for side in sides]).repeat_interleave(batch // len(sides))
        return self.identity.rows().index_select(0, rows.to(self.identity.cond.device))

    def copy(self) -> IdentityControlNet:
        control = self._like(self, self.identity, self.mask)
        self.copy_to(control)
        return control


def _inside(residuals: Residuals, region: Region) -> Residuals:
    """Residuals (B, C, h, w) times the person's mask."""

    def masked(block: Tensor | None) -> Tensor | None:
        if block is None:
            return None
        grid = (block.shape[-2], block.shape[-1])
        return block * region.at(grid, block).view(-1, 1, *grid)

    return {part: [masked(block) for block in blocks] for part, blocks in residuals.items()}


def _sum(first: Residuals | None, second: Residuals | None) -> Residuals | None:
    """Both nets' residuals added block by block; either may be shorter, absent, or have gaps."""
    if first is None or second is None:
        return second if first is None else first
    return {part: _sum_blocks(first.get(part, []), second.get(part, [])) for part in first.keys() | second.keys()}


def _sum_blocks(first: list[Tensor | None], second: list[Tensor | None]) -> list[Tensor | None]:
    longer = max(len(first), len(second))
    pairs = zip(first + [None] * (longer - len(first)), second + [None] * (longer - len(second)), strict=True)
    return [b if a is None else a if b is None else a + b for a, b in pairs]
