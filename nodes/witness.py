"""What took part while a node works: the networks that were made ready, and the people met in a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from ..pipelines.safety.statement import Track


class MetPeople(Protocol):
    """A work on a video that remembers whom it has met."""

    def tracks(self) -> Sequence[Track]: ...


class Witness:
    """took_part: in the order of their first use. works: on videos."""

    def __init__(self) -> None:
        self.took_part: dict[int, Any] = {}
        self.works: list[MetPeople] = []


#: The nodes that work now, the innermost last: ComfyUI runs one after the other, their own threads see them too.
_watching: list[Witness] = []


@contextmanager
def watching() -> Iterator[Witness]:
    """Watch what takes part until the block ends."""
    witness = Witness()
    _watching.append(witness)
    try:
        yield witness
    finally:
        _watching.remove(witness)


def took_part(value: Any) -> None:
    """A network, or what holds some, is about to be used by the nodes that work now."""
    for witness in _watching:
        witness.took_part.setdefault(id(value), value)


def works_on_a_video(work: MetPeople) -> None:
    """Somebody who will have met the people of a video when the nodes that work now have finished."""
    for witness in _watching:
        witness.works.append(work)
