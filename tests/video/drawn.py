"""Small exact stand-ins: coloured discs as people, a detector that finds them, and video files of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from likeness.pipelines.face import Face, Faces, FloatArray, as_float_array, five_points
from likeness.pipelines.geometry.mesh import canonical_mesh
from likeness.pipelines.video.pixels import rgb_of

RED, GREEN, BLUE = (0.9, 0.2, 0.2), (0.2, 0.9, 0.2), (0.2, 0.2, 0.9)
TICK = Fraction(1, 12800)

Disc = tuple[float, float, float, tuple[float, float, float]]


def picture(discs: Sequence[Disc], size: tuple[int, int] = (96, 160), shade: float = 0.5) -> Tensor:
    """(H, W, 3): discs (x, y, radius, colour) on a soft ramp, later ones in front; x is drawn to a part of a pixel."""
    rows, columns = torch.meshgrid(torch.arange(float(size[0])), torch.arange(float(size[1])), indexing="ij")
    canvas = ((columns / size[1] * 0.2 + rows / size[0] * 0.1 + shade - 0.15)[..., None]).expand(-1, -1, 3).clone()
    for x, y, radius, colour in discs:
        alpha = (radius - torch.hypot(columns - x, rows - y) + 0.5).clamp(0, 1)[..., None]
        canvas = torch.lerp(canvas, torch.tensor(colour).expand_as(canvas), alpha)
    return canvas


def find(pictures: Tensor) -> Faces:
    """Every disc of the three colours that is at least half visible, as a face with a dense mesh."""
    frames = tuple(tuple(_faces(one)) for one in pictures)
    return Faces(frames, pictures.shape[1], pictures.shape[2])


class Discs:
    """Finds and follows discs; counts how often it did. blind: the numbers of detections that see nothing."""

    def __init__(self, blind: Sequence[int] = ()) -> None:
        self.blind, self.detections, self.looks = blind, 0, 0

    def detect(self, picture: Tensor, known: Sequence[Face]) -> tuple[list[Face], list[Face | None]]:
        self.detections += 1
        found = [] if self.detections - 1 in self.blind else _faces(picture)
        seen = [next((face for face in found if _near(face, one)), None) for one in known]
        return [face for face in found if not any(_near(face, one) for one in known)], seen

    def follow(self, picture: Tensor, faces: Sequence[Face]) -> list[Face]:
        """The nearest disc within a radius and a half, or no face at all."""
        self.looks += len(faces)
        there, found = _faces(picture), []
        for face in faces:
            nearest = min(there, key=lambda disc: float(np.hypot(*(disc.center - face.center))), default=None)
            far = nearest is None or np.hypot(*(nearest.center - face.center)) > 0.75 * face.width_px
            found.append(replace(face, score=0.0) if far else nearest)
        return found


def _near(a: Face, b: Face) -> bool:
    return float(np.hypot(*(a.center - b.center))) < 0.5 * a.width_px


def _faces(one: Tensor) -> list[Face]:
    found: list[Face] = []
    for colour in (RED, GREEN, BLUE):
        near = ((one - torch.tensor(colour)).abs().amax(-1) < 0.25).numpy()
        ys, xs = np.nonzero(near)
        if len(xs) > 60:
            found.append(face_at(xs.mean(), ys.mean(), float(np.sqrt(len(xs) / np.pi))))
    return found


def face_at(x: float, y: float, radius: float) -> Face:
    """A face of this middle and radius."""
    points = canonical_mesh().points
    flat = points * np.array([1, -1, -1]) / np.abs(points[:, :2]).max()
    mesh = as_float_array(flat * radius + np.array([x, y, 0]))
    box = as_float_array([x - radius, y - radius, x + radius, y + radius])
    return Face(box, 0.9, five_points(mesh), mesh, np.full(52, 0.5, np.float32))


class Colours:
    """Tells discs apart by their colour; counts how often it was asked."""

    def __init__(self) -> None:
        self.looks = 0

    def embed(self, images: Tensor, faces: Sequence[tuple[int, Face]]) -> FloatArray:
        self.looks += len(faces)
        rows = []
        for index, face in faces:
            x, y = (round(float(value)) for value in face.center)
            rows.append(images[index, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].mean((0, 1)).numpy())
        return as_float_array(np.stack(rows))

    def distance(self, a: FloatArray, b: FloatArray) -> float:
        return float(np.linalg.norm(a - b))

    def probability(self, distance: float) -> float:
        return float(1 / (1 + np.exp((distance - 0.4) * 18)))


def write_video(
    path: Path,
    frames: Sequence[Tensor],
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    sound: str | None = "aac",
    steps: Sequence[int] = (512,),
    options: dict[str, str] | None = None,
    turned: int = 0,
) -> Path:
    """A video at 25 frames per second, or with the given ticks (1/12800 s) between frames, and a tone of its length.

    turned: degrees that a player must turn it by, written into its header.
    """
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = TICK
        stream.codec_context.colorspace = stream.codec_context.color_range = 1
        stream.options = options or {}
        tone = output.add_stream(sound, rate=48000, layout="mono") if sound else None
        ticks = 0
        for row, frame in enumerate(frames):
            pixels = (frame * 65535).round().numpy().astype(np.uint16)
            kind = "rgb48le" if pixels.shape[2] == 3 else "rgba64le"
            grown = ((0, height % 2), (0, width % 2), (0, 0))  # FFmpeg converts odd sizes wrongly
            whole = av.VideoFrame.from_ndarray(np.pad(pixels, grown, mode="edge"), format=kind)
            coded = cropped(whole.reformat(format=pixel_format, dst_colorspace=1, dst_color_range=1), width, height)
            coded.pts, coded.time_base = ticks, TICK
            ticks += steps[row % len(steps)]
            output.mux(stream.encode(coded))
        output.mux(stream.encode(None))
        if tone is not None:
            _write_tone(output, tone, float(ticks * TICK))
    if turned:
        _turn_header(path, turned)
    return path


def cropped(frame: Any, width: int, height: int) -> Any:
    """The frame without its last lines, where it has more than asked for."""
    if (frame.width, frame.height) == (width, height):
        return frame
    smaller = av.VideoFrame(width, height, frame.format.name)
    for old, new in zip(frame.planes, smaller.planes, strict=True):
        rows = np.frombuffer(old, np.uint8).reshape(old.height, old.line_size)
        np.frombuffer(new, np.uint8).reshape(new.height, new.line_size)[:, : new.width] = rows[
            : new.height, : new.width
        ]
    return smaller


def _write_tone(output: Any, tone: Any, seconds: float) -> None:
    wave = (0.3 * np.sin(np.arange(round(48000 * seconds)) / 20)).astype(np.float32)[None]
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 48000, 0
    resampler = av.AudioResampler(format=tone.codec_context.format.name, layout="mono", rate=48000)
    fifo = av.AudioFifo()
    for part in resampler.resample(frame):
        fifo.write(part)
    for part in fifo.read_many(tone.codec_context.frame_size or 1024, partial=True):
        output.mux(tone.encode(part))
    output.mux(tone.encode(None))


def _turn_header(path: Path, degrees: int) -> None:
    """Write a rotation into the picture track's header (the matrix of the box `tkhd`), as cameras do."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    one, cos, sin = 1 << 16, round(np.cos(np.deg2rad(degrees))), round(np.sin(np.deg2rad(degrees)))
    values = [cos * one, sin * one, 0, -sin * one, cos * one, 0, 0, 0, 1 << 30]
    content[place : place + 36] = b"".join(int(value).to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(bytes(content))


def packets(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """(time in s, content) of every packet of a file's first stream of a kind."""
    with av.open(str(path)) as container:
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(**{kind: 0}) if p.dts is not None]


def shown(path: Path) -> list[tuple[float, Any]]:
    """(time in s, PyAV frame) of every frame of a file."""
    with av.open(str(path)) as container:
        return [(float(frame.pts * frame.time_base), frame) for frame in container.decode(video=0)]


def samples(frame: Any) -> Any:
    """A frame's colours (H, W, 3) in [0, 1]."""
    return rgb_of(frame).double().numpy()
