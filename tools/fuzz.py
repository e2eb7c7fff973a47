"""Feeds the readers of files that nobody vouches for with broken and hostile ones, and keeps what breaks them.

    python tools/fuzz.py hypothesis --minutes 20              all readers, one after the other, 20 minutes in all
    python tools/fuzz.py atheris --minutes 20 --reader zip    guided by coverage; needs atheris (pip)

A reader may return or refuse with an error of the pack; anything else is a finding: its file is written to
tests/hostile/findings, where the test suite reads it ever after, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from checkout import ROOT, map_package
from untrusted import READERS, load

FINDINGS = ROOT / "tests" / "hostile" / "findings"
#: Longer files only make the search slower.
MAX_BYTES = 1 << 16


def try_reader(name: str, data: bytes, folder: Path) -> Exception | None:
    """Give a reader a file; None when it returns or refuses as it should, else what it raised."""
    reader = READERS[name]
    path = folder / f"case{reader.suffix}"
    path.write_bytes(data)
    refusals = (load("errors", "LikenessError"),)
    try:
        reader.read(path)
    except refusals:
        return None
    except Exception as error:  # any other exception is what is looked for
        return error
    return None


def can_be_read(name: str) -> bool:
    """Whether the packages of a reader are installed; says so when they are not."""
    missing = [package for package in READERS[name].needs if importlib.util.find_spec(package) is None]
    if missing:
        sys.stdout.write(f"{name}: left out, it needs {', '.join(missing)} (pip)\n")
    return not missing


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
            # atheris names a file for what it did: crash, leak, oom, timeout or slow-unit
            keep(name, crash.read_bytes(), RuntimeError(f"{crash.name.rpartition('-')[0]}: {run.stderr[-200:]}"))
        lines = [line for line in run.stderr.splitlines() if line.startswith(("Done", "stat::number", "#"))]
        sys.stdout.write(f"{name}: atheris {lines[-1] if lines else 'ended'}, {len(found)} finding(s)\n")
        if run.returncode and not found:
            raise SystemExit(f"atheris ended with {run.returncode}: {run.stderr[-800:]}")
        return len(found)


def atheris_one(name: str, arguments: list[str]) -> None:
    """Search until the time is over or something is found; never returns."""
    import atheris

    map_package()
    folder = Path(tempfile.mkdtemp())
    with atheris.instrument_imports(include=["likeness"]):
        try_reader(name, READERS[name].seed(), folder)  # imports all that the reader is made of

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
    names = [name for name in options.reader or list(READERS) if can_be_read(name)]
    if options.engine == "atheris-one":
        atheris_one(names[0], passed.split())
    search = with_hypothesis if options.engine == "hypothesis" else with_atheris
    seconds = 60 * options.minutes / max(len(names), 1)
    found = 0
    for name in names:
        sys.stdout.write(f"{name}: {seconds:.0f} s\n")
        found += search(name, seconds)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
