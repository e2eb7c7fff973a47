"""The cross-attention sites of the Stable Diffusion UNets, in the order in which adapter checkpoints number them.

Checkpoints of the IP-Adapter kind number the attention layers as `UNet2DConditionModel.attn_processors` lists them:
down blocks, up blocks, middle block last; each transformer block has its self-attention (even number) and then its
cross-attention (odd number). ComfyUI names the same places (block, id, transformer index).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """One transformer block of a UNet.

    block: "input", "output" or "middle". id: ComfyUI's number of the block. index: the transformer inside it.
    number: the odd number of its cross-attention in adapter checkpoints (its self-attention is number - 1).
    width: channels in the published model. diffusers, comfy: the path of the transformer block in each layout.
    """

    block: str
    id: int
    index: int
    number: int
    width: int
    diffusers: str
    comfy: str


@dataclass(frozen=True)
class Backbone:
    """A UNet as adapters see it: its name, the width of its text tokens and its sites by ascending number."""

    name: str
    context_width: int
    sites: tuple[Site, ...]

    @property
    def numbers(self) -> frozenset[int]:
        return frozenset(site.number for site in self.sites)

    def by_diffusers(self) -> dict[str, Site]:
        """The sites by their path in the diffusers layout."""
        return {site.diffusers: site for site in self.sites}

    def by_number(self) -> dict[int, Site]:
        return {site.number: site for site in self.sites}


#: (diffusers path of the attention, ComfyUI block, ComfyUI id, transformers inside, width)
Place = tuple[str, str, int, int, int]


def _backbone(name: str, context_width: int, places: Iterable[Place]) -> Backbone:
    sites: list[Site] = []
    for path, block, block_id, depth, width in places:
        module = "middle_block.1" if block == "middle" else f"{block}_blocks.{block_id}.1"
        for index in range(depth):
            tail = f"transformer_blocks.{index}"
            number = 2 * len(sites) + 1
            sites.append(Site(block, block_id, index, number, width, f"{path}.{tail}", f"{module}.{tail}"))
    return Backbone(name, context_width, tuple(sites))


_SD15_PLACES: tuple[Place, ...] = (
    *((f"down_blocks.{level}.attentions.{i}", "input", 3 * level + 1 + i, 1, 320 << level)
      for level in range(3) for i in range(2)),
    *((f"up_blocks.{level}.attentions.{i}", "output", 3 * level + i, 1, 1280 >> (level - 1))
      for level in range(1, 4) for i in range(3)),
    ("mid_block.attentions.0", "middle", 0, 1, 1280),
)  # fmt: skip

_SDXL_PLACES: tuple[Place, ...] = (
    *((f"down_blocks.1.attentions.{i}", "input", 4 + i, 2, 640) for i in range(2)),
    *((f"down_blocks.2.attentions.{i}", "input", 7 + i, 10, 1280) for i in range(2)),
    *((f"up_blocks.0.attentions.{i}", "output", i, 10, 1280) for i in range(3)),
    *((f"up_blocks.1.attentions.{i}", "output", 3 + i, 2, 640) for i in range(3)),
    ("mid_block.attentions.0", "middle", 0, 10, 1280),
)

SD15 = _backbone("SD1.5", 768, _SD15_PLACES)
SDXL = _backbone("SDXL", 2048, _SDXL_PLACES)

#: Every UNet that adapters can be made for, smallest first.
UNETS: tuple[Backbone, ...] = (SD15, SDXL)
