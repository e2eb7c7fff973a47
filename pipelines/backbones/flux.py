"""Where PuLID enters FLUX: after every second double block and every fourth single block."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FluxPlaces:
    """Which injection follows which block: block index → running number of the injection."""

    double: dict[int, int]
    single: dict[int, int]

    @property
    def count(self) -> int:
        return len(self.double) + len(self.single)


#: Distance between two blocks with an injection.
DOUBLE_INTERVAL, SINGLE_INTERVAL = 2, 4
#: Blocks and widths of the published FLUX.1 models.
DOUBLE_BLOCKS, SINGLE_BLOCKS, WIDTH = 19, 38, 3072


def flux_places(double_blocks: int = DOUBLE_BLOCKS, single_blocks: int = SINGLE_BLOCKS) -> FluxPlaces:
    """The places of the injections in a FLUX transformer of this depth, one running number over both lists.

    Source: PuLID, flux/model.py.
    """
    double = {block: number for number, block in enumerate(range(0, double_blocks, DOUBLE_INTERVAL))}
    first = len(double)
    single = {block: first + number for number, block in enumerate(range(0, single_blocks, SINGLE_INTERVAL))}
    return FluxPlaces(double, single)
