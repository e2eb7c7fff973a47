"""Small files that the readers of files that nobody vouches for read without complaint."""

from __future__ import annotations

import importlib
import io
import json
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from checkout import map_package


def load(module: str, name: str) -> Any:
    """A name of the library, the module given below pipelines/."""
    map_package()
    return getattr(importlib.import_module(f"likeness.pipelines.{module}"), name)


def tensors(metadata: dict[str, str], **shapes: tuple[str, int]) -> bytes:
    """A safetensors file of zeros: name=(dtype, bytes)."""
    header: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for name, (dtype, size) in shapes.items():
        header[name] = {"dtype": dtype, "shape": [size // (1 if dtype == "U8" else 4)], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """A safetensors file's header, and what follows it."""
    end = 8 + int.from_bytes(data[:8], "little")
    return data[:end], data[end:]


@cache
def identity() -> tuple[bytes, bytes]:
    """An identity's header, which is what is changed, and the 800 kB behind it."""
    import torch

    part = load("identity.identity", "EncodedReferences")("tiny", "CC0", np.ones((1, 4), np.float32))
    crops, landmarks = torch.zeros(1, 512, 512, 3, dtype=torch.uint8), np.zeros((1, 478, 3), np.float32)
    weights, source = np.ones(1, np.float32), "0" * 64
    person = load("identity.identity", "Identity")("A", crops, landmarks, weights, (part,), "agreed", (source,))
    with tempfile.TemporaryDirectory() as folder:
        return _split(load("identity.storage", "save_identity")(person, Path(folder)).read_bytes())


def motion(form: str) -> bytes:
    """A motion of two frames. form: a file's ending."""
    motion = load("motion.motion", "still")({"jawOpen": 0.5}, frames=2)
    with tempfile.TemporaryDirectory() as folder:
        return load("motion.storage", "save_motion")(motion, Path(folder), "m", form).read_bytes()


@cache
def emap() -> tuple[bytes, bytes]:
    """A model of a swapper's map alone up to the map's numbers, which is what is changed, and the 1 MB of numbers."""
    import onnx

    model, numbers = onnx.ModelProto(ir_version=8), bytes(512 * 512 * 4)
    model.graph.name = "g"
    model.graph.initializer.add(name="emap", data_type=onnx.TensorProto.FLOAT, dims=(512, 512), raw_data=numbers)
    data = model.SerializeToString()
    return data[: -len(numbers)], numbers


@cache
def speech_head() -> tuple[bytes, bytes]:
    """A speech head's header, which is what is changed, and the numbers behind it."""
    card = load("audio.speech_head", "HeadCard")("wav2vec2", 1, 1, (0,))
    head = load("audio.speech_head", "SpeechHead")(card, load("audio.speech_head", "HeadNetwork")(1))
    with tempfile.TemporaryDirectory() as folder:
        return _split(load("audio.speech_head_file", "save_speech_head")(head, Path(folder), "h").read_bytes())


def zipped() -> bytes:
    """A zip of two files in a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pack/a.onnx", bytes(range(256)))
        archive.writestr("pack/b.onnx", b"b" * 64)
    return buffer.getvalue()


def png() -> bytes:
    """A picture with an empty statement."""
    import torch

    statement = load("safety.statement", "Statement")(())
    return load("safety.picture_files", "png_bytes")(torch.zeros(2, 2, 3), statement, {})


def signed_png() -> bytes:
    """A PNG with a statement in its text and in content credentials, signed by a certificate made here."""
    map_package()
    write_certificate = importlib.import_module("likeness.tests.safety.certificates").write_certificate
    statement = load("safety.statement", "from_json")(statement_text().decode())
    with tempfile.TemporaryDirectory() as folder:
        write_certificate(Path(folder, "certificate"))
        path = Path(folder, "a.png")
        path.write_bytes(png())
        credentials = load("safety.credentials", "find_credentials")(Path(folder, "certificate"))
        load("safety.credentials", "sign_file")(path, statement, credentials)
        return path.read_bytes()


@cache
def video(form: str = "mp4") -> bytes:
    """Three frames of 32 × 32 px with a tone, and a statement. form: "mp4" or "matroska"."""
    av: Any = load("video.pixels", "pyav")()
    buffer = io.BytesIO()
    options = {"movflags": "use_metadata_tags"} if form == "mp4" else {}
    with av.open(buffer, "w", format=form, options=options) as output:
        output.metadata["likeness"] = statement_text().decode()
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


def statement_text() -> bytes:
    """A statement of one operation."""
    operation = load("safety.statement", "Operation")("Node", "action", {"a": 1.5, "b": "c"}, faces=(((1, 2, 3, 4),),))
    return load("safety.statement", "to_json")(load("safety.statement", "Statement")((operation,))).encode()


def torch_file(in_zip: bool = True) -> bytes:
    """A torch file of one tensor, in a zip or as torch wrote them before."""
    import torch

    buffer = io.BytesIO()
    content = {"state_dict": {"a.weight": torch.zeros(2, 2)}}
    torch.save(content, buffer, _use_new_zipfile_serialization=in_zip)
    return buffer.getvalue()


def onnx() -> bytes:
    """A model of one tensor whose values lie beside it."""
    entry = b"\x0a\x08location\x12\x05m.bin"
    tensor = b"\x08\x02\x10\x01\x6a" + bytes([len(entry)]) + entry + b"\x70\x01"
    graph = b"\x12\x01g\x2a" + bytes([len(tensor)]) + tensor
    return b"\x08\x08\x3a" + bytes([len(graph)]) + graph


def prior() -> bytes:
    """As DICE-Talk publishes them: an object array that holds a dict."""
    content = np.empty((), dtype=object)
    content[()] = {"mu": np.zeros(256, np.float32)}
    stream = io.BytesIO()
    np.save(stream, content)
    return stream.getvalue()


TURNS = b"SPEAKER a 1 0.5 1.25 <NA> <NA> Ben <NA> <NA>\n0:00-0:02.5 Anna\n1.5\t2.75\tBen\n# note\n"
CAPTIONS = b"WEBVTT\n\n00:00:00.000 --> 00:00:02.500\n<v Anna>Hello\n\n1\n00:02,6 --> 00:04,0 align:left\nBen: Hi\n"
TRANSCRIPT = (
    "Mr. Smith paid $3.50 & £1,000,000 on the 21st, in 1984; the BBC's naïve 007 said 12.5% — it's 9s.".encode()
)
