"""ComfyUI's AUDIO as the library takes it, and what nodes with one ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..pipelines.audio.speech import Speech, speech_of
from ..pipelines.errors import InputError
from ..pipelines.video.sound import Sound

Audio = Mapping[str, Any]


def audio_input(tooltip: str, optional: bool = False) -> io.Audio.Input:
    return io.Audio.Input("audio", tooltip=tooltip, optional=optional)


def number_input() -> io.Int.Input:
    return io.Int.Input(
        "number",
        default=0,
        min=0,
        max=999,
        advanced=True,
        tooltip="Which sound of the AUDIO when it holds several, counted from 0: a motion or a video has one.",
    )


def waveform_of(audio: Audio | None, number: int = 0) -> tuple[Tensor, int, str]:
    """(channels, samples) and rate of one sound of an AUDIO, and a line for the report when there are more.

    Raises InputError for an AUDIO of a video without sound, another shape, or a number that it does not have.
    """
    if not isinstance(audio, Mapping) or "waveform" not in audio or "sample_rate" not in audio:
        raise InputError(
            "There is no sound: the AUDIO is empty, as that of a video without sound is. Connect Load Audio, or "
            "another video."
        )
    waveform, rate_hz = audio["waveform"], int(audio["sample_rate"])
    if not isinstance(waveform, Tensor) or waveform.ndim != 3:
        shape = tuple(getattr(waveform, "shape", ()))
        raise InputError(f"The AUDIO has the shape {shape}; (sounds, channels, samples) is needed.")
    count = waveform.shape[0]
    if number >= count:
        raise InputError(f"The AUDIO holds {count} sound(s), numbered from 0; there is no number {number}.")
    said = f"The AUDIO holds {count} sounds; number {number} was taken, `number` takes another." if count > 1 else ""
    return waveform[number], rate_hz, said


def speech_in(audio: Audio | None, number: int = 0) -> tuple[Speech, str]:
    """One sound of an AUDIO for those who listen, and a line for the report when there are more."""
    waveform, rate_hz, said = waveform_of(audio, number)
    return speech_of(waveform, rate_hz), said


def sound_in(audio: Audio | None, number: int = 0) -> tuple[Sound, str]:
    """One sound of an AUDIO for a video, and a line for the report when there are more."""
    waveform, rate_hz, said = waveform_of(audio, number)
    return Sound(waveform.detach().cpu().float().numpy().astype(np.float32, copy=False), rate_hz), said
