"""Which sounds look alike on a mouth, and how far each opens it."""

from __future__ import annotations

import numpy as np

from ..face import FloatArray
from .heard import STEPS_HZ, Heard, Phone

#: Fourteen classes of sounds that look alike, silence the first: the groups of MPEG-4 facial animation (ISO/IEC
#: 14496-2, table of visemes) without the split of n from t and d.
VISEMES: dict[str, tuple[str, ...]] = {
    "silence": ("SIL",),
    "pp": ("P", "B", "M"),
    "ff": ("F", "V"),
    "th": ("TH", "DH"),
    "dd": ("T", "D", "L", "N"),
    "kk": ("K", "G", "NG", "HH", "Y"),
    "ch": ("CH", "JH", "SH", "ZH"),
    "ss": ("S", "Z"),
    "rr": ("R", "ER"),
    "aa": ("AA", "AH", "AW", "AY"),
    "e": ("AE", "EH", "EY"),
    "ih": ("IH", "IY"),
    "oh": ("AO", "OW", "OY"),
    "ou": ("UH", "UW", "W"),
}
VISEME_OF_PHONE: dict[str, int] = {
    phone: index for index, phones in enumerate(VISEMES.values()) for phone in phones
}  # fmt: skip

#: Height of the opening between the lips per phone, 1 the widest vowel; lips meet at 0. Vowels go by their height and
#: rounding, consonants by how near teeth and lips must be (Ladefoged and Johnson, A Course in Phonetics, chapter 9).
OPENNESS: dict[str, float] = {
    "SIL": 0.0, "P": 0.0, "B": 0.0, "M": 0.0, "F": 0.12, "V": 0.12, "TH": 0.25, "DH": 0.25, "T": 0.25, "D": 0.25,
    "N": 0.25, "L": 0.32, "S": 0.18, "Z": 0.18, "CH": 0.25, "JH": 0.25, "SH": 0.25, "ZH": 0.25, "K": 0.32, "G": 0.32,
    "NG": 0.32, "HH": 0.4, "Y": 0.3, "R": 0.32, "ER": 0.38, "W": 0.2, "UW": 0.25, "UH": 0.38, "OW": 0.5, "OY": 0.5,
    "AO": 0.65, "AA": 0.95, "AE": 0.8, "AH": 0.6, "AW": 0.85, "AY": 0.88, "EH": 0.6, "EY": 0.5, "IH": 0.4, "IY": 0.3,
}  # fmt: skip


def opening_curve(heard: Heard) -> FloatArray:
    """(T,) at `STEPS_HZ`, 0 closed to 1: how open the mouth is by phones and by what `opening` says.

    Concretely t OPENNESS[phone] + (1 - t) opening, t = the trust of all times the trust of the phone that sounds.
    """
    steps = np.arange(len(heard.opening))
    if not heard.phones:
        return heard.opening
    index = step_phones(heard.phones, len(steps))
    trust = heard.trust * np.array([phone.trust for phone in heard.phones])[index]
    open_wide = np.array([OPENNESS[phone.name] for phone in heard.phones])[index]
    return (trust * open_wide + (1 - trust) * heard.opening).astype(np.float32)


def step_phones(phones: tuple[Phone, ...], steps: int) -> np.ndarray:
    """(steps,) the number of the phone that sounds in the middle of each step."""
    middles = (np.arange(steps) + 0.5) / STEPS_HZ
    return np.clip(np.searchsorted([phone.end_s for phone in phones], middles, "right"), 0, len(phones) - 1)
