"""Products of matrices that stay on one core: on a busy machine the threads of numpy's OpenBLAS wait for each other for
longer than they work (50 times as long was measured with two cores and nine processes)."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

#: OpenBLAS takes one thread for products of at most 4 * 65536 multiplications; half of that is as fast.
MOST_WORK = 1 << 17


Number = TypeVar("Number", np.float32, np.float64)


def product(rows: NDArray[Number], matrix: NDArray[Number]) -> NDArray[Number]:
    """rows (N, K) @ matrix (K, M), some rows at a time."""
    step = max(MOST_WORK // matrix.size, 1)
    whole = len(rows) // step * step
    out = np.empty((len(rows), matrix.shape[1]), rows.dtype)
    np.matmul(rows[:whole].reshape(-1, step, rows.shape[1]), matrix, out=out[:whole].reshape(-1, step, matrix.shape[1]))
    if whole < len(rows):
        out[whole:] = rows[whole:] @ matrix
    return out
