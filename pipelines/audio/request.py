"""`Request`: what is known of a speech before anybody listens to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import InputError

#: Languages that a listener can be told; "other" is any that is not in the list, "auto" lets the sound decide.
LANGUAGES = ("auto", "en", "other")


@dataclass(frozen=True)
class Request:
    """What a listener may use besides the sound.

    transcript: the words that are said, or "". language: of `LANGUAGES`. features: what an encoder of ComfyUI made of
    the same sound, with the head that reads it; None without one.
    """

    transcript: str = ""
    language: str = "auto"
    features: Any = None

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise InputError(f"There is no language {self.language!r}; there are {', '.join(LANGUAGES)}.")
