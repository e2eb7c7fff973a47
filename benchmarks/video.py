"""Videos: memory that does not grow with length, and what a frame costs beside a single picture, in one run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..pipelines.face import NOBODY, Face
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

SHORT, LONG, SOUND_HZ = 200, 2000, 48000
#: Frames whose cost is measured (the detector sees the first one and every twelfth), and how often each part is.
FRAMES, ROUNDS = 37, 3


@torch_threads(1)
def measure() -> list[Figure]:
    """Peak memory of a short and a long video, and what a frame costs."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_memory(Path(folder)), *_cost(Path(folder))]


def _memory(folder: Path) -> list[Figure]:
    short, long = (_swapped(folder, count) for count in (SHORT, LONG))
    return [
        Figure(f"peak memory of {SHORT} frames at {WIDTH} × {HEIGHT}", short.peak_mb, None, unit="MB"),
        Figure(f"peak memory of {LONG} frames", long.peak_mb, None, unit="MB"),
        Figure(f"{LONG} frames in memory of {SHORT}", long.peak_mb / short.peak_mb, 1.10, unit="x"),
        Figure("... and how many of them had their face found or followed, and swapped", long.swapped, 1.0, False, "x"),
        Figure("... and of their sound copied as it was", long.sound, 1.0, False, "x"),
        Figure(f"how often the detector looked at {LONG} frames", long.detections, None),
        Figure(f"{LONG} frames took, of one core", long.seconds, None, unit="s"),
    ]


@dataclass(frozen=True)
class Swapped:
    """What a process has used that swapped the face of a video.

    peak_mb: its peak resident size. swapped, sound: of the frames and of the packets of sound, which part came out as
    it has to. detections: how often the detector looked. seconds: of processor time.
    """

    peak_mb: float
    swapped: float
    sound: float
    detections: int
    seconds: float


def _swapped(folder: Path, count: int) -> Swapped:
    """Swap the face of a drawn video of `count` frames in a process of its own."""
    program = (
        "import importlib.util, sys\n"
        "root, name, file, count = sys.argv[1:]\n"
        "init = root + '/__init__.py'\n"
        "spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[root])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules[name] = module\n"
        "spec.loader.exec_module(module)\n"
        "importlib.import_module(name + '.benchmarks.video').swap_in_child(file, int(count))\n"
    )
    root, name = str(Path(__file__).resolve().parents[1]), __name__.split(".")[0]
    # drawn here, so that only reading, swapping and writing it is in the memory of the process
    source = drawn_video(folder / f"{count}.mp4", count)
    command = [sys.executable, "-c", program, root, name, str(source), str(count)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return Swapped(**json.loads(run.stdout.splitlines()[-1]))


def swap_in_child(file: str, count: int) -> None:
    """Swap the face of a video of `count` frames in this process as the node does, and print a `Swapped`."""
    torch.set_num_threads(1)
    source = Path(file)
    analysis, work = _parts()
    finder = CountedFinder(FaceFinder(analysis, blendshapes=False))
    tracks = FaceTracks(finder, analysis.recogniser, "zero_lag", work.choose)
    start = time.process_time()
    target = source.with_name(f"{source.stem}_out.mp4")
    done = process_video(source, target, FaceFrames(tracks, work), TorchRuntime().progress, "memory")
    seconds = time.process_time() - start
    peak = _peak_mb()
    swapped = sum(seen for track, seen in tracks.seen.items() if tracks.who()[track] != NOBODY) / count
    given, copied = _sound_of(source), _sound_of(done.path)
    same = sum(one == other for one, other in zip(given, copied, strict=False)) / max(len(given), 1)
    print(json.dumps(asdict(Swapped(peak, swapped, same, finder.detections, seconds))))


@dataclass
class CountedFinder:
    """The finder of the nodes, and how often it has looked for new faces."""

    finder: FaceFinder
    detections: int = 0

    def detect(self, picture: Tensor, known: Sequence[Face]) -> tuple[Sequence[Face], Sequence[Face | None]]:
        self.detections += 1
        return self.finder.detect(picture, known)

    def follow(self, picture: Tensor, faces: Sequence[Face]) -> Sequence[Face]:
        return self.finder.follow(picture, faces)


def _peak_mb() -> float:
    """Peak resident size of this process."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss begins with the size of the process that started this one
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1.024e-3
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1e-6 if sys.platform == "darwin" else 1.024e-3)


def _sound_of(path: Path) -> list[bytes]:
    """The packets of a file's sound."""
    with pyav().open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]


def _parts() -> tuple[FaceAnalysis, TrackedSwap]:
    """The embedded analysis, and the work of the node that puts one person onto everybody."""
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    identity, _ = build_identity(analysis, [photos()["astronaut"]], "source", "")
    swapper = SWAPPERS[0].load(registry)
    return analysis, TrackedSwap(swapper, (identity,), (), analysis.recogniser, SwapOptions())


def drawn_video(path: Path, count: int) -> Path:
    """A video of a portrait that sways a little, 640 × 360 px at 25 frames per second, with a tone as its sound."""
    av, people, scene = pyav(), photos(), background(1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        stream.codec_context.time_base = Fraction(1, 25)
        tone = output.add_stream("aac", rate=SOUND_HZ, layout="mono")
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
            output.mux(tone.encode(_tone(index)))
        for ended in (stream, tone):
            output.mux(ended.encode(None))
    return path


def _tone(index: int) -> Any:
    """The sound of one frame: 220 Hz and its octave, louder and softer."""
    samples = SOUND_HZ // 25
    time_s = (index * samples + np.arange(samples)) / SOUND_HZ
    wave = np.sin(2 * np.pi * 220 * time_s) + np.sin(2 * np.pi * 440 * time_s) * np.sin(2 * np.pi * time_s)
    frame = pyav().AudioFrame.from_ndarray((0.2 * wave).astype(np.float32)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, index * samples, Fraction(1, SOUND_HZ)
    return frame


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
