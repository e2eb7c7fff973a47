"""The emotion of a speech, from how it is said or as somebody chooses, as a motion over time.

A voice says much about arousal and little about valence: pitch, its range, loudness and rate rise together in joy, rage
and fear and fall in sadness (Juslin and Laukka 2003, tables 5 and 7); what tells joy from anger is that joy rises in
pitch more than in loudness and anger the other way round (Banse and Scherer 1996). So what is heard is kept mild, and
whoever knows better chooses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..face import FloatArray, as_float_array
from ..motion.channels import ARKIT_NAMES, INDEX
from ..motion.emotions import EMOTIONS, emotion_values
from ..motion.motion import Motion
from ..motion.timing import smooth_step
from .articulation import frame_count, frame_times
from .chance import Times
from .gestures import at_times, speaking
from .heard import STEPS_HZ, Heard
from .prosody import Prosody, prosody_of, smoothed
from .speech import Speech

FROM_VOICE = "from the voice"
#: What `speech_emotion` can be told.
CHOICES = (FROM_VOICE, *EMOTIONS)

#: Seconds over which an emotion is heard: shorter is a stressed word.
_MOOD_S = 1.2

#: How long a chosen emotion takes to come.
_RISE_S = 0.5

#: Usual values of a read text and what is a clear deviation: range of pitch in semitones, syllables per second.
_RANGE, _RATE = (2.8, 1.5), (4.3, 1.3)

#: Clear deviations of pitch in semitones and of loudness in dB from the speaker's own usual.
_HIGHER, _LOUDER = 4.0, 5.0

#: A mood nearer to the middle than this is how people read and talk when nothing moves them.
_CALM = 0.3

#: Valence and arousal of the emotions that a voice is told by (Russell 1980, read from figure 4), scaled to 1.
_CIRCLE = {"happiness": (0.89, 0.45), "surprise": (0.35, 0.94), "anger": (-0.55, 0.84), "sadness": (-0.80, -0.60)}


@dataclass(frozen=True, eq=False)
class Mood:
    """What a voice tells every 10 ms: arousal and valence (T,), each -1 to 1, 0 as usual."""

    arousal: FloatArray
    valence: FloatArray


def mood_of(prosody: Prosody) -> Mood:
    """How aroused and how pleasant a voice sounds, over time.

    Concretely hyperbolic tangents of weighted sums of deviations: of pitch and loudness from what the speaker usually
    does, of the range of pitch and the rate of syllables from what a read text has; each over about a second.
    """
    count = len(prosody.voiced)
    if not prosody.voiced.any():
        return Mood(np.zeros(count, np.float32), np.zeros(count, np.float32))
    voiced = prosody.voiced.astype(np.float64)
    weight = smoothed(as_float_array(voiced), _MOOD_S) + 1e-3
    semitones = np.where(prosody.voiced, prosody.semitones, 0.0)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return smoothed(as_float_array(values * voiced), _MOOD_S) / weight

    higher = mean(semitones)
    # absolute and clipped: creaks and octaves that the pitch jumps by count for little
    spread = 1.25 * mean(np.abs(np.clip(semitones - higher, -6, 6)))
    louder = mean(np.clip(prosody.loud_db.astype(np.float64), -12, 12))
    higher, louder = higher / _HIGHER, louder / _LOUDER
    wider = (spread - _RANGE[0]) / _RANGE[1]
    faster = (_rates(prosody) - _RATE[0]) / _RATE[1]
    sounds = np.clip(2 * weight, 0, 1)
    arousal = np.tanh(0.45 * higher + 0.45 * louder + 0.35 * wider + 0.25 * faster) * sounds
    valence = np.tanh(0.55 * higher + 0.30 * wider - 0.45 * louder) * sounds
    return Mood(as_float_array(arousal), as_float_array(valence))


def speech_emotion(
    speech: Speech, heard: Heard, emotion: str = FROM_VOICE, strength: float = 1.0, fps: float = 25.0
) -> tuple[Motion, str]:
    """The emotion of a speech as a motion of the same length, and a text that says what it is.

    emotion: of `CHOICES`. A chosen one is there all the time, more where the voice is aroused, less in pauses.
    strength: 0 to 1.5. `with_emotion` blends it with the motion of the mouth. Raises InputError for another emotion or
    strength.
    """
    return felt(prosody_of(speech, heard), emotion, strength, fps)


def felt(prosody: Prosody, emotion: str, strength: float, fps: float) -> tuple[Motion, str]:
    """`speech_emotion` of a prosody that is known already."""
    if emotion not in CHOICES:
        raise InputError(f"{emotion!r} is none of the emotions {', '.join(CHOICES)}.")
    times = frame_times(frame_count(prosody.duration_s, fps), fps)
    mood = mood_of(prosody)
    shares = _heard(mood, prosody, times) if emotion == FROM_VOICE else {emotion: _chosen(mood, prosody, times)}
    shapes = np.zeros((len(times), len(ARKIT_NAMES)))
    for name, share in shares.items():
        for channel, value in emotion_values(name, strength).items():
            shapes[:, INDEX[channel]] += share * value
    still = np.zeros((len(times), 3), np.float32)
    motion = Motion(fps, as_float_array(np.clip(shapes, 0, 1)), still, still)
    return motion, _report(emotion, shares, mood, prosody)


def _rates(prosody: Prosody) -> NDArray[np.float64]:
    """(T,) syllables per second of speech around each step; the usual rate where nothing is said."""
    count = len(prosody.voiced)
    at = np.array([int(syllable.at_s * STEPS_HZ) for syllable in prosody.syllables], np.int64)
    syllables = np.bincount(np.clip(at, 0, count - 1), minlength=count).astype(np.float32) * STEPS_HZ
    said = np.ones(count, np.float32)
    for start, end in prosody.pauses:
        said[round(start * STEPS_HZ) : round(end * STEPS_HZ)] = 0
    share = smoothed(said, _MOOD_S)
    rate = smoothed(syllables, _MOOD_S) / np.maximum(share, 1e-3)
    return np.where(share > 0.2, rate, _RATE[0])


def _heard(mood: Mood, prosody: Prosody, times: Times) -> dict[str, Times]:
    """Emotion -> (T,): the mood's part in each emotion's direction; what is hardly a mood shows nothing."""
    point = np.stack([at_times(mood.valence, times), at_times(mood.arousal, times)], 1)
    size = np.linalg.norm(point, axis=1)
    seen = np.clip((size - _CALM) / (1 - _CALM), 0, 1)
    near = {
        name: np.maximum(point @ np.array(place) / np.maximum(size, 1e-6), 0) ** 4 for name, place in _CIRCLE.items()
    }
    total = np.maximum(np.sum(list(near.values()), 0), 1.0)
    return {name: seen * share / total for name, share in near.items()}


def _chosen(mood: Mood, prosody: Prosody, times: Times) -> Times:
    """(T,) 0.4 to 1: as strong as the voice is aroused, weaker in long pauses, grown in from the start."""
    steps = (np.arange(len(prosody.voiced), dtype=np.float64) + 0.5) / STEPS_HZ
    said = at_times(smoothed(as_float_array(speaking(prosody, steps)), 0.5), times)
    level = (0.75 + 0.4 * at_times(mood.arousal, times)) * (0.75 + 0.25 * said)
    return np.clip(level, 0.4, 1.0) * smooth_step(np.clip(times / _RISE_S, 0, 1))


def _report(emotion: str, shares: dict[str, Times], mood: Mood, prosody: Prosody) -> str:
    lines = [
        f"Voice: arousal {float(mood.arousal.mean()):+.2f} ({float(mood.arousal.min()):+.2f} to "
        f"{float(mood.arousal.max()):+.2f}), valence {float(mood.valence.mean()):+.2f}; "
        f"{prosody.rate_hz:.1f} syllables per second."
    ]
    if emotion == FROM_VOICE:
        strong = sorted(shares, key=lambda name: -float(shares[name].max()))
        told = [f"{name} up to {float(shares[name].max()):.2f}" for name in strong if shares[name].max() > 0.05]
        lines.append(f"Heard: {', '.join(told) or 'nothing that stands out from a calm reading'}.")
    else:
        share = shares[emotion]
        lines.append(f"Chosen: {emotion}, {float(share.min()):.2f} to {float(share.max()):.2f} of its strength.")
    return "\n".join(lines)
