"""A playlist or a list of files that is called a video is refused, and what it names is not opened."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.pipelines.errors import UnsafeFileError, VideoError
from likeness.pipelines.safety.picture_files import read_statement
from likeness.pipelines.video.reader import Window, opened, probe

av: Any = pytest.importorskip("av", reason="PyAV comes with ComfyUI")

LIST = "ffconcat version 1.0\nfile neighbour.ts\n"
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\nneighbour.ts\n#EXT-X-ENDLIST\n"
ADDRESS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with av.open(str(tmp_path / "neighbour.ts"), "w", format="mpegts") as output:
        stream = output.add_stream("mpeg2video", rate=25)
        stream.width = stream.height = 64
        for grey in range(0, 250, 25):
            picture = np.full((64, 64, 3), grey, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return tmp_path


@pytest.fixture
def logging() -> Iterator[Any]:
    """FFmpeg says at its most talkative which files and addresses it opens."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.DEBUG)
    yield lambda: av.logging.Capture(local=False)
    av.logging.set_level(before)


def named(logs: Any, name: str) -> list[str]:
    return [text for _, _, text in logs if name in text]


@pytest.mark.parametrize(
    ("name", "text", "other"),
    [
        ("list.mp4", LIST, "neighbour.ts"),
        ("list.mkv", LIST, "neighbour.ts"),
        ("list.m3u8", PLAYLIST, "neighbour.ts"),
        ("net.m3u8", ADDRESS, "127.0.0.1"),
    ],
)
def test_a_list_is_refused_and_what_it_names_is_not_opened(
    folder: Path, logging: Any, name: str, text: str, other: str
) -> None:
    path = folder / name
    path.write_text(text)
    with logging() as logs, pytest.raises(av.error.FFmpegError):
        next(av.open(str(path), timeout=2).decode(video=0), None)
        raise av.error.EOFError(0, "opened without trouble")
    assert named(logs, other), "FFmpeg left to itself opens what the list names, or this test shows nothing"
    with logging() as logs, pytest.raises(VideoError, match="playlist of other files"):
        probe(path, Window())
    assert not named(logs, other)


def test_a_list_in_memory_is_refused(folder: Path, logging: Any) -> None:
    content = LIST.replace("neighbour.ts", str(folder / "neighbour.ts")).encode()
    with logging() as logs, pytest.raises(VideoError, match="playlist of other files"), opened(io.BytesIO(content)):
        pass
    assert not named(logs, "neighbour.ts")


def test_a_list_carries_no_statement_and_is_not_followed(folder: Path, logging: Any) -> None:
    path = folder / "list.mp4"
    path.write_text(LIST)
    with logging() as logs, pytest.raises(UnsafeFileError, match=r"list\.mp4 cannot be read as a video"):
        read_statement(path)
    assert not named(logs, "neighbour.ts")


def test_the_neighbour_itself_is_a_video(folder: Path) -> None:
    facts = probe(folder / "neighbour.ts", Window())
    assert (facts.width, facts.height) == (64, 64)
