"""A motion on the faces of a picture, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces, FloatArray
from ..motion.channels import ARKIT_NAMES
from ..motion.motion import Motion
from ..registry import Registry
from .renderers import RENDERERS, PreparedPortrait, Renderer, RendererEntry, renderer_named
from .visibility import bent_glasses, facing, require_visible, turned_away


def load_renderer(registry: Registry, name: str = "auto") -> tuple[Renderer, str]:
    """Load a renderer by name, or the last of `RENDERERS` whose weights are all present.

    Returns it and a text that says which it is, its licence, and, for "auto", what each better one lacks. Raises
    MissingWeightsError for a named one without its weights, InputError for another name.
    """
    if name != "auto":
        entry = renderer_named(name)
        loaded = entry.load(registry)
        return loaded, _describe(entry, loaded)
    passed: list[str] = []
    for entry in reversed(RENDERERS):
        missing = entry.missing(registry)
        if not missing:
            loaded = entry.load(registry)
            return loaded, "\n".join([_describe(entry, loaded), *passed])
        passed.append(f"Not {entry.name}: {len(missing)} of its {len(entry.requires)} files missing.")
    raise InputError("\n".join(["No renderer can be loaded.", *passed]))


def animate(
    registry: Registry,
    renderer: Renderer,
    picture: Tensor,
    faces: Sequence[Face],
    motion: Motion,
    strength: float,
    names: Sequence[str],
) -> tuple[Tensor, str]:
    """Every frame of a motion on a picture.

    picture: (H, W, 3) float in [0, 1]. faces: of the picture, each makes the motion. strength: of blendshapes, turn and
    shift; 0 repeats the picture bit for bit. names: of the entries of `Face.blendshapes`. Returns (T, H, W, 3) and a
    text: what turns were limited, which faces move less because they are turned away. Raises InputError when all faces
    are in profile, and CancelledError when the user stops.
    """
    require_visible(faces)
    frames = torch.empty(len(motion), *picture.shape, dtype=picture.dtype)
    progress = registry.runtime.progress(len(motion))
    for index, frame in enumerate(animated(registry, renderer, picture, faces, motion, strength, names)):
        frames[index] = frame
        progress.update()
    length = f"{len(motion)} frame(s) at {motion.fps:g} frames per second."
    said = [*bent_turns(motion, strength, renderer.turn_limits), *turned_away(faces)]
    if renderer.turn_limits is not None:  # a mesh bends what lies on it
        said += bent_glasses(picture, faces, motion, strength)
    return frames, "\n".join([length, *said])


def animated(
    registry: Registry,
    renderer: Renderer,
    picture: Tensor,
    faces: Sequence[Face],
    motion: Motion,
    strength: float,
    names: Sequence[str],
) -> Iterator[Tensor]:
    """The frames (H, W, 3) of `animate` one by one; none is kept. Faces in profile are left as they are."""
    faces = [face for face in faces if facing(face) > 0]
    portraits = [(renderer.prepare(picture, face, shown_already(face, names)), facing(face)) for face in faces]
    nearest = nearest_face(faces, (picture.shape[0], picture.shape[1])) if len(faces) > 1 else None
    for index in range(len(motion)):
        registry.runtime.check_cancelled()
        drawn = [_acting(portrait, share, motion, index, strength) for portrait, share in portraits]
        yield drawn_together(picture, drawn, nearest)


def nearest_face(faces: Sequence[Face], size_hw: tuple[int, int]) -> Tensor:
    """(H, W) int64: which face each pixel belongs to where two reach it: the one it is nearest to in face sizes."""
    y, x = torch.meshgrid(torch.arange(size_hw[0]), torch.arange(size_hw[1]), indexing="ij")
    distances = [
        ((x - float(face.center[0])) ** 2 + (y - float(face.center[1])) ** 2) / max(face.area_px, 1.0) for face in faces
    ]
    return torch.stack(distances).argmin(0)


def drawn_together(picture: Tensor, drawn: Sequence[Tensor], nearest: Tensor | None) -> Tensor:
    """One picture out of what each face did to it (H, W, 3 each); nearest: as `nearest_face` gives it, None for one."""
    if nearest is None:
        return drawn[0] if drawn else picture
    out = picture
    changed = torch.zeros(*nearest.shape, dtype=torch.bool)
    for number, one in enumerate(drawn):
        moved = (one != picture).any(-1)
        out = torch.where((moved & (~changed | (nearest == number)))[..., None], one, out)
        changed |= moved
    return out


def _acting(portrait: PreparedPortrait, share: float, motion: Motion, index: int, strength: float) -> Tensor:
    """The picture with one frame of a motion; share: of it that the face in its pose can show."""
    amount = np.float32(strength * share)
    channels = {name: amount * rows[index] for name, rows in motion.channels.items()}
    return portrait.frame(
        amount * motion.blendshapes[index],
        amount * motion.rotation[index],
        amount * motion.translation[index],
        channels,
    )


def shown_already(face: Face, names: Sequence[str]) -> FloatArray | None:
    """(52,) what a face already shows, in the order of `ARKIT_NAMES`; None when it was not measured."""
    if face.blendshapes is None:
        return None
    known = dict(zip(names, face.blendshapes, strict=True))
    return np.array([known.get(name, 0.0) for name in ARKIT_NAMES], dtype=np.float32)


def faces_to_animate(faces: Faces) -> tuple[int, tuple[Face, ...]]:
    """The first picture with a face, and its faces. Raises FaceNotFoundError when no picture has one."""
    faces.require_any("The portrait")
    return next((index, frame) for index, frame in enumerate(faces.frames) if frame)


def bent_turns(motion: Motion, strength: float, limits: tuple[float, float, float] | None) -> list[str]:
    """One line per axis about which a motion turns further than a renderer does; limits: its `turn_limits`."""
    lines: list[str] = []
    if limits is None:
        return lines
    for name, limit, turn in zip(("pitch", "yaw", "roll"), limits, motion.rotation.T, strict=True):
        most = strength * float(np.abs(turn).max())
        if most > limit:
            lines.append(
                f"The {name} of up to {np.rad2deg(most):.0f}° is bent towards {np.rad2deg(limit):.0f}°: a photo shows "
                "no more of the head."
            )
    return lines


def _describe(entry: RendererEntry, loaded: Renderer) -> str:
    said = f"Renderer: {entry.name}, {entry.title}. Licence {entry.licence}."
    return f"{said}\n{loaded.text}" if loaded.text else said
