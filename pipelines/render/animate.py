"""A motion on the faces of a picture, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces, FloatArray
from ..geometry.pose import rotation_from_landmarks
from ..motion.channels import ARKIT_NAMES, BROWS, INDEX
from ..motion.motion import Motion
from ..registry import Registry
from .glasses import wears_glasses
from .movement import TURN_LIMITS
from .renderers import RENDERERS, PreparedPortrait, Renderer, RendererEntry, renderer_named

#: Radians of yaw of a portrait from which on what it does fades, and at which nothing of it is left: half of the face
#: is hidden then, and moving what is not seen would smear what is.
FADE_FROM, MOST_YAW = 0.55, 0.9

#: Brows beyond this bend the frame of glasses so that one sees it.
_BENDS_GLASSES = 0.5


def load_renderer(registry: Registry, name: str = "auto") -> tuple[Renderer, str]:
    """Load a renderer by name, or the last of `RENDERERS` whose weights are all present.

    Returns it and a text that says which it is, its licence, and, for "auto", what each better one lacks. Raises
    MissingWeightsError for a named one without its weights, InputError for another name.
    """
    if name != "auto":
        entry = renderer_named(name)
        return entry.load(registry), _describe(entry)
    passed: list[str] = []
    for entry in reversed(RENDERERS):
        missing = [weights_id for weights_id in entry.requires if registry.find(weights_id) is None]
        if not missing:
            return entry.load(registry), "\n".join([_describe(entry), *passed])
        passed.append(f"Not {entry.name}: {', '.join(missing)} missing.")
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
    seen = [(face, facing(face)) for face in faces if facing(face) > 0]
    portraits = [(renderer.prepare(picture, face, shown_already(face, names)), share) for face, share in seen]
    frames = torch.empty(len(motion), *picture.shape, dtype=picture.dtype)
    progress = registry.runtime.progress(len(motion))
    for index in range(len(motion)):
        registry.runtime.check_cancelled()
        frames[index] = _frame(picture, portraits, motion, index, strength)
        progress.update()
    said = [*_limits(motion, strength), *_turned_away(faces), *_glasses(picture, faces, motion, strength)]
    return frames, "\n".join(said)


def _frame(
    picture: Tensor, portraits: Sequence[tuple[PreparedPortrait, float]], motion: Motion, index: int, strength: float
) -> Tensor:
    out = picture
    for portrait, share in portraits:
        amount = np.float32(strength * share)
        drawn = portrait.frame(
            amount * motion.blendshapes[index], amount * motion.rotation[index], amount * motion.translation[index]
        )
        out = drawn if out is picture else torch.where(drawn != picture, drawn, out)
    return out


def shown_already(face: Face, names: Sequence[str]) -> FloatArray | None:
    """(52,) what a face already shows, in the order of `ARKIT_NAMES`; None when it was not measured."""
    if face.blendshapes is None:
        return None
    known = dict(zip(names, face.blendshapes, strict=True))
    return np.array([known.get(name, 0.0) for name in ARKIT_NAMES], dtype=np.float32)


def facing(face: Face) -> float:
    """How much of a motion a face in its pose can show: 1 up to `FADE_FROM`, falling smoothly to 0 at `MOST_YAW`."""
    if face.landmarks is None:
        return 1.0
    left = np.clip((MOST_YAW - abs(rotation_from_landmarks(face.landmarks)[1])) / (MOST_YAW - FADE_FROM), 0, 1)
    return float(left * left * (3 - 2 * left))


def require_visible(faces: Sequence[Face]) -> None:
    """Raise InputError, with every yaw, when the far sides of all faces are hidden."""
    if faces and all(facing(face) == 0 for face in faces):
        raise InputError(
            "\n".join(_turned_away(faces)) + "\nNo face is left to move: use a more frontal portrait, or several faces."
        )


def _turned_away(faces: Sequence[Face]) -> list[str]:
    lines: list[str] = []
    for face in faces:
        share = facing(face)
        if share == 1.0 or face.landmarks is None:
            continue
        yaw = np.rad2deg(rotation_from_landmarks(face.landmarks)[1])
        place = np.round(face.bbox_xyxy).astype(int).tolist()
        left = f"{100 * share:.0f} % of the motion is shown" if share else "it is left as it is"
        lines.append(
            f"The face at {place} is turned by {yaw:.0f}°: from {np.rad2deg(FADE_FROM):.0f}° on its motion fades, "
            f"beyond {np.rad2deg(MOST_YAW):.0f}° half of it is hidden and nothing moves; {left}."
        )
    return lines


def _glasses(picture: Tensor, faces: Sequence[Face], motion: Motion, strength: float) -> list[str]:
    brows = [INDEX[name] for name in BROWS]
    if strength * float(np.abs(motion.blendshapes[:, brows]).max()) <= _BENDS_GLASSES:
        return []
    pixels = picture[..., :3].permute(2, 0, 1)
    worn = [face for face in faces if face.landmarks is not None and wears_glasses(pixels, face.landmarks)]
    return [
        f"The face at {np.round(face.bbox_xyxy).astype(int).tolist()} wears glasses: brows beyond {_BENDS_GLASSES:g} "
        "bend a frame that lies on them."
        for face in worn
    ]


def faces_to_animate(faces: Faces) -> tuple[int, tuple[Face, ...]]:
    """The first picture with a face, and its faces. Raises FaceNotFoundError when no picture has one."""
    faces.require_any("The portrait")
    return next((index, frame) for index, frame in enumerate(faces.frames) if frame)


def _limits(motion: Motion, strength: float) -> list[str]:
    lines = [f"{len(motion)} frame(s) at {motion.fps:g} frames per second."]
    for name, limit, turn in zip(("pitch", "yaw", "roll"), TURN_LIMITS, motion.rotation.T, strict=True):
        most = strength * float(np.abs(turn).max())
        if most > limit:
            lines.append(
                f"The {name} of up to {np.rad2deg(most):.0f}° is bent towards {np.rad2deg(limit):.0f}°: a photo shows "
                "no more of the head."
            )
    return lines


def _describe(entry: RendererEntry) -> str:
    return f"Renderer: {entry.name}, {entry.title}. Licence {entry.licence}."
