"""Faces over the frames of a video: who stays who, how still a still face is, whether the edge of a swap flickers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..pipelines.face import Face, TrackedFrame
from ..pipelines.geometry.templates import crop_from_image
from ..pipelines.geometry.warp import crop_pictures
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.build import build_identity
from ..pipelines.identity.finder import FaceFinder
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from ..pipelines.stitch import stitched_pictures
from ..pipelines.swap import SWAPPERS, SwapOptions, swap_faces
from ..pipelines.swap.tracked import TrackedSwap
from ..pipelines.video.face_frames import FaceFrames
from ..pipelines.video.face_tracks import FaceTracks
from ..pipelines.video.processing import Frame
from ..pipelines.video.tracking import track_faces
from ..pipelines.video.watch import watch_video
from .clips import SAMPLES, Clip, Placed, clip_of, crossing_clip, photos, still_clip
from .figure import Figure
from .threads import torch_threads

#: Side of the square in face coordinates that flicker is measured in, and half the width of the edge, px of it.
SIDE, EDGE = 256, 8
#: A pixel counts as changed from here on, and belongs to the face where it is changed in half of the frames.
CHANGED = 2 / 255
#: From this activation on eyes count as closed.
CLOSED = 0.35


@torch_threads(1)
def measure() -> list[Figure]:
    """Identity switches, jitter, flicker, and eyes that are closed."""
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    return [*_tracks(analysis), *_jitter(analysis), *_flicker(analysis), _blink(analysis)]


def tracked(analysis: FaceAnalysis, frames: Sequence[Tensor]) -> list[TrackedFrame]:
    """The frames with their faces, found and followed as the nodes do."""
    tracks = FaceTracks(FaceFinder(analysis, blendshapes=False), analysis.recogniser)
    done = [found for k, picture in enumerate(frames) for found in tracks.push(Frame(picture, k, k / 25))]
    return [*done, *tracks.finish()]


def _tracks(analysis: FaceAnalysis) -> list[Figure]:
    """Two people cross, one leaves and returns, and there is a cut between."""
    clip = crossing_clip()
    followed = tracked(analysis, list(clip.frames))
    sights = [(face.track, _person(clip, frame, face.center)) for frame in followed for face in frame.faces]
    people = {track: {person for number, person in sights if number == track} for track, _ in sights}
    mixed = sum(len(persons) - 1 for persons in people.values())
    detected = len(track_faces(clip.frames, analysis.detect(clip.frames), analysis.recogniser))
    again = len(people) - len({person for _, person in sights})
    return [
        Figure("people who lose their number, or take another's: cross, leave, return, cut", mixed + again, 0),
        Figure("faces followed, in those the detector finds frame by frame", len(sights) / detected, 1, False, "x"),
    ]


def _person(clip: Clip, frame: TrackedFrame, center: np.ndarray) -> str:
    return min(clip.placed[frame.index], key=lambda one: float(np.hypot(*(center - [one.x, one.y])))).person


def _jitter(analysis: FaceAnalysis) -> list[Figure]:
    frames = tracked(analysis, list(still_clip(40).frames))
    points = np.stack([frame.faces[0].landmarks[:, :2] for frame in frames if frame.faces[0].landmarks is not None])
    return [
        Figure(
            "jitter of a still face: standard deviation of the worst of 478 points",
            float(points.std(0).max()),
            0.2,
            unit="px",
        ),
        Figure("its largest step from frame to frame", float(np.abs(np.diff(points, axis=0)).max()), 0.2, unit="px"),
    ]


def _flicker(analysis: FaceAnalysis) -> list[Figure]:
    """How much the edge of the swap and the face inside it tremble, beside the same place of the clip before."""
    zoomed = {name: clip_of([(_swaying(name, k),) for k in range(36)], [4] * 36, 0.004) for name in photos()}
    acts = [frame.picture for frame in watch_video(SAMPLES / "grace_hopper_acts.mp4", TorchRuntime().progress)]
    clips = [
        ("a moving, zooming, turning face", "hopper", list(zoomed["astronaut"].frames)),
        ("another one", "astronaut", list(zoomed["hopper"].frames)),
        ("the sample clip, acting", "astronaut", acts),
    ]
    figures: list[Figure] = []
    for title, source, frames in clips:
        edge, inside = flicker_ratios(analysis, source, frames)
        figures.append(Figure(f"flicker ratio at the mask's edge: {title}", edge, 1.1, unit="x"))
        figures.append(Figure("trembling of the face inside it, in px against the clip's own", inside, 1.1, unit="x"))
    return figures


def _blink(analysis: FaceAnalysis) -> Figure:
    """How far the eyes of a swapped face are from being as closed as those of the clip, where those are closed most."""
    registry = Registry(TorchRuntime())
    identity, _ = build_identity(analysis, [photos()["astronaut"]], "source", "")
    swapper = SWAPPERS[0].load(registry)
    away: list[tuple[float, float]] = []
    for frame in watch_video(SAMPLES / "grace_hopper_acts.mp4", TorchRuntime().progress):
        picture = frame.picture[None]
        face = analysis.detect(picture).frames[0][0]
        wanted = _eyes_closed(face)
        if wanted > CLOSED:
            swapped = stitched_pictures(picture, swap_faces(swapper, picture, [(0, face, identity)], SwapOptions()))
            away.append((wanted, abs(_eyes_closed(analysis.detect(swapped).frames[0][0]) - wanted)))
    if not away:
        raise ValueError("nobody blinks in the sample clip")
    return Figure("closed eyes after the swap: blink read, against the clip's", max(off for _, off in away), 0.2)


def _eyes_closed(face: Face) -> float:
    """Mean of both eyes' blink as the blendshape network reads it."""
    if face.blendshapes is None:
        raise ValueError("the benchmark's analysis reads no blendshapes")
    return float(face.blendshapes[[BLENDSHAPE_NAMES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]].mean())


def _swaying(name: str, step: int) -> Placed:
    sway, turn = np.sin(2 * np.pi * step / 36), np.sin(2 * np.pi * step / 24)
    return Placed(name, 310 + 80 * sway, 180, 190 + 40 * sway, 10 * turn)


def flicker_ratios(analysis: FaceAnalysis, source: str, frames: Sequence[Tensor]) -> tuple[float, float]:
    """Flicker of a swapped clip in that of the clip itself: at the edge of what was changed, and inside of it in px.

    Both are seen in face coordinates, where a face that only moves stands still. Concretely the mean over edge and
    frames of |x(t) - (x(t - 1) + x(t + 1)) / 2|, which a steady change does not raise; inside divided by the mean size
    of the gradient, because the same tremble shows the more the richer in detail a face is.
    """
    registry = Registry(TorchRuntime())
    identity, _ = build_identity(analysis, [photos()[source]], source, "")
    work = TrackedSwap(SWAPPERS[0].load(registry), (identity,), (), analysis.recogniser, SwapOptions())
    seen = Seen(work)
    processor = FaceFrames(FaceTracks(FaceFinder(analysis, blendshapes=False), analysis.recogniser), seen)
    for k, picture in enumerate(frames):
        processor.push(Frame(picture, k, k / 25))
    processor.finish()
    given, swapped = _in_face(seen.frames, [one.picture for one in seen.frames]), _in_face(seen.frames, seen.changed)
    edge, inside = _edge(given, swapped)
    at_edge = _trembling(swapped)[:, edge].mean() / _trembling(given)[:, edge].mean()
    within = [_trembling(clip)[:, inside].mean() / _gradient(clip)[:, inside].mean() for clip in (swapped, given)]
    return float(at_edge), float(within[0] / within[1])


def _in_face(frames: Sequence[TrackedFrame], pictures: Sequence[Tensor]) -> Tensor:
    """(T, S, S, 3): pictures in the coordinates of their frames' faces."""
    squares = [crop_from_image(frame.faces[0], "ffhq_512", SIDE)[None] for frame in frames]
    pairs = zip(pictures, squares, strict=True)
    return torch.cat([crop_pictures(picture[None], (0,), square, (SIDE, SIDE), "border") for picture, square in pairs])


class Seen:
    """A work that remembers what went in and out."""

    def __init__(self, work: TrackedSwap) -> None:
        self._work = work
        self.batch = 1
        self.frames: list[TrackedFrame] = []
        self.changed: list[Tensor] = []
        self.state, self.restore = work.state, work.restore

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        changed = self._work.change(frames)
        self.frames.extend(frames)
        self.changed.extend(changed)
        return changed


def _edge(given: Tensor, swapped: Tensor) -> tuple[Tensor, Tensor]:
    """(S, S) bool twice: within a few px of where the change ends, and further inside."""
    often = ((swapped - given).abs().amax(-1) > CHANGED).float().mean(0)
    face = F.avg_pool2d(often[None, None], 5, 1, 2) > 0.5
    near, far = (F.max_pool2d(part.float(), 2 * EDGE + 1, 1, EDGE) > 0 for part in (face, ~face))
    return (near & far)[0, 0], ~far[0, 0]


def _trembling(clip: Tensor) -> Tensor:
    """(T - 2, S, S) of (T, S, S, 3)."""
    return (clip[1:-1] - (clip[:-2] + clip[2:]) / 2).abs().mean(-1)


def _gradient(clip: Tensor) -> Tensor:
    """(T, S, S) of (T, S, S, 3): mean size of the differences across and down, per px."""
    across = (clip[:, :, 2:] - clip[:, :, :-2]).abs().mean(-1) / 2
    down = (clip[:, 2:] - clip[:, :-2]).abs().mean(-1) / 2
    return (F.pad(across, (1, 1)) + F.pad(down, (0, 0, 1, 1))) / 2
