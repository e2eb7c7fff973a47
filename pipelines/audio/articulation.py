"""The mouth of a speech: phones that run into each other (coarticulation), lips that close, loudness where no phone is.

Each phone pulls every articulator towards its target with a dominance that is full while it sounds and fades before and
after; what a face shows is the mean of all targets weighted by their dominance (Cohen and Massaro, Modeling
Coarticulation in Synthetic Visual Speech, 1993, equations 1 to 4, with their exponent c = 1).

Frame i of a motion is seen from i / fps to (i + 1) / fps, so it shows the mouth of the middle of that time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..face import FloatArray, as_float_array
from ..motion.channels import ARKIT_NAMES, INDEX
from ..motion.motion import MAX_FRAMES, checked_fps
from ..motion.timing import smooth_step
from .heard import SILENCE, STEPS_HZ, UNDERSTOOD, Heard
from .phone_shapes import (
    CHANNELS,
    CLOSED_SHARE,
    FADES_HZ,
    GLIDE_SHARE,
    GROUPS,
    arkit_columns,
    group_columns,
    rows_of_phone,
    tables,
)
from .prosody import smoothed

#: Neighbours on each side that a moment looks at, and the time after which none counts any more.
_NEIGHBOURS, _REACH_S = 9, 0.28

#: How long lips take to meet before a closed sound and to part after it: they burst open faster than they close
#: (Löfqvist and Gracco 1997).
_MEETING_S, _PARTING_S = 0.07, 0.035

#: How far each channel parts the lips at 1, against a jaw at 1; and how far a full pucker draws an opening shut.
_PARTING = {"jawOpen": 1.0, "mouthUpperUp": 0.15, "mouthLowerDown": 0.35, "mouthFunnel": 0.27}
_PUCKERED = 0.6

#: How much of a funnel becomes a pucker when the lips close.
_SHUT_FUNNEL = 0.4

#: Below this parting lips also draw together, by up to `_DRAWN`: a mouth that is open at rest talks with lips that
#: nearly meet. What parts them grows by as much, so that a mouth that is closed at rest opens as far as ever.
_NARROW, _DRAWN = 0.22, 0.72

#: A pause keeps the lips drawn together for a while, then they go back to how the portrait holds them.
_HELD_S, _RELAX_S, _READY_S = 0.5, 0.7, 0.25

#: What the widest opening that loudness tells of does to the mouth.
_LOUD = {"jawOpen": 0.22, "mouthUpperUp": 0.08, "mouthLowerDown": 0.15}

#: Where a phone is not understood the loudness takes over, eased over this time.
_EASED_S = 0.04


@dataclass(frozen=True)
class _Parts:
    """The phones as parts with one target each: when they begin and end, their row in `tables`, their trust."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    row: NDArray[np.int64]
    trust: NDArray[np.float64]


def frame_count(duration_s: float, fps: float) -> int:
    """Frames that show a sound to its end, at least one. Raises InputError for more than a motion can have."""
    count = max(int(np.ceil(duration_s * checked_fps(fps) - 1e-6)), 1)
    if count > MAX_FRAMES:
        raise InputError(
            f"{duration_s:.0f} s of sound at {fps:g} frames per second are {count} frames, a motion has at most "
            f"{MAX_FRAMES}: cut the sound into parts."
        )
    return count


def frame_times(count: int, fps: float) -> NDArray[np.float64]:
    """(count,) s: the moment that each frame shows, the middle of the time in which it is seen."""
    return (np.arange(count, dtype=np.float64) + 0.5) / fps


def mouth_shapes(
    heard: Heard, fps: float, effort: FloatArray, strength: float = 1.0, clarity: float = 1.0
) -> FloatArray:
    """(T, 52) blendshapes of the mouth, in the order of `ARKIT_NAMES`; T is `frame_count`.

    heard: phones count by its trust and by their own, the rest of it comes from its opening. effort: (T,) how far each
    moment opens the mouth, 1 as usual. strength: dial on everything but lips that close, 0 to 2. clarity: 1 as people
    talk, 0.5 slurs, 2 makes every sound its own. Closed sounds close the lips in at least one frame, the one that
    shows their middle.
    Raises InputError for another number of efforts and dials out of range.
    """
    count = frame_count(heard.duration_s, fps)
    if effort.shape != (count,):
        raise InputError(f"The effort has the shape {effort.shape}, ({count},) is needed.")
    if not 0 <= strength <= 2 or not 0.25 <= clarity <= 4:
        raise InputError(f"strength {strength} and clarity {clarity} are not within 0 to 2 and 0.25 to 4.")
    times = frame_times(count, fps)
    loud = _from_loudness(heard, times, 1 / fps)
    closed = np.zeros(count)
    spoken = np.zeros((count, len(CHANNELS)))
    trust = np.zeros(count)
    if heard.trust > 0 and heard.phones:
        parts = _parts(heard)
        spoken = _blended(parts, times, clarity)
        closed = _closures(heard, times, fps)
        trust = heard.trust * _understood(parts, times)
    shapes = trust[:, None] * spoken + (1 - trust[:, None]) * loud
    shapes *= strength * np.where(_opens(), effort[:, None], 1.0)
    drawn = _pauses(heard, times)
    return _as_blendshapes(shapes, closed, drawn)


def lips_apart(blendshapes: FloatArray) -> FloatArray:
    """(T,) how far the lips of a motion part, 0 closed, against a jaw that opens fully: what a lip reader follows.

    blendshapes: (T, 52). Concretely (jawOpen + the other parting channels, weighted) * (1 - mouthClose) *
    (1 - 0.6 mouthPucker).
    """
    parted = np.zeros(len(blendshapes))
    for name, weight in _PARTING.items():
        parted += weight * blendshapes[:, list(arkit_columns(name))].mean(1)
    closing, pucker = (np.clip(blendshapes[:, INDEX[name]], 0, 1) for name in ("mouthClose", "mouthPucker"))
    return as_float_array(np.maximum(parted, 0) * (1 - closing) * (1 - _PUCKERED * pucker))


def _parts(heard: Heard) -> _Parts:
    rows = rows_of_phone()
    found: list[tuple[float, float, int, float]] = []
    for phone in heard.phones:
        own = rows[phone.name]
        edges = np.linspace(phone.start_s, phone.end_s, 2) if len(own) == 1 else _gliding(phone.start_s, phone.end_s)
        found += [(edges[i], edges[i + 1], own[i], phone.trust) for i in range(len(own))]
    start, end, row, trust = (np.array(column) for column in zip(*found, strict=True))
    return _Parts(start, end, row.astype(np.int64), trust)


def _understood(parts: _Parts, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,) 0 to 1: whether what sounds was understood, eased over its neighbours."""
    steps = (np.arange(int(np.ceil(parts.end[-1] * STEPS_HZ)), dtype=np.float64) + 0.5) / STEPS_HZ
    here = np.clip(np.searchsorted(parts.end, steps, "right"), 0, len(parts.end) - 1)
    certain = np.clip(parts.trust[here] / UNDERSTOOD, 0, 1)
    return np.clip(np.interp(times, steps, smoothed(as_float_array(certain), _EASED_S)), 0, 1)


def _gliding(start: float, end: float) -> NDArray[np.float64]:
    return np.array([start, start + GLIDE_SHARE * (end - start), end])


def _blended(parts: _Parts, times: NDArray[np.float64], clarity: float) -> NDArray[np.float64]:
    """(T, C): the mean of the targets of what is near each moment, weighted by dominance."""
    targets, insist = tables()
    here = np.clip(np.searchsorted(parts.end, times, "right"), 0, len(parts.end) - 1)
    total = np.zeros((len(times), len(CHANNELS)))
    weight = np.full((len(times), len(GROUPS)), 1e-9)
    for step in range(-_NEIGHBOURS, _NEIGHBOURS + 1):
        near = here + step
        there = (near >= 0) & (near < len(parts.end))
        near = np.clip(near, 0, len(parts.end) - 1)
        row = parts.row[near]
        early, late = parts.start[near] - times, times - parts.end[near]
        distance = np.maximum(np.maximum(early, late), 0)
        window = there * (1 - smooth_step(np.clip(distance / _REACH_S, 0, 1))) * (0.3 + 0.7 * parts.trust[near])
        for group, (columns, (before, after)) in enumerate(zip(group_columns(), FADES_HZ.values(), strict=True)):
            fade = np.exp(-clarity * np.where(early > 0, before, after) * distance)
            dominance = window * fade * insist[row, group]
            weight[:, group] += dominance
            total[:, columns] += dominance[:, None] * targets[row][:, columns]
    for group, columns in enumerate(group_columns()):
        total[:, columns] /= weight[:, group : group + 1]
    return total


def _closures(heard: Heard, times: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """(T,) 0 to 1: lips that meet for p, b and m; fully in every frame that shows one, and in one frame at least."""
    closed = np.zeros(len(times))
    for phone in heard.phones:
        share = CLOSED_SHARE.get(phone.name)
        if share is None:
            continue
        full = min(heard.trust * phone.trust / UNDERSTOOD, 1.0)
        end = phone.start_s + share * (phone.end_s - phone.start_s)
        first, last = np.searchsorted(times, [phone.start_s - _MEETING_S, end + _PARTING_S])
        near = times[first:last]
        meeting = smooth_step(np.clip((phone.start_s - near) / _MEETING_S, 0, 1))
        parting = smooth_step(np.clip((near - end) / _PARTING_S, 0, 1))
        closed[first:last] = np.maximum(closed[first:last], full * (1 - np.maximum(meeting, parting)))
        middle = min(int((phone.start_s + end) / 2 * fps), len(times) - 1)
        closed[middle] = max(closed[middle], full)
    return closed


def _from_loudness(heard: Heard, times: NDArray[np.float64], frame_s: float) -> NDArray[np.float64]:
    """(T, C): what the opening of `Heard` does to the mouth, averaged over each frame."""
    steps = np.concatenate([[0.0], np.cumsum(np.clip(heard.opening, 0, 1))])
    edges = np.arange(len(steps)) / STEPS_HZ
    low, high = np.clip(times - frame_s / 2, 0, edges[-1]), np.clip(times + frame_s / 2, 0, edges[-1])
    span = np.maximum(high - low, 1e-9) * STEPS_HZ
    opening = (np.interp(high, edges, steps) - np.interp(low, edges, steps)) / span
    return opening[:, None] * np.array([_LOUD.get(name, 0.0) for name in CHANNELS])


def _opens() -> NDArray[np.bool_]:
    return np.array([name in ("jawOpen", "mouthUpperUp", "mouthLowerDown") for name in CHANNELS])


def _pauses(heard: Heard, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,) how far lips draw together where little parts them: 1 in speech, 0 when it is long over."""
    spans = [(p.start_s, p.end_s) for p in heard.phones if p.name != SILENCE] if heard.trust > 0 else []
    if not spans:
        sounding = np.flatnonzero(heard.opening > 0.05) / STEPS_HZ
        spans = [(float(at), float(at) + 1 / STEPS_HZ) for at in sounding]
    if not spans:
        return np.zeros(len(times))
    starts, ends = (np.array(column) for column in zip(*spans, strict=True))
    following = np.searchsorted(ends, times, "right")  # the first sound that is not over yet
    until = np.where(following < len(starts), starts[np.minimum(following, len(starts) - 1)] - times, np.inf)
    since = np.where(following > 0, times - ends[np.maximum(following - 1, 0)], np.inf)
    ready = 1 - smooth_step(np.clip(until / _READY_S, 0, 1))
    held = 1 - smooth_step(np.clip((since - _HELD_S) / _RELAX_S, 0, 1))
    return np.maximum(ready, held)


def _as_blendshapes(shapes: NDArray[np.float64], closed: NDArray[np.float64], drawn: NDArray[np.float64]) -> FloatArray:
    """(T, 52) from (T, C), with the lips drawn together where they are narrow and closed where they are."""
    out = np.zeros((len(shapes), len(ARKIT_NAMES)))
    parted = np.zeros(len(shapes))
    for column, name in enumerate(CHANNELS):
        parted += _PARTING.get(name, 0.0) * shapes[:, column]
    narrow = _DRAWN * drawn * (1 - np.clip(parted / _NARROW, 0, 1))
    # lips that are shut round by pushing forward: a funnel is open
    funnel, pucker = CHANNELS.index("mouthFunnel"), CHANNELS.index("mouthPucker")
    shapes[:, pucker] += _SHUT_FUNNEL * closed * shapes[:, funnel]
    shapes[:, funnel] *= 1 - closed
    for column, name in enumerate(CHANNELS):
        values = shapes[:, column] / (1 - narrow) if name in _PARTING else shapes[:, column]
        out[:, list(arkit_columns(name))] = values[:, None]
    out[:, INDEX["mouthClose"]] = np.maximum(closed, narrow)
    return as_float_array(np.clip(out, -1, 1))
