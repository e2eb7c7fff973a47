"""Videos: memory that does not grow with length, and what a frame costs beside a single picture, in one run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..pipelines.face import Face
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.build import build_identity
from ..pipelines.identity.finder import FaceFinder
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from ..pipelines.stitch import stitch_faces
from ..pipelines.swap import SWAPPERS, SwapOptions, swap_faces
from ..pipelines.swap.tracked import TrackedSwap
from ..pipelines.video.face_frames import FaceFrames
from ..pipelines.video.face_tracks import FaceTracks
from ..pipelines.video.pixels import frame_of, precise, pyav, rgb_of
from ..pipelines.video.processing import EachFrame
from ..pipelines.video.reader import FrameReader, Window, probe
from ..pipelines.video.stream import process_video
from .clips import HEIGHT, WIDTH, Placed, background, draw, photos
from .figure import Figure
from .threads import torch_threads

SHORT, LONG = 200, 2000
#: Frames whose cost is measured (the detector sees the first one and every twelfth), and how often each part is.
FRAMES, ROUNDS = 37, 3


@torch_threads(1)
def measure() -> list[Figure]:
    """Peak memory of a short and a long video, and what a frame costs."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_memory(Path(folder)), *_cost(Path(folder))]


def _memory(folder: Path) -> list[Figure]:
    short, long = (_peak_mb(folder, count) for count in (SHORT, LONG))
    return [
        Figure(f"peak memory of {SHORT} frames at {WIDTH} × {HEIGHT}", short, None, unit="MB"),
        Figure(f"peak memory of {LONG} frames", long, None, unit="MB"),
        Figure(f"{LONG} frames in memory of {SHORT}", long / short, 1.10, unit="x"),
    ]


def _peak_mb(folder: Path, count: int) -> float:
    """Peak resident size of a process that swaps a face in a video of `count` frames."""
    program = (
        "import importlib.util, sys\n"
        "root, name, folder, count = sys.argv[1:]\n"
        "file = root + '/__init__.py'\n"
        "spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[root])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules[name] = module\n"
        "spec.loader.exec_module(module)\n"
        "importlib.import_module(name + '.benchmarks.video').swap_in_child(folder, int(count))\n"
    )
    root, name = str(Path(__file__).resolve().parents[1]), __name__.split(".")[0]
    command = [sys.executable, "-c", program, root, name, str(folder), str(count)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(run.stdout.splitlines()[-1])["peak_mb"])


def swap_in_child(folder: str, count: int) -> None:
    """Swap the face of a drawn video of `count` frames in this process, and print its peak resident size."""
    import resource

    torch.set_num_threads(1)
    source = drawn_video(Path(folder, f"{count}.mp4"), count)
    analysis, work = _parts()
    processor = FaceFrames(FaceTracks(FoundOnce(FaceFinder(analysis)), analysis.recogniser), work)
    done = process_video(source, Path(folder, f"{count}_out.mp4"), processor, TorchRuntime().progress, "memory")
    scale = 1e-6 if sys.platform == "darwin" else 1e-3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    print(json.dumps({"peak_mb": peak, "frames": done.frames}))


class FoundOnce:
    """Finds the faces of the first frame and leaves them there: memory is the question, not the time."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self._faces: list[Face] = []

    def detect(self, picture: Tensor, known: Sequence[Face]) -> tuple[Sequence[Face], Sequence[Face | None]]:
        self._faces = self._faces or self._finder.detect(picture, [])[0]
        return ([] if known else self._faces), known

    def follow(self, picture: Tensor, faces: Sequence[Face]) -> Sequence[Face]:
        return faces


def _parts() -> tuple[FaceAnalysis, TrackedSwap]:
    """The embedded analysis, and the work of the node that puts one person onto everybody."""
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    identity, _ = build_identity(analysis, [photos()["astronaut"]], "source", "")
    swapper = SWAPPERS[0].load(registry)
    return analysis, TrackedSwap(swapper, (identity,), (), analysis.recogniser, SwapOptions())


def drawn_video(path: Path, count: int) -> Path:
    """A video of a portrait that sways a little, 640 × 360 px at 25 frames per second, with silence as its sound."""
    av, people, scene = pyav(), photos(), background(1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        stream.codec_context.time_base = Fraction(1, 25)
        loop: list[Any] = []
        for step in range(25):
            canvas = scene.clone()
            sway = 20 * np.sin(2 * np.pi * step / 25)
            draw(canvas, people["hopper"], Placed("hopper", 320 + sway, 185, 140))
            loop.append(frame_of(canvas, (WIDTH, HEIGHT)).reformat(format="yuv420p", **precise()).to_ndarray())
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(loop[index % 25], format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _slightly_changed(frame: Tensor) -> Tensor:
    """Another picture in the middle, so that it is converted and encoded as one with a swapped face is."""
    changed = frame.clone()
    changed[100:280, 250:390] *= 0.99
    return changed


def _cost(folder: Path) -> list[Figure]:
    """What finding, following, swapping and stitching cost per frame, beside single pictures of the same face."""
    source = drawn_video(folder / "cost.mp4", FRAMES)
    analysis, work = _parts()
    finder, window, progress = FaceFinder(analysis, blendshapes=False), Window(), TorchRuntime().progress
    picture = next(rgb_of(frame.av) for frame in FrameReader(source, probe(source, window), window).read())[None]
    known = analysis.detect(picture).frames[0][0]

    def swap(face: Face) -> None:
        crops = swap_faces(work.swapper, picture, [(0, face, work.identities[0])], work.options)
        stitch_faces(picture, crops)

    def whole() -> None:
        tracks = FaceTracks(finder, analysis.recogniser, "zero_lag", work.choose)
        process_video(source, folder / "b.mp4", FaceFrames(tracks, work), progress, "b")

    runs: dict[str, tuple[Callable[[], Any], int]] = {
        "single": (lambda: swap(analysis.detect(picture).frames[0][0]), 1),
        "swap": (lambda: swap(known), 1),
        "coded": (lambda: process_video(source, folder / "a.mp4", EachFrame(_slightly_changed), progress, "a"), FRAMES),
        "whole": (whole, FRAMES),
    }
    times = _medians_ms(runs)
    faces_ms = times["whole"] - times["coded"]
    return [
        Figure("find, swap and stitch one face in one picture", times["single"], None, unit="ms"),
        Figure("swap and stitch it without finding it", times["swap"], None, unit="ms"),
        Figure("decode and encode a frame", times["coded"], None, unit="ms"),
        Figure("a frame of a swapped video", times["whole"], None, unit="ms"),
        Figure("a frame without decode and encode, in single pictures", faces_ms / times["single"], 1.25, unit="x"),
        Figure("... in single pictures whose face is known already", faces_ms / times["swap"], None, unit="x"),
    ]


def _medians_ms(runs: dict[str, tuple[Callable[[], Any], int]]) -> dict[str, float]:
    """Median time in ms of each run, by turns, per frame. runs: what runs, and how many frames it works on."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS + 1):
        for name, (run, frames) in runs.items():
            repeats = 6 if frames == 1 else 1
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            times[name].append((time.perf_counter() - start) * 1e3 / (repeats * frames))
    return {name: float(np.median(row[1:])) for name, row in times.items()}
