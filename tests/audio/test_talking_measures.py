"""The figures of a talking portrait measure what they say."""

from dataclasses import replace

import numpy as np
import pytest

from likeness.benchmarks.talking import FPS, Talk, closed_share, closures, correlation, lip_gap, sync
from likeness.pipelines.audio.heard import STEPS_HZ
from likeness.pipelines.audio.visemes import opening_curve
from likeness.tests.audio.spoken import heard_of

SENTENCE = "HH IY W AH Z N AA:0.2 T AH N IH L D IH S P OW:0.15 Z D Y AH NG M AE:0.2 N K AA:0.3 T"


def talk_late_by(seconds, gaps=None):
    """A perfect mouth that is late: each frame shows the opening of its middle, some time before."""
    truth = heard_of(f"{SENTENCE} SIL:0.23 {SENTENCE}", each_s=0.073)  # no multiple of a frame
    curve = opening_curve(truth)
    times = (np.arange(int(truth.duration_s * FPS)) + 0.5) / FPS - seconds
    shown = np.interp(times, (np.arange(len(curve)) + 0.5) / STEPS_HZ, curve).astype(np.float32)
    return Talk(shown if gaps is None else gaps, shown, np.zeros(len(shown)), closures(truth, len(shown)), truth)


@pytest.mark.parametrize("late_ms", [-60, -20, 0, 20, 60])
def test_the_offset_of_late_and_early_lips_is_measured(late_ms):
    offset, agreement = sync([talk_late_by(late_ms / 1000), talk_late_by(late_ms / 1000)])
    assert offset == pytest.approx(late_ms, abs=5)
    assert agreement > 0.85


def test_closed_and_open_lips_at_p_b_and_m_are_counted():
    one = talk_late_by(0)
    assert len(one.closures) == 4
    gaps = np.full(len(one.gaps), 0.1, np.float32)
    gaps[list(one.closures[:2])] = 0.01
    assert closed_share([replace(one, gaps=gaps)]) == 0.5
    assert correlation([one, one]) == pytest.approx(1)


def test_the_gap_between_lips_is_measured_in_eye_distances():
    mesh = np.zeros((478, 3), np.float32)
    mesh[[33, 263], 0] = 0, 50
    mesh[[87, 14, 317], 1] = 5
    assert lip_gap(mesh) == pytest.approx(0.1)
