"""The readers of files that nobody vouches for, each with a small file that it reads without complaint."""

from __future__ import annotations

import importlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from checkout import map_package


@dataclass(frozen=True)
class Reader:
    """Something that reads a file. suffix: the file's ending. seed: a small file that it reads without complaint."""

    suffix: str
    read: Callable[[Path], object]
    seed: Callable[[], bytes]


def load(module: str, name: str) -> Any:
    """A name of the library, the module given below pipelines/."""
    map_package()
    return getattr(importlib.import_module(f"likeness.pipelines.{module}"), name)


def _tensors(metadata: dict[str, str], **shapes: tuple[str, int]) -> bytes:
    """A safetensors file of zeros: name=(dtype, bytes)."""
    header: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for name, (dtype, size) in shapes.items():
        header[name] = {"dtype": dtype, "shape": [size // (1 if dtype == "U8" else 4)], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)


def _identity() -> bytes:
    about = {"name": "A", "consent": "", "sources_sha256": [], "encoders": []}
    metadata = {"format": "likeness.identity", "format_version": "1", "identity": json.dumps(about)}
    return _tensors(metadata, crops=("U8", 48), landmarks=("F32", 48), weights=("F32", 4))


def _motion(form: str) -> bytes:
    motion = load("motion.motion", "still")({"jawOpen": 0.5}, frames=2)
    with tempfile.TemporaryDirectory() as folder:
        return load("motion.storage", "save_motion")(motion, Path(folder), "m", form).read_bytes()


@cache
def _speech_head(numbers: bool = False) -> bytes:
    """A head's header, which is what is changed, or the zeros behind it."""
    card = load("audio.speech_head", "HeadCard")("wav2vec2", 1, 1, (0,))
    head = load("audio.speech_head", "SpeechHead")(card, load("audio.speech_head", "HeadNetwork")(1))
    with tempfile.TemporaryDirectory() as folder:
        data = load("audio.speech_head_file", "save_speech_head")(head, Path(folder), "h").read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return bytes(len(data) - end) if numbers else data[:end]


def _read_speech_head(path: Path) -> object:
    path.write_bytes(path.read_bytes() + _speech_head(numbers=True))
    return load("audio.speech_head_file", "load_speech_head")(path)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pack/a.onnx", bytes(range(256)))
        archive.writestr("pack/b.onnx", b"b" * 64)
    return buffer.getvalue()


def _unpack(path: Path) -> object:
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "models" / "pack"
        result = load("download.unpack", "unpack")(path, inside)
        stray = [found for found in Path(folder).rglob("*") if found.is_file() and not found.is_relative_to(inside)]
        if stray:
            raise AssertionError(f"unpacked outside its folder: {stray}")
        return result


def _png() -> bytes:
    import torch

    statement = load("safety.statement", "Statement")(())
    return load("safety.picture_files", "png_bytes")(torch.zeros(2, 2, 3), statement, {})


class _Uncounted:
    """A progress bar that nobody sees."""

    def update(self, steps: int = 1) -> None:
        """Count nothing."""


def _video() -> bytes:
    """Three frames of 32 × 32 px with a tone."""
    av: Any = load("video.pixels", "pyav")()
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        picture, sound = output.add_stream("libx264", rate=25), output.add_stream("aac", rate=16000, layout="mono")
        picture.width = picture.height = 32
        for grey in (40, 120, 200):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), grey, np.uint8), format="rgb24")
            output.mux(picture.encode(frame))
        tone = np.sin(np.arange(1920, dtype=np.float32) / 6)[None]
        heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        heard.sample_rate = 16000
        output.mux([*picture.encode(None), *sound.encode(heard), *sound.encode(None)])
    return buffer.getvalue()


def _watch(path: Path) -> object:
    return sum(1 for _ in load("video.watch", "watch_video")(path, lambda total: _Uncounted()))


def _send(path: Path) -> object:
    process, each = load("video.stream", "process_video"), load("video.processing", "EachFrame")
    encoding = load("video.writer", "Encoding")(preset="ultrafast")
    with tempfile.TemporaryDirectory() as folder:
        same = each(lambda picture: picture)
        return process(path, Path(folder, "sent.mp4"), same, lambda total: _Uncounted(), "same", encoding=encoding)


def _statement_text() -> bytes:
    operation = load("safety.statement", "Operation")("Node", "action", {"a": 1.5, "b": "c"}, faces=(((1, 2, 3, 4),),))
    return load("safety.statement", "to_json")(load("safety.statement", "Statement")((operation,))).encode()


def _torch_file() -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save({"state_dict": {"a.weight": torch.zeros(2, 2)}}, buffer)
    return buffer.getvalue()


def _onnx() -> bytes:
    entry = b"\x0a\x08location\x12\x05m.bin"
    tensor = b"\x08\x02\x10\x01\x6a" + bytes([len(entry)]) + entry + b"\x70\x01"
    graph = b"\x12\x01g\x2a" + bytes([len(tensor)]) + tensor
    return b"\x08\x08\x3a" + bytes([len(graph)]) + graph


def _speakers(path: Path) -> object:
    import torch

    turns = load("audio.speakers", "turns_from_text")(path.read_text("utf-8", "replace"))
    names = load("audio.speakers", "speakers_of")(turns)
    return [load("audio.speakers", "sound_of")(torch.zeros(1, 80_000), 16_000, turns, name) for name in names]


def _say(path: Path) -> object:
    words = load("audio.spelling", "words_of")(path.read_text("utf-8", "replace"))
    return [load("audio.letter_sounds", "sounds_of")(word) for word in words]


_TURNS = b"SPEAKER a 1 0.5 1.25 <NA> <NA> Ben <NA> <NA>\n0:00-0:02.5 Anna\n1.5\t2.75\tBen\n# note\n"
_CAPTIONS = b"WEBVTT\n\n00:00:00.000 --> 00:00:02.500\n<v Anna>Hello\n\n1\n00:02,6 --> 00:04,0 align:left\nBen: Hi\n"
_TRANSCRIPT = (
    "Mr. Smith paid $3.50 & £1,000,000 on the 21st, in 1984; the BBC's naïve 007 said 12.5% — it's 9s.".encode()
)


def _from_text(path: Path) -> object:
    return load("safety.statement", "from_json")(path.read_text("utf-8", "replace"))


def _reader_of(module: str, name: str) -> Callable[[Path], object]:
    return lambda path: load(module, name)(path)


def _prior() -> bytes:
    """As DICE-Talk publishes them: an object array that holds a dict."""
    content = np.empty((), dtype=object)
    content[()] = {"mu": np.zeros(256, np.float32)}
    stream = io.BytesIO()
    np.save(stream, content)
    return stream.getvalue()


READERS: dict[str, Reader] = {
    "identity": Reader(".safetensors", _reader_of("identity.storage", "load_identity"), _identity),
    "motion": Reader(".safetensors", _reader_of("motion.storage", "load_motion"), lambda: _motion("safetensors")),
    "motion_csv": Reader(".csv", _reader_of("motion.storage", "load_motion"), lambda: _motion("csv")),
    "motion_json": Reader(".json", _reader_of("motion.storage", "load_motion"), lambda: _motion("json")),
    "speech_head": Reader(".safetensors", _read_speech_head, _speech_head),
    "weights": Reader(
        ".safetensors", _reader_of("files.checkpoint", "read_checkpoint"), lambda: _tensors({}, a=("F32", 16))
    ),
    "emotion_prior": Reader(".npy", _reader_of("lips.dicetalk.priors", "read_prior"), _prior),
    "torch_weights": Reader(".pth", _reader_of("files.checkpoint", "read_checkpoint"), _torch_file),
    "onnx": Reader(".onnx", _reader_of("files.onnx_data", "check_external_data"), _onnx),
    "zip": Reader(".zip", _unpack, _zip),
    "png": Reader(".png", _reader_of("safety.picture_files", "read_statement"), _png),
    "video": Reader(
        ".mp4", _reader_of("safety.picture_files", "read_statement"), lambda: b"\0\0\0\x14ftypisom\0\0\2\0isom"
    ),
    "video_frames": Reader(".mp4", _watch, _video),
    "video_sent": Reader(".mp4", _send, _video),
    "speaker_track": Reader(".txt", _speakers, lambda: _TURNS),
    "captions": Reader(".vtt", _speakers, lambda: _CAPTIONS),
    "transcript": Reader(".txt", _say, lambda: _TRANSCRIPT),
    "statement": Reader(".json", _from_text, _statement_text),
}
