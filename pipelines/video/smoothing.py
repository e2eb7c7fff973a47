"""Steady numbers over time: zero-lag smoothing that looks both ways, and the one-euro filter that looks back only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray, as_float_array

#: Frames on either side that the zero-lag smoother looks at.
LOOK_FRAMES = 6
#: The strong and the light smoother: width in frames, reach in frames, degree of the polynomial.
_STRONG, _LIGHT = (LOOK_FRAMES / 2, LOOK_FRAMES, 1), (1.0, 2, 2)


def polynomial_weights(offsets: NDArray[np.float64], width: float, degree: int) -> NDArray[np.float64]:
    """Weights (N,) that give the value at offset 0 of the polynomial fitted to values at `offsets` (N,).

    Concretely the first row of (XᵀWX)⁻¹XᵀW with a Gaussian W of `width` (Cleveland 1979, local regression); the degree
    falls where there are too few values. They sum to 1 and reproduce every polynomial of that degree: no lag.
    """
    degree = min(degree, len(offsets) - 1)
    powers = offsets[:, None] ** np.arange(degree + 1)
    gaussian = np.exp(-0.5 * (offsets / width) ** 2)
    weighted = powers * gaussian[:, None]
    return np.linalg.solve(powers.T @ weighted, weighted.T)[0]


def smooth_at(offsets: NDArray[np.int64], values: FloatArray, noise: FloatArray) -> FloatArray:
    """The smoothed value (K,) at offset 0.

    offsets: (N,) frames from here, each at most once. values: (N, K). noise: (K,) how much each value trembles when
    nothing moves; 0 takes the light smoother. Concretely strong + (light - strong) * (1 - exp(-(d / 2 noise)²)) with
    d = |light - strong|: a still face gets 13 frames, a moving one no more than the parabola through 5.
    """
    strong, light = (_fit(offsets, values, *setting) for setting in (_STRONG, _LIGHT))
    moved = np.abs(light - strong) / np.maximum(2 * noise, 1e-9)
    return as_float_array(strong + (light - strong) * -np.expm1(-(np.minimum(moved, 8.0) ** 2)))


def _fit(offsets: NDArray[np.int64], values: FloatArray, width: float, reach: int, degree: int) -> FloatArray:
    inside = np.abs(offsets) <= reach
    if not inside.any():
        inside = np.ones_like(inside)
    weights = polynomial_weights(offsets[inside].astype(np.float64), width, degree)
    return as_float_array(weights.astype(np.float32) @ values[inside])


class OneEuro:
    """Low-pass filter that gives way to speed, for live use (Casiez, Roussel and Vogel 2012).

    Frequencies are per frame. least: cut-off of what does not move. beta: how much speed (in units of `noise` per
    frame) raises it. Concretely cut-off = least + beta |speed|, smoothing factor 1 / (1 + 1 / (2π cut-off)).
    """

    def __init__(self, least: float = 0.04, beta: float = 0.1) -> None:
        self._least = least
        self._beta = beta
        self.value = np.zeros(0, np.float32)
        self.speed = np.zeros(0, np.float32)

    def step(self, values: FloatArray, noise: FloatArray) -> FloatArray:
        """The filtered values (K,); noise as in `smooth_at`, where it is 0 the values pass."""
        if len(self.value) == 0:
            self.value, self.speed = values, np.zeros_like(values)
            return values
        speed = values - self.value
        self.speed = as_float_array(self.speed + (speed - self.speed) * _factor(0.08))
        cutoff = as_float_array(self._least + self._beta * np.abs(self.speed) / np.maximum(noise, 1e-9))
        self.value = as_float_array(self.value + speed * _factor(cutoff))
        return self.value


def _factor(cutoff: FloatArray | float) -> FloatArray:
    return as_float_array(1 / (1 + 1 / (2 * np.pi * cutoff)))
