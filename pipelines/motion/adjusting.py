"""The steps of the editing nodes in their order."""

from __future__ import annotations

from .blending import mirror, offset, parse_values, scale
from .channels import channels_in
from .motion import Motion
from .smoothing import limit
from .timing import loop, resample, reverse, trim


def retime(
    motion: Motion,
    start_s: float = 0.0,
    end_s: float = 0.0,
    speed: float = 1.0,
    backwards: bool = False,
    times: int = 1,
    back_and_forth: bool = False,
    blend_s: float = 0.0,
    fps: float = 0.0,
) -> Motion:
    """Trim, then speed and frame rate (0 keeps it), then reverse, then repeat; see the functions of `timing`."""
    cut = trim(motion, start_s, end_s)
    paced = resample(cut, fps or cut.fps, speed)
    turned = reverse(paced) if backwards else paced
    return loop(turned, times, blend_s, back_and_forth) if times > 1 else turned


def adjust(
    motion: Motion,
    channels: str = "",
    strength: float = 1.0,
    add: str = "",
    mirrored: bool = False,
    limited: bool = True,
) -> tuple[Motion, str]:
    """Scale, add, mirror, then limit, and what the limit cut.

    channels: what is scaled, as `channels_in` reads it. add: as `parse_values` reads it.
    """
    changed = offset(scale(motion, strength, channels_in(channels)), parse_values(add))
    turned = mirror(changed) if mirrored else changed
    if not limited:
        return turned, ""
    within, cut = limit(turned)
    return within, cut.text
