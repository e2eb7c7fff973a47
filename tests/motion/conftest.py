"""Motions whose every number is known."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.pipelines.motion.motion import Motion, motion_from_values


@pytest.fixture
def random_motion() -> Motion:
    """40 frames at 25 per second, all values between 0 and 0.3, no extra channels."""
    random = np.random.default_rng(5)
    return motion_from_values(25.0, random.uniform(0, 0.3, (40, 58)).astype(np.float32))
