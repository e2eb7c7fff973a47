"""`Heard`: the phones of a speech and what its loudness says of the mouth, whichever backend listened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..face import FloatArray, as_float_array

#: Steps per second of `Heard.opening`.
STEPS_HZ = 100
SILENCE = "SIL"
#: From this trust on a phone counts as understood.
UNDERSTOOD = 0.4
#: The phones of the CMU dictionary without stress marks, and silence.
ARPABET = tuple(
    """
    AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH SIL
    """.split()
)


@dataclass(frozen=True)
class Phone:
    """One sound of speech. name: of `ARPABET`. start_s, end_s: when. trust: 0 to 1, how sure the backend is of it."""

    name: str
    start_s: float
    end_s: float
    trust: float = 1.0


@dataclass(frozen=True, eq=False)
class Heard:
    """What a backend heard in a speech.

    duration_s: of the speech. phones: in order and without gaps from 0 to the end, silence named `SILENCE`; empty from
    a backend that hears no phones. opening: (T,) at `STEPS_HZ`, 0 closed to 1 widest open, what the sound says of
    the mouth without deciding for one phone: by loudness, and by how open all likely phones are. trust: 0 to 1, how far
    the phones count against `opening` (1: only phones, 0: only `opening`). backend: its name. said: what it has to
    report, one line each.
    """

    duration_s: float
    phones: tuple[Phone, ...]
    opening: FloatArray
    trust: float
    backend: str
    said: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "opening", as_float_array(self.opening))
        steps = max(round(self.duration_s * STEPS_HZ), 1)
        if self.opening.shape != (steps,) or not np.isfinite(self.opening).all():
            raise InputError(f"The opening has the shape {self.opening.shape}, ({steps},) finite numbers are needed.")
        end = 0.0
        for phone in self.phones:
            if phone.name not in ARPABET or abs(phone.start_s - end) > 1e-6 or phone.end_s <= phone.start_s:
                raise InputError(f"{phone} does not follow the phone that ends at {end:.3f} s.")
            end = phone.end_s
        if self.phones and abs(end - self.duration_s) > 1e-6:
            raise InputError(f"The phones end at {end:.3f} s, the speech at {self.duration_s:.3f} s.")
