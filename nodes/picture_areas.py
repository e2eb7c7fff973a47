"""Which part of the picture each chunk of a model's batch shows: prompts may be for a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..pipelines.adapters.region import Area, Grid

#: Our entry in the options of a call for the prompts that are for a part of the picture.
AREAS = "likeness_areas"


def areas_of_conds(conds: Any, x: Tensor) -> dict[Any, Area]:
    """Prompt → its part of the latent x, for the prompts that are for a part."""
    return {c["uuid"]: _area(c["area"], x) for cond in conds if cond for c in cond if c.get("area") is not None}


def areas_of(options: Mapping[str, Any], size: Grid, chunks: int) -> tuple[Area, ...]:
    """The part that each of a call's chunks shows. size: (height, width) of the call's latent."""
    known = options.get(AREAS, {})
    return tuple(known.get(name, Area.whole(size)) for name in options.get("uuids", range(chunks)))


def _area(area: Any, x: Tensor) -> Area:
    """ComfyUI's (height, width, top, left), cut off at the picture's border as ComfyUI does."""
    half = len(area) // 2  # video has frames in front of both pairs
    height, width, top, left = *area[half - 2 : half], *area[-2:]
    full = (x.shape[-2], x.shape[-1])
    return Area(top, left, min(height, full[0] - top), min(width, full[1] - left), full)
