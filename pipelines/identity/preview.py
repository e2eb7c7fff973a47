"""Draws found faces with their numbers, so that a person can be picked by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..face import Face, Faces
from .analysis import as_pictures

#: One colour per number, repeated after eight; all readable on skin and under white text.
COLOURS = ("#e4572e", "#17789c", "#2e933c", "#a23b9e", "#b8860b", "#5350c4", "#c2185b", "#00796b")


def draw_faces(images: Tensor, faces: Faces) -> Tensor:
    """The pictures with a box, a number, the score and the landmarks of every face.

    images: (B, H, W, C) as `as_pictures` takes them. faces: found in these pictures; the number drawn is the position
    in its frame, from 0, which is what Select Faces takes. Returns (B, H, W, 3) on the device of `images`; pictures
    without a face come back as they are.
    """
    faces.require_frames(images.shape[0], "The batch to draw on")
    drawn = as_pictures(images).clone()
    for index, frame in enumerate(faces.frames):
        if frame:
            drawn[index] = _draw_frame(drawn[index], frame)
    return drawn


def _draw_frame(image: Tensor, frame: tuple[Face, ...]) -> Tensor:
    from PIL import Image, ImageDraw

    pixels = (image.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    canvas = Image.fromarray(pixels)
    pen = ImageDraw.Draw(canvas, "RGBA")
    for number, face in enumerate(frame):
        _draw_face(pen, face, number, canvas.size)
    return torch.from_numpy(np.asarray(canvas).copy()).to(image) / 255


def _draw_face(pen: Any, face: Face, number: int, size: tuple[int, int]) -> None:
    from PIL import ImageFont

    colour = COLOURS[number % len(COLOURS)]
    unit = max(min(size) / 512, 0.6)
    line = max(round(2 * unit), 1)
    left, top, right, bottom = (float(value) for value in face.bbox_xyxy)
    pen.rounded_rectangle((left, top, right, bottom), radius=6 * unit, outline=colour, width=line)
    points = face.landmarks5 if face.landmarks is None else face.landmarks[:, :2]
    radius = max(face.width_px / 240, 0.5) if face.landmarks is not None else 2 * unit
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour + "b0")
    font = ImageFont.load_default(size=16 * unit)
    text = f"{number}  ·  {face.score:.2f}"
    x0, y0, x1, y1 = pen.textbbox((0, 0), text, font=font)
    pad = 4 * unit
    width, height = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
    # inside the picture, above the box where there is room
    x = min(max(left, 0.0), max(size[0] - width, 0.0))
    y = top - height - line if top - height - line >= 0 else max(top, 0.0)
    pen.rounded_rectangle((x, y, x + width, y + height), radius=4 * unit, fill=colour)
    pen.text((x + pad - x0, y + pad - y0), text, fill="#ffffff", font=font)


def describe_faces(faces: Faces) -> str:
    """One line per face: frame, number, size in px, score, and the person's number over frames where there is one."""
    lines = [f"{len(faces)} face(s) in {len(faces.frames)} picture(s) of {faces.width} × {faces.height} px"]
    for index, frame in enumerate(faces.frames):
        for number, face in enumerate(frame):
            track = f", person {face.track}" if face.track >= 0 else ""
            lines.append(
                f"picture {index}, face {number}: {face.width_px:.0f} × {face.height_px:.0f} px, "
                f"score {face.score:.2f}{track}"
            )
        if not frame:
            lines.append(f"picture {index}: no face")
    if faces.best_rejected_score > 0:
        lines.append(f"The best score below the threshold is {faces.best_rejected_score:.2f}.")
    return "\n".join(lines)
