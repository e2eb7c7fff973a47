"""The weight changes (LoRA) that FaceID-type files carry for every attention of the UNet, as data.

They act whether or not the identity attention is on and are applied as ordinary weight patches, so they compose with
other LoRAs and cost nothing per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..backbones.unet import Backbone
from ..errors import WrongWeightsError

#: The projections of one attention that a LoRA can change → the layer's name inside the attention.
PROJECTIONS = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out": "to_out.0"}


@dataclass(frozen=True, eq=False)
class LoraPair:
    """One low-rank change: weight += strength · up @ down. projection: a key of PROJECTIONS."""

    projection: str
    down: Tensor
    up: Tensor

    def delta(self) -> Tensor:
        """The full change at strength 1, (out, in)."""
        return self.up.float() @ self.down.float()


def split_lora(layers: Mapping[str, Tensor]) -> tuple[dict[int, tuple[LoraPair, ...]], dict[str, Tensor]]:
    """Divide `{number}.{name}.weight` tensors into LoRA pairs by number and the remaining tensors.

    Raises WrongWeightsError when half of a pair is missing.
    """
    pairs: dict[int, tuple[LoraPair, ...]] = {}
    rest = dict(layers)
    for key in [key for key in layers if key.endswith("_lora.down.weight")]:
        number, name = key.split(".", 1)
        projection = name.removesuffix("_lora.down.weight")
        up = rest.pop(f"{number}.{projection}_lora.up.weight", None)
        down = rest.pop(key)
        if up is None or projection not in PROJECTIONS or up.shape[1] != down.shape[0]:
            raise WrongWeightsError(f"The LoRA at {key} is incomplete: its counterpart is missing or of another rank.")
        pairs[int(number)] = (*pairs.get(int(number), ()), LoraPair(projection, down, up))
    return pairs, rest


def comfy_weights(lora: Mapping[int, tuple[LoraPair, ...]], backbone: Backbone) -> dict[str, LoraPair]:
    """The pairs by the name of the weight they change in ComfyUI's UNet (below `diffusion_model.`)."""
    return {f"{site}.{PROJECTIONS[pair.projection]}.weight": pair for site, pair in _places(lora, backbone, "comfy")}


def diffusers_weights(lora: Mapping[int, tuple[LoraPair, ...]], backbone: Backbone) -> dict[str, LoraPair]:
    """The pairs by the name of the weight they change in a diffusers UNet."""
    return {
        f"{site}.{PROJECTIONS[pair.projection]}.weight": pair for site, pair in _places(lora, backbone, "diffusers")
    }


def _places(lora: Mapping[int, tuple[LoraPair, ...]], backbone: Backbone, layout: str) -> list[tuple[str, LoraPair]]:
    sites = backbone.by_number()
    places: list[tuple[str, LoraPair]] = []
    for number, pairs in lora.items():
        site = sites[number | 1]
        path = site.comfy if layout == "comfy" else site.diffusers
        places += [(f"{path}.attn{1 + number % 2}", pair) for pair in pairs]
    return places
