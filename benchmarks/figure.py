"""One measured figure beside the target it has to reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A figure.

    value: what was measured. target: what it must reach, or None for a figure that only informs.
    at_most: the target is an upper bound, else a lower one. unit: "ms", "°", "x" (a ratio of one run) or "".
    """

    name: str
    value: float
    target: float | None = None
    at_most: bool = True
    unit: str = ""

    @property
    def ok(self) -> bool:
        """Whether the target is reached; a value that is no number never reaches one."""
        if self.target is None:
            return True
        return self.value <= self.target if self.at_most else self.value >= self.target

    def row(self) -> tuple[str, str, str, str]:
        """Name, value, target and verdict as a table shows them."""
        target = "" if self.target is None else f"{'<=' if self.at_most else '>='} {self.target:g} {self.unit}".rstrip()
        verdict = "" if self.target is None else "ok" if self.ok else "FALLS SHORT"
        return self.name, f"{self.value:.4g} {self.unit}".rstrip(), target, verdict


def table(figures: Iterable[Figure]) -> str:
    """The figures as aligned lines: name, value, target, verdict."""
    rows = [("figure", "value", "target", ""), *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
