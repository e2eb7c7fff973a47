"""Inputs that several nodes have."""

from __future__ import annotations

from comfy_api.latest import io


def fraction(
    name: str,
    default: float,
    tooltip: str,
    low: float = 0.0,
    high: float = 1.0,
    step: float = 0.01,
    advanced: bool = False,
    optional: bool = False,
) -> io.Float.Input:
    """A number that is a share of something, 0 to 1 unless given."""
    # `advanced` is left out when it is off, as ComfyUI does for every other input
    return io.Float.Input(
        name,
        default=default,
        min=low,
        max=high,
        step=step,
        tooltip=tooltip,
        advanced=advanced or None,
        optional=optional,
    )


def crf_input() -> io.Int.Input:
    """Quality of a video that is written."""
    return io.Int.Input(
        "crf",
        default=17,
        min=0,
        max=51,
        advanced=True,
        tooltip="Quality of the H.264 encoder: 0 largest file, 17 looks lossless, 23 is usual on the web.",
    )
