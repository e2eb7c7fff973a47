"""One file from one address: resumed where an earlier try stopped, measured while it arrives."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import DownloadError
from .connection import Interrupted, open_address, stated_size

#: Called with (bytes there, bytes in all or None); what it raises ends the transfer, which can be resumed.
Report = Callable[[int, "int | None"], None]

_BLOCK = 1 << 20
#: No weights file is larger: what a server may fill a disk with where no size is published.
_MOST_BYTES = 64_000_000_000
#: How far a size that is only published rounded may be off.
_ROUNDED = 0.1


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is fetched."""

    size_bytes: int | None
    sha256: str | None
    about_bytes: int | None = None

    @property
    def most_bytes(self) -> int:
        """More than this is another file."""
        if self.size_bytes is not None:
            return self.size_bytes
        return _MOST_BYTES if self.about_bytes is None else int(self.about_bytes * (1 + _ROUNDED))

    @property
    def least_bytes(self) -> int:
        """Less than this is another file."""
        if self.size_bytes is not None:
            return self.size_bytes
        return 1 if self.about_bytes is None else int(self.about_bytes * (1 - _ROUNDED))


@dataclass(frozen=True)
class Patience:
    """timeout_s: silence after which a connection counts as dropped. tries: in a row that brought nothing new.

    pause_s: before the second of them, doubled for each further one.
    """

    timeout_s: float = 30.0
    tries: int = 5
    pause_s: float = 1.0


@dataclass(frozen=True)
class _Begun:
    """What an unfinished file is the beginning of, kept beside it."""

    url: str
    etag: str
    modified: str

    @property
    def validator(self) -> str:
        """What tells the server which version was begun; a weak tag does not vouch for bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


def receive(
    url: str, partial: Path, expected: Expected, report: Report, patience: Patience, unprotected: bool = False
) -> None:
    """Bring the content of an address into `partial`, going on where an earlier call stopped.

    Its content is not judged beyond its size. Raises DownloadError when the address cannot give the file, and what
    `report` raises; what has arrived stays for the next call either way.
    """
    idle, most = 0, _size(partial)
    while True:
        try:
            _attempt(url, partial, expected, report, patience.timeout_s, unprotected)
            return
        except Interrupted as error:
            idle = 0 if _size(partial) > most else idle + 1
            most = max(most, _size(partial))
            if idle >= patience.tries:
                raise DownloadError(
                    f"{url}: {error}; {idle} tries in a row brought nothing new, {_size(partial)} bytes are kept"
                ) from error
        _pause(patience.pause_s * 2**idle, partial, report)


def discard(partial: Path) -> None:
    """Forget an unfinished file."""
    partial.unlink(missing_ok=True)
    _state(partial).unlink(missing_ok=True)


def finish(partial: Path, target: Path) -> None:
    """Give a complete file its name."""
    partial.replace(target)
    _state(partial).unlink(missing_ok=True)


def _attempt(url: str, partial: Path, expected: Expected, report: Report, timeout_s: float, unprotected: bool) -> None:
    headers, have = _range(url, partial, expected)
    try:
        answer = open_address(url, headers, timeout_s, unprotected)
    except urllib.error.HTTPError as error:
        # 416: there is nothing after what we have, so either it is all there or it was never this file
        if have and have == (expected.size_bytes or _total_of(error.headers)):
            return
        discard(partial)
        raise Interrupted("the server no longer has the file that was begun") from error
    with answer:
        start = _start(url, answer, have)
        total = _total(url, answer, start, expected)
        begun = _Begun(url, answer.headers.get("ETag") or "", answer.headers.get("Last-Modified") or "")
        _state(partial).write_text(json.dumps(asdict(begun)), encoding="utf-8")
        done = _write(answer, partial, start, total, expected, report)
    if total is not None and done < total:
        raise Interrupted(f"the connection ended after {done} of {total} bytes")
    if done < expected.least_bytes:
        discard(partial)
        raise DownloadError(f"{url} gave {done} bytes, expected {_size_text(expected)}")


def _range(url: str, partial: Path, expected: Expected) -> tuple[dict[str, str], int]:
    """The headers that ask for the rest of an unfinished file, and how much of it is there."""
    have = _size(partial)
    if not have:
        return {}, 0
    begun = _read_state(partial)
    same = begun is not None and begun.url == url and bool(begun.validator)
    if begun is not None and same:
        return {"Range": f"bytes={have}-", "If-Range": begun.validator}, have
    if expected.sha256 is not None and have <= expected.most_bytes:
        return {"Range": f"bytes={have}-"}, have  # another address: the hash will tell whether they fit together
    return {}, 0


def _start(url: str, answer: Any, have: int) -> int:
    """Where in the file the answer begins. Raises DownloadError for what is no file's content."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadError(f"{url} answered with compressed content, which was not asked for")
    if answer.headers.get_content_type() == "text/html":
        raise DownloadError(f"{url} answered with a web page instead of the file; a login may be in between")
    if answer.status != 206:
        return 0
    found = re.fullmatch(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", answer.headers.get("Content-Range", ""))
    if found is None or stated_size(found[1]) != have:
        raise DownloadError(f"{url} gave another part of the file than was asked for (from byte {have} on)")
    return have


def _total(url: str, answer: Any, start: int, expected: Expected) -> int | None:
    """The size of the whole file as the server says it, which must be the expected one."""
    length = answer.headers.get("Content-Length")
    rest = stated_size(length)
    if length and rest is None:
        raise DownloadError(f"{url} says that it has {length[:40]!r} bytes ({len(length)} digits), which is no size")
    total = expected.size_bytes if rest is None else start + rest
    if total is not None and not expected.least_bytes <= total <= expected.most_bytes:
        raise DownloadError(f"{url} has {total} bytes, expected {_size_text(expected)}: another file")
    return total


def _write(answer: Any, partial: Path, start: int, total: int | None, expected: Expected, report: Report) -> int:
    with partial.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        done = start
        report(done, total)
        while True:
            try:
                # read1 gives what has arrived: a slow connection shows its progress, and keeps it when it drops
                block: bytes = answer.read1(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise Interrupted(f"the connection failed after {done} bytes: {error!r}") from error
            if not block:
                return done
            done += len(block)
            if done > expected.most_bytes:
                raise DownloadError(f"{answer.url} gives more than the {_size_text(expected)} the file has")
            file.write(block)
            report(done, total)


def _total_of(headers: Any) -> int | None:
    found = re.fullmatch(r"bytes \*/([0-9]+)", headers.get("Content-Range", ""))
    return stated_size(found[1]) if found else None


def _size_text(expected: Expected) -> str:
    if expected.size_bytes is not None:
        return f"{expected.size_bytes} bytes"
    return "some" if expected.about_bytes is None else f"about {expected.about_bytes} bytes"


def _pause(seconds: float, partial: Path, report: Report) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        report(_size(partial), None)
        time.sleep(min(0.2, left))


def _state(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _read_state(partial: Path) -> _Begun | None:
    try:
        return _Begun(**json.loads(_state(partial).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # without it the file is begun again


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
