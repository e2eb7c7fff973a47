"""./likeness perform: both samples, or your photos, act through a round of expressions; one animated WebP."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..benchmarks.expression import PORTRAITS
from ..benchmarks.pictures import read_picture
from ..benchmarks.swap_quality import SAMPLES
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.motion.keyframes import keyframes
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.sliders import expression_from_sliders
from ..pipelines.registry import Registry
from ..pipelines.render import Renderer
from ..pipelines.render.animate import animate, load_renderer
from ..pipelines.runtime import TorchRuntime
from .contact_sheet import PAPER, to_pil
from .errors import UsageError
from .home import say

#: Sliders at moments in seconds; the last pose is the first, so that the picture can loop.
ROUND: tuple[tuple[float, dict[str, float]], ...] = (
    (0.0, {}),
    (0.5, {"mouth_smile": 0.9, "eyes_squint": 0.3, "head_roll": 7.0, "head_yaw": -7.0}),
    (0.9, {"mouth_smile": 0.9, "eyes_squint": 0.3, "head_roll": 7.0, "head_yaw": -7.0}),
    (1.25, {"eyes_close": 1.0, "mouth_smile": 0.4}),
    (1.4, {"jaw_open": 0.1, "brows_raise": 0.3}),
    (1.75, {"jaw_open": 0.55, "brows_raise": 0.5, "eyes_close": -0.6, "head_pitch": -6.0}),
    (2.2, {"jaw_open": 0.5, "brows_raise": 0.5, "eyes_close": -0.6, "head_pitch": -6.0}),
    (2.6, {"brows_frown": 0.5, "mouth_pucker": 0.8, "head_yaw": 9.0, "gaze_side": 0.3}),
    (3.0, {"brows_frown": 0.5, "mouth_pucker": 0.8, "head_yaw": 9.0, "gaze_side": 0.3}),
    (3.35, {"gaze_side": -0.8, "mouth_smirk": 0.7, "head_roll": -5.0}),
    (3.75, {"gaze_side": -0.8, "mouth_smirk": 0.7, "head_roll": -5.0}),
    (4.0, {"eyes_wink": 1.0, "mouth_smirk": 0.7, "head_roll": -5.0}),
    (4.2, {"mouth_smirk": 0.5, "head_roll": -3.0}),
    (4.6, {}),
)
FPS, HEIGHT, GAP = 15.0, 320, 6
MOST_BYTES = 1_500_000


def main(arguments: list[str]) -> int:
    """Run the command."""
    options = _options(arguments)
    if options.out.suffix.lower() != ".webp":
        raise UsageError(f"{options.out} does not end in .webp, the only format written.")
    torch.set_num_threads(1)
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    renderer, which = load_renderer(registry, options.renderer)
    say(which)
    acted = [_acted(registry, analysis, renderer, path, options.height) for path in options.portraits]
    frames = [_side_by_side(pictures) for pictures in zip(*acted, strict=True)]
    for quality in (82, 74, 66, 58, 50):
        frames[0].save(
            options.out, save_all=True, append_images=frames[1:], duration=round(1000 / FPS), loop=0, quality=quality,
            method=6, minimize_size=True,
        )  # fmt: skip
        if options.out.stat().st_size <= MOST_BYTES:
            break
    say(f"{options.out}: {len(frames)} frames, {options.out.stat().st_size / 1e6:.2f} MB, quality {quality}")
    return 0


def performance() -> Motion:
    """The round of expressions, without its last frame, which is the first again."""
    poses = [expression_from_sliders(sliders) for _, sliders in ROUND]
    motion = keyframes(poses, [moment for moment, _ in ROUND], FPS)
    return motion.map_frames(lambda values: values[:-1])


def _acted(registry: Registry, analysis: FaceAnalysis, renderer: Renderer, path: Path, height: int) -> list[Any]:
    picture = read_picture(path)
    faces = analysis.detect(picture)
    faces.require_any(str(path))
    face = faces.frames[0][0]
    frames, said = animate(registry, renderer, picture[0], [face], performance(), 1.0, BLENDSHAPE_NAMES)
    say(f"{path.name}: {said}")
    return [_shown(_around(frame, face.bbox_xyxy.tolist()), height) for frame in frames]


def _around(picture: Tensor, bbox_xyxy: list[float]) -> Tensor:
    """A square of 2.2 face boxes, moved inside the picture."""
    x0, y0, x1, y1 = bbox_xyxy
    side = int(min(2.2 * max(x1 - x0, y1 - y0), *picture.shape[:2]))
    left = min(max(round((x0 + x1 - side) / 2), 0), picture.shape[1] - side)
    top = min(max(round((y0 + y1 - side) / 2 - 0.08 * side), 0), picture.shape[0] - side)
    return picture[top : top + side, left : left + side]


def _shown(picture: Tensor, height: int) -> Any:
    from PIL import Image

    return to_pil(picture).resize((height, height), Image.Resampling.LANCZOS)


def _side_by_side(pictures: tuple[Any, ...]) -> Any:
    from PIL import Image

    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    out = Image.new("RGB", (width, pictures[0].height), PAPER)
    left = 0
    for picture in pictures:
        out.paste(picture, (left, 0))
        left += picture.width + GAP
    return out


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./likeness perform", description="Portraits that act, as animated WebP.")
    parser.add_argument("out", type=Path, help="the file, ending in .webp")
    parser.add_argument("--portrait", dest="portraits", type=Path, action="append", help="a photo; the samples if none")
    parser.add_argument("--height", type=int, default=HEIGHT, help=f"of the picture in px ({HEIGHT})")
    parser.add_argument("--renderer", default="mesh", help="which renderer (mesh), or auto")
    options = parser.parse_args(arguments)
    options.portraits = options.portraits or [SAMPLES / name for name in PORTRAITS]
    return options
