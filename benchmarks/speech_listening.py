"""How well speech is heard: against the phones that are known, with and without the text, in English and not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np

from ..pipelines.audio.backends import listen
from ..pipelines.audio.english_model import english_model
from ..pipelines.audio.heard import Heard
from ..pipelines.audio.visemes import VISEME_OF_PHONE, opening_curve, step_phones
from ..pipelines.face import FloatArray
from .espeak import Espeak
from .figure import Figure
from .librivox import SpokenClip, spoken_clips

FRAMES_HZ = 25
#: The first lists of the Harvard sentences (IEEE 1969), made to hold the sounds of English as often as they come.
ENGLISH = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.",
    "It's easy to tell the depth of a well. These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls. The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us. A large size in stockings is hard to sell.",
)
ENGLISH_VOICES = ("en-us", "en-gb-x-rp", "en-us+f3", "en-us+m3")
#: Language -> voices and sentences.
OTHERS = {
    "German": (("de", "de+f3"), (
        "Der Nordwind und die Sonne stritten sich, wer von ihnen beiden der Stärkere wäre.",
        "Morgen früh kommt meine Mutter mit dem Zug aus Hamburg.",
        "Im Sommer wachsen vor dem Fenster bunte Blumen und viele Pflaumenbäume.",
    )),
    "French": (("fr", "fr+f2"), (
        "La bise et le soleil se disputaient, chacun assurant qu'il était le plus fort.",
        "Ma mère prépare une bonne soupe pour toute la famille.",
        "Demain matin, nous prendrons le bateau pour aller voir nos amis.",
    )),
    "Spanish": (("es", "es+f3"), (
        "El viento norte y el sol discutían sobre cuál de ellos era el más fuerte.",
        "Mi abuela compra pan y fruta en el mercado todas las mañanas.",
        "Mañana vamos a visitar el pueblo donde nació mi padre.",
    )),
}  # fmt: skip


def listening_figures() -> list[Figure]:
    """Every figure of listening; clips and espeak-ng are downloaded (44 MB) when the cache folder lacks them."""
    # read once, as a graph in ComfyUI that is run again would not; reading it takes less than half a second
    model = english_model()
    real = spoken_clips()
    figures = [*_real_figures(real), *_speed_figures(real)]
    voice = Espeak()
    english = [voice.say(text, name) for name in ENGLISH_VOICES for text in ENGLISH]
    figures += [
        Figure("synthetic English without text, opening", _opening(english, listen_freely), 0.72, at_most=False),
        Figure("synthetic English with its text, opening", _opening(english, listen_to_text)),
        Figure("synthetic English by loudness alone, opening", _opening(english, listen_to_loudness)),
    ]
    for language, (voices, sentences) in OTHERS.items():
        clips = [voice.say(text, name) for name in voices for text in sentences]
        loud = _opening(clips, listen_to_loudness)
        free = _opening(clips, listen_freely)
        figures.append(Figure(f"synthetic {language} without text, opening", free, loud, at_most=False))
        figures.append(Figure(f"synthetic {language} by loudness alone, opening", loud))
    del model
    return figures


def _real_figures(clips: list[SpokenClip]) -> list[Figure]:
    free = [(clip.truth, listen_freely(clip)) for clip in clips]
    told = [(clip.truth, listen_to_text(clip)) for clip in clips]
    return [
        Figure("real speech without text, opening", _mean(correlation, free), 0.83, at_most=False),
        Figure("real speech without text, 14 visemes right", _mean(visemes_right, free), 0.72, at_most=False),
        Figure("real speech without text, boundaries off by", _mean(boundary_ms, free), 12, unit="ms"),
        Figure("real speech with its text, opening", _mean(correlation, told), 0.93, at_most=False),
        Figure("real speech with its text, 14 visemes right", _mean(visemes_right, told)),
        Figure("real speech by loudness alone, opening", _opening(clips, listen_to_loudness)),
    ]


def _speed_figures(clips: list[SpokenClip]) -> list[Figure]:
    ways = {"without text": listen_freely, "with its text": listen_to_text}
    return [
        Figure(f"listening {how}, times faster than real time", _speed(clips, way), 15, at_most=False, unit="x")
        for how, way in ways.items()
    ]


def _speed(clips: list[SpokenClip], way: Callable[[SpokenClip], Heard]) -> float:
    """Seconds of speech per second of processor time (one thread), the median of five rounds."""
    found = list[float]()
    for _ in range(5):
        began = time.process_time()
        for clip in clips:
            way(clip)
        found.append(sum(clip.speech.duration_s for clip in clips) / (time.process_time() - began))
    return float(np.median(found))


def listen_freely(clip: SpokenClip) -> Heard:
    """As the node listens when it is told nothing."""
    return listen(clip.speech)


def listen_to_text(clip: SpokenClip) -> Heard:
    """With the words."""
    return listen(clip.speech, transcript=clip.text)


def listen_to_loudness(clip: SpokenClip) -> Heard:
    """Without phones."""
    return listen(clip.speech, "envelope")


def _opening(clips: list[SpokenClip], way: Callable[[SpokenClip], Heard]) -> float:
    return _mean(correlation, ((clip.truth, way(clip)) for clip in clips))


def _mean(measure: Callable[[Heard, Heard], float], pairs: Iterable[tuple[Heard, Heard]]) -> float:
    return float(np.mean([measure(*pair) for pair in pairs]))


def correlation(truth: Heard, heard: Heard) -> float:
    """Of the curves of the mouth's opening at 25 frames per second."""
    first, second = (_frames(opening_curve(one)) for one in (truth, heard))
    return float(np.corrcoef(first, second)[0, 1])


def visemes_right(truth: Heard, heard: Heard) -> float:
    """Share of steps of 10 ms with the right one of 14 classes."""
    first, second = (
        np.array([VISEME_OF_PHONE[phone.name] for phone in one.phones])[step_phones(one.phones, len(one.opening))]
        for one in (truth, heard)
    )
    return float((first == second).mean())


def boundary_ms(truth: Heard, heard: Heard) -> float:
    """Median distance of a true boundary of phones to the nearest one that was heard."""
    starts = np.array([phone.start_s for phone in heard.phones])
    return float(np.median([1000 * np.abs(starts - phone.start_s).min() for phone in truth.phones[1:]]))


def _frames(curve: FloatArray) -> FloatArray:
    steps = 100 // FRAMES_HZ
    return curve[: len(curve) // steps * steps].reshape(-1, steps).mean(1)
