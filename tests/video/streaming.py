"""A short call of the streaming helper, and processors for it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.video.processing import EachFrame, Frame, FrameProcessor
from likeness.pipelines.video.reader import Window
from likeness.pipelines.video.sound import Sound
from likeness.pipelines.video.stream import VideoResult, process_video
from likeness.pipelines.video.writer import Encoding
from likeness.tests.video.drawn import BLUE, RED, picture

LOSSLESS = Encoding(quality=0, preset="ultrafast")
FAST = Encoding(preset="ultrafast")


def moving(count: int, size: tuple[int, int] = (96, 160)) -> list[Tensor]:
    return [picture([(30 + 2 * k, 40, 12, RED), (100, 60, 10, BLUE)], size) for k in range(count)]


def luma(frame: Any) -> Any:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def same(frame: Tensor) -> Tensor:
    return frame


def inverted_square(frame: Tensor) -> Tensor:
    changed = frame.clone()
    changed[20:60, 31:91] = 1 - changed[20:60, 31:91]
    return changed


def run(
    source: Path | io.BytesIO,
    target: Path,
    change: Callable[[Tensor], Tensor] | FrameProcessor = same,
    window: Window | None = None,
    encoding: Encoding = FAST,
    chunk_frames: int = 10,
    runtime: TorchRuntime | None = None,
    sound: Sound | None = None,
) -> VideoResult:
    processor = change if hasattr(change, "push") else EachFrame(change)
    progress = (runtime or TorchRuntime()).progress
    return process_video(source, target, processor, progress, "job", window, encoding, chunk_frames, None, sound)


class Hold:
    """Gives every frame back three frames later, darkened by how many came before it."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []
        self.done = 0

    def push(self, frame: Frame) -> Sequence[Tensor]:
        self.kept.append(frame.picture)
        return [self._give()] if len(self.kept) > 3 else []

    def _give(self) -> Tensor:
        self.done += 1
        return self.kept.pop(0) * (1 - self.done / 200)

    def finish(self) -> Sequence[Tensor]:
        return [self._give() for _ in range(len(self.kept))]

    def state(self) -> dict[str, np.ndarray]:
        return {"done": np.array([self.done])}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.kept, self.done = [], int(state["done"][0])


class Interrupted(BaseException):
    """As ComfyUI's: no Exception."""


class Stops:
    """A progress bar that interrupts at one frame."""

    def __init__(self, at: int) -> None:
        self.at, self.done = at, 0

    def __call__(self, total: int) -> Stops:
        return self

    def update(self, steps: int = 1) -> None:
        self.done += steps
        if self.done >= self.at:
            raise Interrupted
