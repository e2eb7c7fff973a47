"""What cropping and stitching cost in a 4K picture, against copying that picture: one thread, one run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from ..pipelines.face import Face, FaceCrops, Faces, as_float_array, five_points
from ..pipelines.geometry.mesh import canonical_mesh
from ..pipelines.stitch import BLENDS, Finish, crop_faces, stitch_faces, stitched_pictures
from ..pipelines.stitch.paste import Blend
from ..pipelines.stitch.place import reach_of, strips_of
from ..pipelines.stitch.resample import WayBack, sampled
from .figure import Figure
from .threads import torch_threads

WIDTH, HEIGHT = 3840, 2160
ROUNDS = 9


@torch_threads(1)
def measure() -> list[Figure]:
    """A 700 px and a 220 px face in 3840 x 2160 float32: time in copies of the frame, and memory."""
    picture = torch.rand(1, HEIGHT, WIDTH, 3)
    buffer = torch.empty_like(picture)
    figures: list[Figure] = []
    for face_px, most in ((700, 1.5), (220, 1.1)):
        faces = Faces(((_face(face_px),),), HEIGHT, WIDTH)
        crops = _changed(crop_faces(picture, faces, mask="face"))
        copy_ms, *others = _in_turns(
            lambda: buffer.copy_(picture),
            lambda crops=crops: stitch_faces(picture, crops, out=buffer),
            lambda crops=crops: stitched_pictures(picture, crops, out=buffer),
        )
        stitch_x, picture_x = (spent / copy_ms for spent in others)
        least_x = 1 + _median(_sampling(crops)) / copy_ms
        what = f"stitching a {face_px} px face, in copies of the frame"
        figures.append(Figure(what, stitch_x, most, unit="x"))
        figures.append(Figure("without the mask it used, as in videos", picture_x, None, unit="x"))
        figures.append(Figure("copying, and sampling the colours from warm caches", least_x, None, unit="x"))
        crop_ms = _median(lambda faces=faces: crop_faces(picture, faces, mask="face"))
        figures.append(Figure(f"cropping a {face_px} px face with its mask", crop_ms, 60, unit="ms"))
        if face_px == 700:
            figures.append(Figure("copying the frame", copy_ms, None, unit="ms"))
            figures += _memory(picture, crops, buffer)
            figures += [_of_blend(picture, crops, buffer, blend, copy_ms) for blend in BLENDS[1:]]
    return figures


def _sampling(crops: FaceCrops) -> Callable[[], object]:
    """What no stitch can go without beside copying: where the changed pixels lie in the crop, and their colours."""
    reach, matrix = reach_of(crops.masks[0]), crops.crop_from_image[0]
    region = None if reach is None else reach.region(matrix, HEIGHT, WIDTH)
    if reach is None or region is None:
        raise ValueError("the benchmark's mask is empty")
    way = WayBack(matrix, (crops.images.shape[1], crops.images.shape[2]), region)
    colours = crops.images[0].permute(2, 0, 1)[None].contiguous()
    strips = list(strips_of(region, matrix, reach, True))
    return lambda: [sampled(colours, way.grid(strip)) for strip in strips]


def _memory(picture: Tensor, crops: FaceCrops, buffer: Tensor) -> list[Figure]:
    """The most that a stitch holds at a time besides the buffer and the mask it returns.

    Pixel by pixel it is less than the crop with its mask; blends and finishes that look around themselves hold the
    face at the picture's scale, and less than one more picture.
    """
    crop_bytes = 4 * (crops.images.numel() + crops.masks.numel())
    held = _most_held(lambda: stitch_faces(picture, crops, out=buffer))
    figures = [Figure("memory of one stitch, in crops with their mask", held / crop_bytes, 1.0, unit="x")]
    ways = {blend: (blend, Finish()) for blend in BLENDS[1:]}
    ways |= {"colour lab": ("alpha", Finish("lab")), "linear light": ("alpha", Finish(linear_light=True))}
    ways |= {"grain": ("alpha", Finish(grain=1.0)), "all": ("poisson", Finish("lab", 1.0, True))}
    for name, (blend, finish) in ways.items():
        held = _most_held(lambda b=blend, f=finish: stitch_faces(picture, crops, b, finish=f, out=buffer))
        figures.append(Figure(f"memory of one stitch with {name}, in pictures", held / picture.nbytes, 1.0, unit="x"))
    return figures


def _most_held(run: Callable[[], object]) -> int:
    """Bytes of tensors."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        run()
    held = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def _of_blend(picture: Tensor, crops: FaceCrops, buffer: Tensor, blend: Blend, copy_ms: float) -> Figure:
    spent = _median(lambda: stitch_faces(picture, crops, blend, out=buffer), 3)
    return Figure(f"the same by {blend}", spent / copy_ms, None, unit="x")


def _face(width_px: float) -> Face:
    """The canonical face in the middle of the picture, a little turned."""
    points = np.zeros((478, 3))
    points[:468] = canonical_mesh().points * np.array([1, -1, -1])
    points[468:] = points[33]
    points *= width_px / np.ptp(points[:468, 0])
    turn = np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
    points[:, :2] = points[:, :2] @ turn.T + np.array([WIDTH / 2, HEIGHT / 2])
    box = as_float_array(np.concatenate([points[:, :2].min(0), points[:, :2].max(0)]))
    dense = as_float_array(points)
    dense[468:] = dense[[33, 133, 159, 145, 33, 263, 362, 386, 374, 263]]
    return Face(box, 1.0, five_points(dense), dense)


def _changed(crops: FaceCrops) -> FaceCrops:
    return crops.with_images(crops.images * 0.9 + 0.05)


def _in_turns(*runs: Callable[[], object]) -> list[float]:
    """Median ms of each, run in turns so that all see the same load of the machine."""
    times: list[list[float]] = [[] for _ in runs]
    for round_ in range(ROUNDS + 2):
        for row, run in zip(times, runs, strict=True):
            start = time.perf_counter()
            run()
            if round_ >= 2:
                row.append((time.perf_counter() - start) * 1e3)
    return [float(np.median(row)) for row in times]


def _median(run: Callable[[], object], rounds: int = ROUNDS) -> float:
    times: list[float] = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times[1:]))
