"""Synthetic speech whose phones are known exactly: espeak-ng says sentences and tells when each sound begins.

espeak-ng (GPL-3) is a tool of this benchmark only: its library comes in the package espeakng-loader, is downloaded when
the benchmark is asked for, lies in the launcher's cache folder and is never part of the pack.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..cli.home import home
from ..pipelines.audio.heard import SILENCE, STEPS_HZ, Heard, Phone
from ..pipelines.audio.speech import speech_of
from ..pipelines.errors import LikenessError
from .ipa import arpabet_of
from .librivox import SpokenClip

_PACKAGE = "espeakng-loader==0.2.4"
#: Its wheels for Linux, Windows (two processors) and macOS (two processors).
_SHA256 = (
    "08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d",
    "41f1e08ac9deda2efd1ea9de0b81dab9f5ae3c4b24284f76533d0a7b1dd7abd7",
    "d7a2928843eaeb2df82f99a370f44e8a630f59b02f9b0d1f168a03c4eeb76b89",
    "b77477ae2ddf62a748e04e49714eabb2f3a24f344166200b00539083bd669904",
    "d27cdca31112226e7299d8562e889d3e38a1e48055c9ee381b45d669072ee59f",
)
#: Of speak_lib.h: give samples back instead of playing them, tell phonemes, in IPA, text in UTF-8; kinds of events.
_RETRIEVAL, _PHONEME_EVENTS, _IPA, _UTF8 = 1, 1, 2, 1
_LIST_ENDS, _PHONEME = 0, 7
_STOPS = frozenset("P B T D K G CH JH".split())
#: Digital silence of at least so long before a stop is its closure, s; its event comes with the burst.
_CLOSURE_S = 0.01


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


class Espeak:
    """The library, ready to speak. Raises LikenessError when it cannot be downloaded or started."""

    def __init__(self) -> None:
        folder = home() / "espeakng-loader-0.2.4"
        if not folder.is_dir():
            _download(folder)
        (path,) = [path for path in folder.iterdir() if path.suffix in (".so", ".dylib", ".dll")]
        self._library = ctypes.CDLL(str(path))
        options = _PHONEME_EVENTS | _IPA
        self._rate_hz = self._library.espeak_Initialize(_RETRIEVAL, 0, str(folder / "espeak-ng-data").encode(), options)
        if self._rate_hz <= 0:
            raise LikenessError(f"espeak-ng in {folder} does not start ({self._rate_hz}). Delete that folder.")
        self._samples = list[NDArray[np.int16]]()
        self._events = list[tuple[int, str]]()
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        # the library keeps the address only
        self._callback = kind(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str) -> SpokenClip:
        """A sentence by a voice ("de", "en-us+f3"), with its phones."""
        self._samples.clear()
        self._events.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise LikenessError(f"espeak-ng has no voice {voice!r}.")
        spoken = text.encode()
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._samples)
        speech = speech_of(samples[None].astype(np.float32) / 32768, self._rate_hz)
        phones = _phones(samples, self._events, self._rate_hz, speech.duration_s)
        steps = max(round(speech.duration_s * STEPS_HZ), 1)
        truth = Heard(speech.duration_s, phones, np.zeros(steps, np.float32), 1.0, "truth")
        return SpokenClip(voice, speech, text, truth)

    def _take(self, samples, count, events) -> int:
        """Called by the library with the next samples and what begins in them."""
        if samples and count > 0:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        number = 0
        while events[number].type != _LIST_ENDS:
            if events[number].type == _PHONEME:
                name = bytes(events[number].id.string).partition(b"\0")[0].decode("utf-8", "ignore")
                self._events.append((events[number].sample, name))
            number += 1
        return 0


def _phones(
    samples: NDArray[np.int16], events: list[tuple[int, str]], rate_hz: int, duration_s: float
) -> tuple[Phone, ...]:
    """Phones from the beginnings of sounds; a sound of several (pf) is divided evenly."""
    named = [(start, arpabet_of(name)) for start, name in events if start < len(samples)]
    starts = [start for start, _ in named]
    for number in range(1, len(named)):
        if named[number][1][0] in _STOPS and named[number - 1][1] != (SILENCE,):
            loud = np.flatnonzero(np.abs(samples[starts[number - 1] : starts[number]].astype(np.int32)) > 2)
            silent = starts[number] - (starts[number - 1] + int(loud[-1]) + 1 if len(loud) else starts[number])
            starts[number] -= silent if silent > _CLOSURE_S * rate_hz else 0
    edges = [*(start / rate_hz for start in starts), duration_s]
    found = [Phone(SILENCE, 0.0, edges[0])] if edges[0] > 0 else list[Phone]()
    for (_, names), begin, end in zip(named, edges[:-1], edges[1:], strict=True):
        for place, name in enumerate(names):
            start_s = found[-1].end_s if found else 0.0
            stop_s = end if place == len(names) - 1 else begin + (end - begin) * (place + 1) / len(names)
            if stop_s > start_s + 1e-6:
                found.append(Phone(name, start_s, stop_s))
    return tuple(found)


def _download(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="espeak-", dir=folder.parent) as name:
        scratch = Path(name)
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in _SHA256)
        (scratch / "wanted.txt").write_text(f"{_PACKAGE} {hashes}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"]
        pip += ["--require-hashes", "--only-binary", ":all:", "--dest", str(scratch)]
        done = subprocess.run([*pip, "-r", str(scratch / "wanted.txt")], capture_output=True, text=True)
        wheels = list(scratch.glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise LikenessError(f"{_PACKAGE} could not be downloaded:\n{done.stdout}{done.stderr}")
        _unpack(wheels[0], scratch / "unpacked")
        (scratch / "unpacked" / "espeakng_loader").replace(folder)


def _unpack(wheel: Path, folder: Path) -> None:
    """The library and its data; pip has checked the hash, and `extractall` writes nothing outside the folder."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    # the same library lies there under three names
    for twin in (folder / "espeakng_loader").glob("*.so.*"):
        twin.unlink()
