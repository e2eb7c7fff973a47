"""What a parity check is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Error:
    """How far one quantity is from the reference. It passes when `error` is at most `tolerance` (NaN fails)."""

    quantity: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Check:
    """A comparison with a reference file `<name>.safetensors`.

    run: gets the file and gives every error. compares: what is compared, for people.
    """

    name: str
    compares: str
    run: Callable[[Path], list[Error]]
