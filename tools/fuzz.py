"""Feeds the readers of files that nobody vouches for with broken and hostile ones, and keeps what breaks them.

    python tools/fuzz.py hypothesis --minutes 20              all readers, one after the other
    python tools/fuzz.py atheris --minutes 20 --reader zip    guided by coverage; needs atheris (pip)

A reader may return or refuse with an error of the pack; anything else is a finding: its file is written to
tests/hostile/findings, where the test suite reads it ever after, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FINDINGS = ROOT / "tests" / "hostile" / "findings"
#: Longer files only make the search slower.
MAX_BYTES = 1 << 16


def import_pack() -> None:
    """Make the checkout importable as `likeness`, whatever its folder is called."""
    if "likeness" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "likeness", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        assert spec and spec.loader
        sys.modules["likeness"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["likeness"])


@dataclass(frozen=True)
class Reader:
    """Something that reads a file. suffix: the file's ending. seed: a small file that it reads without complaint."""

    suffix: str
    read: Callable[[Path], object]
    seed: Callable[[], bytes]


def _load(module: str, name: str) -> Any:
    import_pack()
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
    motion = _load("motion.motion", "still")({"jawOpen": 0.5}, frames=2)
    with tempfile.TemporaryDirectory() as folder:
        return _load("motion.storage", "save_motion")(motion, Path(folder), "m", form).read_bytes()


@cache
def _speech_head(numbers: bool = False) -> bytes:
    """A head's header, which is what is changed, or the zeros behind it."""
    card = _load("audio.speech_head", "HeadCard")("wav2vec2", 1, 1, (0,))
    head = _load("audio.speech_head", "SpeechHead")(card, _load("audio.speech_head", "HeadNetwork")(1))
    with tempfile.TemporaryDirectory() as folder:
        data = _load("audio.speech_head_file", "save_speech_head")(head, Path(folder), "h").read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return bytes(len(data) - end) if numbers else data[:end]


def _read_speech_head(path: Path) -> object:
    path.write_bytes(path.read_bytes() + _speech_head(numbers=True))
    return _load("audio.speech_head_file", "load_speech_head")(path)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pack/a.onnx", bytes(range(256)))
        archive.writestr("pack/b.onnx", b"b" * 64)
    return buffer.getvalue()


def _unpack(path: Path) -> object:
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "models" / "pack"
        result = _load("download.unpack", "unpack")(path, inside)
        stray = [found for found in Path(folder).rglob("*") if found.is_file() and not found.is_relative_to(inside)]
        if stray:
            raise AssertionError(f"unpacked outside its folder: {stray}")
        return result


def _png() -> bytes:
    import torch

    statement = _load("safety.statement", "Statement")(())
    return _load("safety.picture_files", "png_bytes")(torch.zeros(2, 2, 3), statement, {})


def _statement_text() -> bytes:
    operation = _load("safety.statement", "Operation")("Node", "action", {"a": 1.5, "b": "c"}, faces=(((1, 2, 3, 4),),))
    return _load("safety.statement", "to_json")(_load("safety.statement", "Statement")((operation,))).encode()


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


def _from_text(path: Path) -> object:
    return _load("safety.statement", "from_json")(path.read_text("utf-8", "replace"))


def _reader_of(module: str, name: str) -> Callable[[Path], object]:
    return lambda path: _load(module, name)(path)


READERS: dict[str, Reader] = {
    "identity": Reader(".safetensors", _reader_of("identity.storage", "load_identity"), _identity),
    "motion": Reader(".safetensors", _reader_of("motion.storage", "load_motion"), lambda: _motion("safetensors")),
    "motion_csv": Reader(".csv", _reader_of("motion.storage", "load_motion"), lambda: _motion("csv")),
    "motion_json": Reader(".json", _reader_of("motion.storage", "load_motion"), lambda: _motion("json")),
    "speech_head": Reader(".safetensors", _read_speech_head, _speech_head),
    "weights": Reader(
        ".safetensors", _reader_of("files.checkpoint", "read_checkpoint"), lambda: _tensors({}, a=("F32", 16))
    ),
    "torch_weights": Reader(".pth", _reader_of("files.checkpoint", "read_checkpoint"), _torch_file),
    "onnx": Reader(".onnx", _reader_of("files.onnx_data", "check_external_data"), _onnx),
    "zip": Reader(".zip", _unpack, _zip),
    "png": Reader(".png", _reader_of("safety.picture_files", "read_statement"), _png),
    "video": Reader(
        ".mp4", _reader_of("safety.picture_files", "read_statement"), lambda: b"\0\0\0\x14ftypisom\0\0\2\0isom"
    ),
    "statement": Reader(".json", _from_text, _statement_text),
}


def try_reader(name: str, data: bytes, folder: Path) -> Exception | None:
    """Give a reader a file; None when it returns or refuses as it should, else what it raised."""
    reader = READERS[name]
    path = folder / f"case{reader.suffix}"
    path.write_bytes(data)
    refusals = (_load("errors", "LikenessError"),)
    try:
        reader.read(path)
    except refusals:
        return None
    except Exception as error:  # any other exception is what is looked for
        return error
    return None


def keep(name: str, data: bytes, error: BaseException) -> Path:
    """Write a finding where the tests read it."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    path = FINDINGS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    sys.stdout.write(f"{name}: {type(error).__name__}: {str(error)[:200]} -> {path.relative_to(ROOT)}\n")
    return path


def with_hypothesis(name: str, seconds: float) -> int:
    """Change a good file at random for a while; the number of findings (at most one: shrinking ends the search)."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    seed = READERS[name].seed()
    cuts = st.integers(0, len(seed))
    end, tried, worst = time.monotonic() + seconds, 0, dict[int, tuple[bytes, Exception]]()

    @st.composite
    def files(draw: Any) -> bytes:
        data = bytearray(seed)
        for _ in range(draw(st.integers(0, 4))):
            start, stop = sorted((draw(cuts), draw(cuts)))
            kind = draw(st.sampled_from(["replace", "few", "cut", "repeat"]))
            stop = stop if kind in ("cut", "repeat") else min(stop, start + 12)
            pieces = {"repeat": bytes(data[start:stop]) * 3, "cut": b""}
            data[start:stop] = pieces[kind] if kind in pieces else draw(st.binary(max_size=12))
        return bytes(data[:MAX_BYTES])

    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end and not worst:

            @settings(
                max_examples=400,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                derandomize=False,
                suppress_health_check=list(HealthCheck),
            )
            @given(files() | st.binary(max_size=400))
            def search(data: bytes) -> None:
                nonlocal tried
                tried += 1
                error = None if worst or time.monotonic() > end else try_reader(name, data, Path(folder))
                if error is not None:
                    worst[len(data)] = (data, error)

            search()
    for data, error in worst.values():
        keep(name, data, error)
    sys.stdout.write(f"{name}: {tried} files by hypothesis, {len(worst)} finding(s)\n")
    return len(worst)


def with_atheris(name: str, seconds: float) -> int:
    """The same guided by coverage, in a process of its own: the engine takes over the one that it runs in."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, crashes = Path(folder, "corpus"), Path(folder, "crashes")
        corpus.mkdir(), crashes.mkdir()
        (corpus / "seed").write_bytes(READERS[name].seed())
        limits = [f"-max_total_time={max(1, round(seconds))}", f"-max_len={MAX_BYTES}", f"-artifact_prefix={crashes}/"]
        command = [sys.executable, __file__, "atheris-one", "--reader", name, "--", *limits]
        command += ["-rss_limit_mb=4096", str(corpus)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        found = sorted(crashes.iterdir())
        for crash in found:
            keep(name, crash.read_bytes(), RuntimeError(run.stderr[-200:]))
        lines = [line for line in run.stderr.splitlines() if line.startswith(("Done", "stat::number", "#"))]
        sys.stdout.write(f"{name}: atheris {lines[-1] if lines else 'ended'}, {len(found)} finding(s)\n")
        if run.returncode and not found:
            raise SystemExit(f"atheris ended with {run.returncode}: {run.stderr[-800:]}")
        return len(found)


def atheris_one(name: str, arguments: list[str]) -> None:
    """Search until the time is over or something is found; never returns."""
    import atheris

    import_pack()
    with atheris.instrument_imports(include=["likeness"]):
        READERS[name].seed()
    folder = Path(tempfile.mkdtemp())

    def one(data: bytes) -> None:
        error = try_reader(name, data, folder)
        if error is not None:
            raise error

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Search with the engine that was asked for; 1 when something was found."""
    own, _, passed = " ".join(arguments).partition(" -- ")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engine", choices=["hypothesis", "atheris", "atheris-one"])
    parser.add_argument("--minutes", type=float, default=20.0, help="for all readers together")
    parser.add_argument("--reader", choices=list(READERS), action="append", help="only these; all when left out")
    options = parser.parse_args(own.split())
    names = options.reader or list(READERS)
    if options.engine == "atheris-one":
        atheris_one(names[0], passed.split())
    search = with_hypothesis if options.engine == "hypothesis" else with_atheris
    return 1 if sum([search(name, 60 * options.minutes / len(names)) for name in names]) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
