"""What is finished of a video that is being made: one line per chunk, so that an interrupted work goes on."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .association import State
from .writer import disk_errors

_JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Chunk:
    """A finished segment. number: from 0. ticks: when each of its frames shows. last_duration: of the last, or 0."""

    number: int
    ticks: tuple[int, ...]
    last_duration: int


class Journal:
    """The folder of an unfinished video: segments, the processor's memory after the last one, and a line for each.

    job: what is being made; work on anything else is thrown away. Lines are only added after segment and memory are
    safely on the disk, and a line that was cut off does not count.
    """

    def __init__(self, folder: Path, job: str) -> None:
        self.folder = folder
        self._path = folder / _JOURNAL
        self.chunks: list[Chunk] = []
        with disk_errors(folder):
            if not self._read(job):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                self._add({"job": job})

    def segment(self, number: int) -> Path:
        """The file of a chunk."""
        return self.folder / f"{number:05}.mp4"

    def _memory(self, number: int) -> Path:
        return self.folder / f"{number:05}.safetensors"

    def frames(self) -> int:
        """How many frames are finished."""
        return sum(len(chunk.ticks) for chunk in self.chunks)

    def finish_chunk(self, chunk: Chunk, state: State) -> None:
        """Note a segment that is complete, and what the processor remembers after it."""
        with disk_errors(self.folder):
            _flush(self.segment(chunk.number))
            save_file({name: np.ascontiguousarray(value) for name, value in state.items()}, self._memory(chunk.number))
            _flush(self._memory(chunk.number))
            self._add({"chunk": chunk.number, "ticks": list(chunk.ticks), "last": chunk.last_duration})
            self._memory(chunk.number - 1).unlink(missing_ok=True)
        self.chunks.append(chunk)

    def state(self) -> State:
        """What the processor remembered after the last finished chunk."""
        return dict(load_file(self._memory(len(self.chunks) - 1)))

    def remove(self) -> None:
        """Delete the folder: the video is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _add(self, line: dict[str, Any]) -> None:
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, job: str) -> bool:
        """Take over what is finished; False when there is nothing of this job."""
        if not self._path.is_file():
            return False
        whole = self._path.read_text(encoding="utf-8").split("\n")[:-1]
        try:
            lines = [json.loads(line) for line in whole]
            if not lines or lines[0] != {"job": job}:
                return False
            chunks = [Chunk(line["chunk"], tuple(line["ticks"]), line["last"]) for line in lines[1:]]
            if chunks:
                load_file(self._memory(len(chunks) - 1))
        except (ValueError, KeyError, TypeError, OSError, SafetensorError):
            return False
        if [chunk.number for chunk in chunks] != list(range(len(chunks))):
            return False
        if not all(self.segment(chunk.number).is_file() for chunk in chunks):
            return False
        self.chunks = chunks
        self._path.write_text("".join(line + "\n" for line in whole), encoding="utf-8")
        return True


def _flush(path: Path) -> None:
    """Wait until a file is on the disk, not only on its way."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
