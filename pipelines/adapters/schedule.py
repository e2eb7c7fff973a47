"""How an adapter or a prompt changes over the steps of a sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class StepCurve:
    """A factor for the strength at every step.

    knots: (fraction of the steps, factor), fractions ascending from 0 at the first to 1 at the last step; straight
    between knots, flat outside, 1 everywhere without any. wait_steps: so many first steps get 0 (delayed start).
    The steps are those of one sampling: one that starts in the middle of a schedule counts from its own start.
    """

    knots: tuple[tuple[float, float], ...] = ()
    wait_steps: int = 0

    def __post_init__(self) -> None:
        fractions = [fraction for fraction, _ in self.knots]
        if fractions != sorted(set(fractions)) or any(not 0 <= fraction <= 1 for fraction in fractions):
            raise InputError(f"The knots of a curve lie at ascending fractions from 0 to 1, not at {fractions}.")
        if self.wait_steps < 0:
            raise InputError(f"An identity cannot wait for {self.wait_steps} steps: give 0 or more.")

    def factor(self, step: int, steps: int) -> float:
        """The factor at step `step`, counted from 0, of `steps`."""
        if step < self.wait_steps:
            return 0.0
        return interpolate(self.knots, step / (steps - 1) if steps > 1 else 0.0)


#: Ready-made curves; "low" stands for a factor that the user gives.
SHAPES = ("constant", "fade in", "fade out", "strongest in the middle")


def shaped_curve(shape: str, low: float, wait_steps: int) -> StepCurve:
    """A ready-made curve between `low` and 1. Raises InputError for another shape."""
    knots: dict[str, tuple[tuple[float, float], ...]] = {
        "constant": (),
        "fade in": ((0.0, low), (1.0, 1.0)),
        "fade out": ((0.0, 1.0), (1.0, low)),
        "strongest in the middle": ((0.0, low), (0.5, 1.0), (1.0, low)),
    }
    if shape not in knots:
        raise InputError(f"There is no curve {shape!r}: choose one of {', '.join(SHAPES)}.")
    return StepCurve(knots[shape], wait_steps)


def curve_of(shape: str, wait_steps: int, low: float = 1.0, points: str = "") -> StepCurve:
    """A ready-made curve by name, or with "points" the one that `points` spells out."""
    return StepCurve(parse_knots(points), wait_steps) if shape == "points" else shaped_curve(shape, low, wait_steps)


def parse_knots(text: str) -> tuple[tuple[float, float], ...]:
    """`0: 1, 0.5: 0.3` as knots: fractions of the steps and factors. Raises InputError for anything else."""
    parts = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    try:
        knots = [(float(at), float(factor)) for at, factor in (part.split(":") for part in parts)]
    except ValueError as error:
        raise InputError(
            f"{text!r} is no curve: write pairs `fraction: factor`, for example `0: 1, 0.5: 1, 1: 0.2`."
        ) from error
    if not knots or not all(math.isfinite(factor) for _, factor in knots):
        raise InputError(f"A curve needs at least one pair of finite numbers `fraction: factor`, not {text!r}.")
    return tuple(knots)


def describe_curve(curve: StepCurve, steps: int) -> str:
    """The factor at every one of `steps` steps."""
    factors = " ".join(f"{curve.factor(step, steps):.2f}" for step in range(steps))
    return f"Factor of the strength at each of {steps} steps: {factors}"


def interpolate(knots: Sequence[tuple[float, float]], fraction: float) -> float:
    """The height of a piecewise straight curve; 1 where there is no knot."""
    if not knots:
        return 1.0
    for (x0, y0), (x1, y1) in zip(knots, knots[1:]):  # noqa: B905 - neighbours: one shorter by intent
        if x0 <= fraction <= x1:
            return y0 + (y1 - y0) * (fraction - x0) / (x1 - x0)
    return knots[0][1] if fraction < knots[0][0] else knots[-1][1]


def step_of(sigma: float, sigmas: Sequence[float]) -> int:
    """Which step of a sampling a model call belongs to.

    sigma: of the call. sigmas: of the sampling, descending, one more than steps. The noise level alone decides, so
    that a strength is the same wherever a sampler looks twice: calls between two levels, which samplers of higher
    order make, belong to the earlier step, and a call at the very level where a step begins belongs to that step
    (Heun's second look, too).
    """
    after = next((index for index, bound in enumerate(sigmas) if sigma > bound * (1 + 1e-6)), len(sigmas))
    return max(0, min(after - 1, len(sigmas) - 2))


def text_steps(steps: int, start_merge_step: int | None = None, alpha: float = 1.0) -> int:
    """How many of the first steps see the prompt without the identity, by the rules of the published pipelines.

    start_merge_step: text while index ≤ it (FastComposer's script, PhotoMaker, ConsistentID), so 0 still gives one.
    Without it alpha in [0, 1]: text while index ≤ (1 - alpha) · steps, in doubles and not rounded (FastComposer).
    """
    threshold = start_merge_step if start_merge_step is not None else (1 - alpha) * steps
    return sum(index <= threshold for index in range(steps))
