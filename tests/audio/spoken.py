"""Drawn speech: phones with known times, and a voice with a known pitch."""

import numpy as np

from likeness.pipelines.audio.heard import SILENCE, STEPS_HZ, Heard, Phone
from likeness.pipelines.audio.speech import RATE_HZ, Speech


def heard_of(text, each_s=0.1, around_s=0.3, trust=1.0, opening=None):
    """Phones of a text such as "B AA:0.2 T", each as long as it says or `each_s`, between two silences."""
    phones, now = [], 0.0
    for word in (f"{SILENCE}:{around_s}", *text.split(), f"{SILENCE}:{around_s}"):
        name, _, length = word.partition(":")
        end = now + (float(length) if length else each_s)
        if end > now:
            phones.append(Phone(name, now, end))
        now = end
    steps = max(round(now * STEPS_HZ), 1)
    curve = np.zeros(steps, np.float32) if opening is None else np.full(steps, opening, np.float32)
    return Heard(now, tuple(phones), curve, trust, "drawn")


def middle_of(heard, name, number=0):
    """The moment in the middle of the n-th phone of a name."""
    phone = [phone for phone in heard.phones if phone.name == name][number]
    return (phone.start_s + phone.end_s) / 2


def voice(heard, pitch_hz=120.0, loud=0.3):
    """A sound as long as what was heard: a buzz with a pitch (a number or a function of time), silent in silences."""
    count = round(heard.duration_s * RATE_HZ)
    seconds = np.arange(count) / RATE_HZ
    hz = pitch_hz(seconds) if callable(pitch_hz) else np.full(count, pitch_hz)
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    buzz = sum(np.sin(k * phase) / k for k in range(1, 8))
    sounding = np.zeros(count)
    for phone in heard.phones:
        if phone.name != SILENCE:
            sounding[round(phone.start_s * RATE_HZ) : round(phone.end_s * RATE_HZ)] = 1
    soft = np.convolve(sounding, np.hanning(320) / np.hanning(320).sum(), "same")
    return Speech((loud * buzz / 2 * soft).astype(np.float32))
