"""Real speech whose phones are known: five public-domain LibriVox clips from the source package of pocketsphinx.

Their times were found by pocketsphinx from the text that is read, so they are the truth for who does not know the text.
It tells of each of its windows of 410 samples as if the 160 samples at its beginning were meant: 125 samples early.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ..cli.home import home
from ..pipelines.audio.heard import ARPABET, SILENCE, STEPS_HZ, Heard, Phone
from ..pipelines.audio.pitch import power_db
from ..pipelines.audio.speech import RATE_HZ, Speech
from ..pipelines.errors import LikenessError
from ..pipelines.face import as_float_array

_PACKAGE = "pocketsphinx==5.1.1"
_SHA256 = "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355"
_INSIDE = PurePosixPath("pocketsphinx-5.1.1/test/data/librivox")
_WANTED = (".wav", ".phone.json", ".txt")
#: How much later a phone begins than pocketsphinx says, s: to the middle of its windows.
EARLY_S = 125 / RATE_HZ


@dataclass(frozen=True, eq=False)
class SpokenClip:
    """A clip: its name, its sound, the text that is read, and its phones as a listener without a doubt hears them."""

    name: str
    speech: Speech
    text: str
    truth: Heard


def spoken_clips() -> list[SpokenClip]:
    """All five; they are downloaded (34 MB) when the cache folder lacks them.

    Raises LikenessError, with what pip said, when they cannot be had.
    """
    folder = home() / "librivox"
    if not folder.is_dir():
        _download(folder)
    return [_read(path) for path in sorted(folder.glob("*.wav"))]


def _read(path: Path) -> SpokenClip:
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE_HZ, 1, 2):
            raise LikenessError(f"{path} is not the known clip: 16 kHz, one channel, 16 bits. Delete {path.parent}.")
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    speech = Speech(as_float_array(samples / 32768))
    record = json.loads(path.with_name(f"{path.stem}.phone.json").read_text(encoding="utf-8"))
    text = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
    return SpokenClip(path.stem[-4:], speech, text, _truth(record, speech))


def _truth(record: dict[str, list[dict[str, list[dict[str, float | str]]]]], speech: Speech) -> Heard:
    found = [phone for word in record["w"] for phone in word["w"]]
    phones: list[Phone] = []
    end = 0.0
    for phone in found:
        name = str(phone["t"])
        start = float(phone["b"]) + EARLY_S
        until = min(start + float(phone["d"]), speech.duration_s)
        if start > end + 1e-6:
            phones.append(Phone(SILENCE, end, start))
        if until > max(start, end):
            phones.append(Phone(name if name in ARPABET else SILENCE, max(start, end) if phones else 0.0, until))
            end = until
    if end < speech.duration_s - 1e-6:
        phones.append(Phone(SILENCE, end, speech.duration_s))
    # nothing here asks the truth how loud it is, but a value has to be there
    loud = as_float_array(np.clip((power_db(speech) + 50) / 30, 0, 1))
    assert len(loud) == max(round(speech.duration_s * STEPS_HZ), 1)
    return Heard(speech.duration_s, tuple(phones), loud, 1.0, "truth")


def _download(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="librivox-", dir=folder.parent) as name:
        scratch = Path(name)
        (scratch / "wanted.txt").write_text(f"{_PACKAGE} --hash=sha256:{_SHA256}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"]
        pip += ["--require-hashes", "--no-binary", "pocketsphinx", "--dest", str(scratch)]
        done = subprocess.run([*pip, "-r", str(scratch / "wanted.txt")], capture_output=True, text=True)
        archives = list(scratch.glob("*.tar.gz"))
        if done.returncode or len(archives) != 1:
            raise LikenessError(
                f"The LibriVox clips of {_PACKAGE} could not be downloaded:\n{done.stdout}{done.stderr}"
            )
        _unpack(archives[0], folder, scratch / "clips")


def _unpack(archive: Path, folder: Path, partial: Path) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != _SHA256:
        raise LikenessError(f"{archive.name} has sha256 {digest}, expected {_SHA256}: it was changed or cut short.")
    partial.mkdir()
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            source = tar.extractfile(member) if member.isreg() else None
            if source is not None and path.parent == _INSIDE and path.name.startswith("sense") and _is_wanted(path):
                (partial / path.name).write_bytes(source.read())
    partial.replace(folder)


def _is_wanted(path: PurePosixPath) -> bool:
    return path.name.endswith(_WANTED)
