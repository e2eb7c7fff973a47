"""How work on a sound tells how far it is and learns that the user has cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """A progress bar; `update` raises when the user has cancelled."""

    def update(self, steps: int = 1) -> None: ...


#: Makes the progress bar of a number of steps, as `Runtime.progress` does.
Watch = Callable[[int], Progress]


class _Unwatched:
    def update(self, steps: int = 1) -> None:
        """Nobody looks."""


def unwatched(total: int) -> Progress:
    """A progress bar that nobody looks at."""
    return _Unwatched()
