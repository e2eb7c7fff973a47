"""What the head and the brows do with a speech, and how it breathes.

Heads nod and brows rise with stressed syllables and follow the pitch (Cavé et al. 1996; Munhall et al. 2004; Busso et
al. 2007), the rest of it is chance. Sizes stay within what one photo can show: six degrees.
"""

from __future__ import annotations

import numpy as np

from ..face import FloatArray, as_float_array
from ..motion.channels import ARKIT_NAMES, INDEX
from ..motion.timing import smooth_step
from .chance import Times, bumps, dice, wandering
from .heard import STEPS_HZ
from .prosody import Prosody, smoothed

#: No turn of a talking head goes beyond this.
TURN_LIMIT_RAD = float(np.deg2rad(6))

#: Degrees: of a nod, per semitone of pitch, of the slow wandering (pitch, yaw, roll), of a new posture after a pause.
_NOD, _PER_SEMITONE, _WANDER, _POSTURE = 1.7, 0.16, (0.65, 1.25, 0.8), (0.7, 1.4, 0.9)

#: A syllable nods from this stress on, and the shortest time between two nods and between two raises of the brows.
_NODS, _NOD_APART_S, _BROW_APART_S = 0.5, 0.45, 1.1

#: An inhalation before a phrase, the shortest pause for one, and the time in which a breath goes out again.
_INHALE_S, _BREATH_PAUSE_S, _EXHALE_S = 0.55, 0.3, 3.2


def at_times(steps: FloatArray, times: Times) -> Times:
    """What was measured every 10 ms at any times in seconds."""
    return np.interp(times, (np.arange(len(steps)) + 0.5) / STEPS_HZ, steps)


def speaking(prosody: Prosody, times: Times) -> Times:
    """(T,) 1 where something is said, 0 in pauses, eased over 0.3 s."""
    said = np.ones(len(prosody.voiced), np.float32)
    for start, end in prosody.pauses:
        said[round(start * STEPS_HZ) : round(end * STEPS_HZ)] = 0
    return np.clip(at_times(smoothed(said, 0.15), times), 0, 1)


def effort(prosody: Prosody, times: Times) -> FloatArray:
    """(T,) how far the mouth opens against usual: louder and stressed syllables open it more, 0.6 to 1.4."""
    loud = at_times(smoothed(np.clip(prosody.loud_db, -15, 15), 0.06), times)
    factor = 1 + 0.025 * np.clip(loud, -10, 10)
    if prosody.syllables:
        at = np.array([syllable.at_s for syllable in prosody.syllables])
        stress = np.array([syllable.stress for syllable in prosody.syllables])
        factor += 0.35 * (np.interp(times, at, stress) - 0.35)
    return as_float_array(np.clip(factor, 0.6, 1.4))


def head_turns(prosody: Prosody, times: Times, amount: float, seed: int) -> FloatArray:
    """(T, 3) pitch, yaw, roll in radians, within `TURN_LIMIT_RAD`; amount 1 as people do."""
    random, said = dice(seed, "head"), speaking(prosody, times)
    turns = np.zeros((len(times), 3))
    for axis, size in enumerate(_WANDER):
        slow, quick = (wandering(times, every, seed, f"head{axis}{every}") for every in (2.6, 0.9))
        turns[:, axis] = size * (0.85 * slow * (0.4 + 0.6 * said) + 0.35 * quick * (0.1 + 0.9 * said))
    turns += _postures(prosody, times, seed)
    turns[:, 0] -= _PER_SEMITONE * said * np.clip(at_times(smoothed(prosody.semitones, 0.12), times), -8, 8)
    nods, heights = _nods(prosody, random)
    turns[:, 0] += bumps(times, nods, heights, 0.16, 0.34)
    limit = np.rad2deg(TURN_LIMIT_RAD)
    return as_float_array(np.deg2rad(limit * np.tanh(amount * turns / limit)))


def brow_shapes(prosody: Prosody, times: Times, amount: float, seed: int) -> FloatArray:
    """(T, 52) the brows: raised with some stressed syllables and with high pitch, a little restless in between."""
    out = np.zeros((len(times), len(ARKIT_NAMES)))
    random, said = dice(seed, "brows"), speaking(prosody, times)
    at: list[float] = []
    heights: list[float] = []
    for syllable in prosody.syllables:
        chance, height = random.random(), random.uniform(0.14, 0.34)
        if chance < 0.9 * (syllable.stress - 0.45) and (not at or syllable.at_s - at[-1] > _BROW_APART_S):
            at.append(syllable.at_s)
            heights.append(float(height))
    raised = bumps(times, np.array(at), np.array(heights), 0.18, 0.45)
    high = np.clip(at_times(smoothed(prosody.semitones, 0.15), times), 0, 8) * 0.016 * said
    restless = 0.035 * (0.3 + 0.7 * said) * wandering(times, 1.7, seed, "browmood")
    inner = raised + high + restless
    outer = 0.75 * raised + 0.8 * high + 0.6 * restless + 0.01 * wandering(times, 3.1, seed, "browodd")
    out[:, INDEX["browInnerUp"]] = np.maximum(inner, 0)
    for side in ("Left", "Right"):
        out[:, INDEX[f"browOuterUp{side}"]] = np.maximum(outer, 0)
        out[:, INDEX[f"browDown{side}"]] = np.maximum(-inner, 0)
    return as_float_array(np.clip(amount * out, 0, 1))


def breathing(prosody: Prosody, times: Times, amount: float, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Breath: (T, 52) blendshapes, (T, 3) turns in radians, (T, 3) shifts in distances between the eyes.

    The head rises as the lungs fill, nostrils widen; before a phrase the lips part a little to take the breath in.
    """
    inhales = _inhales(prosody, seed)
    lungs, drawing = np.zeros(len(times)), np.zeros(len(times))
    if inhales:
        start, end, from_ = np.array(inhales).T
        number = np.searchsorted(start, times, "right") - 1
        known = number >= 0
        number = np.maximum(number, 0)
        share = np.clip((times - start[number]) / (end - start)[number], 0, 1)
        full = from_[number] + (1 - from_[number]) * smooth_step(share)
        out = smooth_step(np.clip((times - end[number]) / _EXHALE_S, 0, 1))
        lungs = known * full * (1 - out)
        drawing = known * np.sin(share * np.pi) ** 2
    shapes, turns, shifts = (np.zeros((len(times), width)) for width in (len(ARKIT_NAMES), 3, 3))
    shapes[:, INDEX["noseSneerLeft"]] = shapes[:, INDEX["noseSneerRight"]] = 0.05 * drawing
    shapes[:, INDEX["jawOpen"]] = 0.018 * drawing
    turns[:, 0] = np.deg2rad(-0.5) * lungs
    shifts[:, 1], shifts[:, 2] = 0.010 * lungs, 0.006 * lungs
    return as_float_array(amount * shapes), as_float_array(amount * turns), as_float_array(amount * shifts)


def _nods(prosody: Prosody, random: np.random.Generator) -> tuple[Times, Times]:
    at: list[float] = []
    heights: list[float] = []
    for syllable in prosody.syllables:
        chance, height = random.random(), random.uniform(0.6, 1.4)
        far = not at or syllable.at_s - at[-1] > _NOD_APART_S
        if far and syllable.stress > _NODS and chance < 0.35 + syllable.stress * 0.6:
            at.append(syllable.at_s + 0.03)
            heights.append(_NOD * float(height) * syllable.stress)
    return np.array(at), np.array(heights)


def _postures(prosody: Prosody, times: Times, seed: int) -> Times:
    """(T, 3) degrees: the head settles anew at the end of every pause."""
    random = dice(seed, "posture")
    out = np.zeros((len(times), 3))
    before = np.zeros(3)
    for _, end in prosody.pauses:
        after = random.standard_normal(3) * _POSTURE
        first = int(np.searchsorted(times, end - 0.45))
        share = smooth_step(np.clip((times[first:] - end + 0.45) / 0.8, 0, 1))
        last = first + int(np.searchsorted(share, 1.0)) + 1
        out[first:last] = before + share[: last - first, None] * (after - before)
        out[last:] = after
        before = after
    return out


def _inhales(prosody: Prosody, seed: int) -> list[tuple[float, float, float]]:
    """Start, end, and how full the lungs are at the start, of every inhalation."""
    random = dice(seed, "breath")
    found: list[tuple[float, float, float]] = []

    def inhale(start: float, end: float) -> None:
        since = (start - found[-1][1]) / _EXHALE_S if found else 1.0
        found.append((start, end, 1 - float(smooth_step(np.clip(np.array(since), 0, 1)))))

    for start, end in prosody.pauses:
        if end - start < _BREATH_PAUSE_S:
            continue
        talks_on = end < prosody.duration_s - 0.05
        now = start + float(random.uniform(0.5, 1.0))
        while now + 1.3 < end - (1.6 if talks_on else 0.0):
            length = float(random.uniform(1.1, 1.5))
            inhale(now, now + length)
            now += length + float(random.uniform(2.2, 3.2))
        if talks_on:
            inhale(max(end - _INHALE_S, start), end)
    return found
