"""The readers of files that nobody vouches for, each with a small file that it reads without complaint."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import good_files
from good_files import load


@dataclass(frozen=True)
class Reader:
    """Something that reads a file. suffix: the file's ending. seed: a small file that it reads without complaint.

    needs: the optional packages that it is made of.
    """

    suffix: str
    read: Callable[[Path], object]
    seed: Callable[[], bytes]
    needs: tuple[str, ...] = ()


def _behind(path: Path, rest: bytes) -> Path:
    """The file with what was left out of its seed."""
    path.write_bytes(path.read_bytes() + rest)
    return path


def _read_identity(path: Path) -> object:
    return load("identity.storage", "load_identity")(_behind(path, good_files.identity()[1]))


def _read_emap(path: Path) -> object:
    return load("swap.emap", "read_emap")(_behind(path, good_files.emap()[1]))


def _read_speech_head(path: Path) -> object:
    return load("audio.speech_head_file", "load_speech_head")(_behind(path, good_files.speech_head()[1]))


def _read_credentials(path: Path) -> object:
    """With the checksums of the chunks made right again, so that changes are looked at by more than the first check."""
    data, at = bytearray(path.read_bytes()), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    path.write_bytes(data)
    return load("safety.credentials", "read_credentials")(path)


def _unpack(path: Path) -> object:
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "models" / "pack"
        result = load("download.unpack", "unpack")(path, inside)
        stray = [found for found in Path(folder).rglob("*") if found.is_file() and not found.is_relative_to(inside)]
        if stray:
            raise AssertionError(f"unpacked outside its folder: {stray}")
        return result


class _Uncounted:
    """A progress bar that nobody sees."""

    def update(self, steps: int = 1) -> None:
        """Count nothing."""


def _watch(path: Path) -> object:
    return sum(1 for _ in load("video.watch", "watch_video")(path, lambda total: _Uncounted()))


def _send(path: Path) -> object:
    process, each = load("video.stream", "process_video"), load("video.processing", "EachFrame")
    encoding = load("video.writer", "Encoding")(preset="ultrafast")
    with tempfile.TemporaryDirectory() as folder:
        same = each(lambda picture: picture)
        return process(path, Path(folder, "sent.mp4"), same, lambda total: _Uncounted(), "same", encoding=encoding)


def _speakers(path: Path) -> object:
    import torch

    turns = load("audio.speakers", "turns_from_text")(path.read_text("utf-8", "replace"))
    names = load("audio.speakers", "speakers_of")(turns)
    return [load("audio.speakers", "sound_of")(torch.zeros(1, 80_000), 16_000, turns, name) for name in names]


def _say(path: Path) -> object:
    words = load("audio.spelling", "words_of")(path.read_text("utf-8", "replace"))
    return [load("audio.letter_sounds", "sounds_of")(word) for word in words]


def _from_text(path: Path) -> object:
    return load("safety.statement", "from_json")(path.read_text("utf-8", "replace"))


def _reader_of(module: str, name: str) -> Callable[[Path], object]:
    return lambda path: load(module, name)(path)


READERS: dict[str, Reader] = {
    "identity": Reader(".safetensors", _read_identity, lambda: good_files.identity()[0]),
    "motion": Reader(
        ".safetensors", _reader_of("motion.storage", "load_motion"), lambda: good_files.motion("safetensors")
    ),
    "motion_csv": Reader(".csv", _reader_of("motion.storage", "load_motion"), lambda: good_files.motion("csv")),
    "motion_json": Reader(".json", _reader_of("motion.storage", "load_motion"), lambda: good_files.motion("json")),
    "speech_head": Reader(".safetensors", _read_speech_head, lambda: good_files.speech_head()[0]),
    "weights": Reader(
        ".safetensors",
        _reader_of("files.checkpoint", "read_checkpoint"),
        lambda: good_files.tensors({}, a=("F32", 16)),
    ),
    "emotion_prior": Reader(".npy", _reader_of("lips.dicetalk.priors", "read_prior"), good_files.prior),
    "torch_weights": Reader(".pth", _reader_of("files.checkpoint", "read_checkpoint"), good_files.torch_file),
    "torch_weights_old": Reader(
        ".pth", _reader_of("files.checkpoint", "read_checkpoint"), lambda: good_files.torch_file(in_zip=False)
    ),
    "onnx": Reader(".onnx", _reader_of("files.onnx_data", "check_external_data"), good_files.onnx),
    "emap": Reader(".onnx", _read_emap, lambda: good_files.emap()[0], ("onnx",)),
    "zip": Reader(".zip", _unpack, good_files.zipped),
    "png": Reader(".png", _reader_of("safety.picture_files", "read_statement"), good_files.png),
    "credentials": Reader(".png", _read_credentials, good_files.signed_png, ("c2pa", "cryptography")),
    "video": Reader(".mp4", _reader_of("safety.picture_files", "read_statement"), good_files.video),
    "video_mkv": Reader(
        ".mkv", _reader_of("safety.picture_files", "read_statement"), lambda: good_files.video("matroska")
    ),
    "video_frames": Reader(".mp4", _watch, good_files.video),
    "video_sent": Reader(".mp4", _send, good_files.video),
    "speaker_track": Reader(".txt", _speakers, lambda: good_files.TURNS),
    "captions": Reader(".vtt", _speakers, lambda: good_files.CAPTIONS),
    "transcript": Reader(".txt", _say, lambda: good_files.TRANSCRIPT),
    "statement": Reader(".json", _from_text, good_files.statement_text),
}
