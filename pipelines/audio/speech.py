"""`Speech`: a sound as the analysis takes it, one channel at 16 kHz, whatever it was before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

#: What every recogniser of speech takes.
RATE_HZ = 16_000
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000


@dataclass(frozen=True, eq=False)
class Speech:
    """What is heard. samples: (N,) float32, one channel at `RATE_HZ`, nominally in [-1, 1]; at least one sample."""

    samples: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or len(self.samples) == 0:
            raise InputError(f"The sound has the shape {self.samples.shape}: one channel and a sample are needed.")
        if not np.isfinite(self.samples).all():
            raise InputError("The sound has samples that are NaN or infinite: the step that made it has failed.")

    @property
    def duration_s(self) -> float:
        """How long it sounds."""
        return len(self.samples) / RATE_HZ
