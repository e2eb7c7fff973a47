"""The embedded swapper: the source's photo drawn over the target's mesh, in the target's light and expression."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray
from ..geometry.texture import reduce_to, sample
from ..identity.embedded_network import EmbeddedNetwork
from ..identity.identity import Identity
from ..identity.net_blendshapes import BlendshapeNetwork
from ..registry import Registry
from ..stitch.pyramid import blend_bands
from .blinks import Blinks, blinks_of, held_open, with_lids
from .colour import Tone, local_mean, match_detail, tone_maps, with_saturation
from .drawing import Drawing, draw, window
from .expression import ExpressionKeeper
from .eyes import steer_irises
from .face_grain import face_grain
from .mask import face_alpha, shown_vertices, skin_maps
from .options import SwapOptions
from .reference import nearest_reference
from .shape import transfer_shape
from .swapped import SwappedFace

#: The face is about this many pixels wide where light and masks are worked out.
_SMALL_FACE_PX = 64

#: Faces wider than this get their maps at half the resolution.
_HALF_FROM_PX = 200

#: How finely the target's light is taken, against the face's width.
_LIGHT_SIGMA = 0.16


class MeshSwapper:
    """The entry of the embedded swapper."""

    name = "mesh"
    title = "Embedded mesh (nothing to download)"
    licence = "Apache-2.0"
    requires: tuple[str, ...] = ("face_blendshapes_52",)
    needs = ""

    def load(self, registry: Registry) -> LoadedMeshSwapper:
        return LoadedMeshSwapper(EmbeddedNetwork(registry, "face_blendshapes_52", BlendshapeNetwork))


class LoadedMeshSwapper:
    """The embedded swapper with the network that tells whether the expression stayed."""

    name, licence = "mesh", MeshSwapper.licence
    batch = 1  # every face is worked out by itself

    def __init__(self, network: EmbeddedNetwork) -> None:
        self._expression = ExpressionKeeper(lambda landmarks: network(landmarks)[0])

    def about(self, identities: Sequence[Identity]) -> list[str]:
        """Nothing: the reference pictures are all it takes."""
        del identities
        return []

    def swap(
        self, images: Tensor, assignments: Sequence[tuple[int, Face, Identity]], options: SwapOptions
    ) -> list[SwappedFace]:
        """As the room's protocol says; every face is worked out in its own part of its picture."""
        return [
            swap_face(images[index], face, identity, options, self._expression) for index, face, identity in assignments
        ]


def swap_face(
    picture: Tensor, face: Face, identity: Identity, options: SwapOptions, expression: ExpressionKeeper
) -> SwappedFace:
    """Put a person onto one face.

    picture: (H, W, 3) float in [0, 1]. face: with dense landmarks of 478 points in the picture's px. identity: whose
    face comes. expression: what keeps the target's. Raises InputError for a face without dense
    landmarks or outside the picture.
    """
    target = dense_landmarks(face)
    x0, y0, x1, y1 = window(target, picture.shape[0], picture.shape[1])
    if x1 - x0 < 4 or y1 - y0 < 4:
        raise InputError(
            f"The face at {np.round(face.bbox_xyxy).astype(int).tolist()} lies outside the picture of "
            f"{picture.shape[1]} × {picture.shape[0]} px: connect the picture that the face was found in."
        )
    background = picture[y0:y1, x0:x1, :3].permute(2, 0, 1).float()
    target = target - np.array([x0, y0, 0], dtype=np.float32)
    reference = nearest_reference(identity, target)
    source = identity.landmarks[reference]
    moved = transfer_shape(source, target, options.shape * options.strength)
    if options.shape * options.strength > 0:
        moved = expression.keep(moved, target)
    blinks = blinks_of(source, target)
    moved = held_open(moved, source, blinks)
    photo = with_lids(identity.crops[reference].permute(2, 0, 1).float().div_(255), source, blinks)
    drawing = draw(source, target, moved, y1 - y0)
    pixels, mask = _compose(background, photo, drawing, source, moved, blinks, options)
    return SwappedFace(pixels, mask, x0, y0)


def dense_landmarks(face: Face) -> FloatArray:
    """(478, 3) of a face; raises InputError when it has none."""
    if face.landmarks is None or len(face.landmarks) != 478:
        count = 0 if face.landmarks is None else len(face.landmarks)
        raise InputError(
            f"The mesh swapper needs 478 landmarks, the face at {np.round(face.bbox_xyxy).astype(int).tolist()} has "
            f"{count}: find it with Detect Faces and a face analysis that has dense landmarks (the embedded one has)."
        )
    return face.landmarks


def _compose(
    background: Tensor,
    photo: Tensor,
    drawing: Drawing,
    source: FloatArray,
    moved: FloatArray,
    blinks: Blinks,
    options: SwapOptions,
) -> tuple[Tensor, Tensor]:
    """The finished window (3, h, w) and where it may differ from the picture (h, w)."""
    size = (background.shape[1], background.shape[2])
    face_px = float(np.ptp(moved[:468, 0]))
    inside = drawing.inside[:, None] + 2  # so that 0 is outside of all that is drawn
    shown = shown_vertices(drawing, options)
    attributes = np.concatenate([drawing.source, drawing.target - drawing.new, inside, shown], 1)
    maps = drawing.maps(attributes, size, 2 if face_px > _HALF_FROM_PX else 1)
    source_x, source_y = torch.from_numpy(steer_irises(maps[:2].contiguous().numpy(), source, moved, blinks))
    enlarged = _scale(source, moved)
    photo, scale = reduce_to(photo, enlarged)
    front = sample(photo, source_x, source_y, scale)
    y = torch.arange(size[0], dtype=torch.float32)[:, None]
    x = torch.arange(size[1], dtype=torch.float32)[None, :]
    back = sample(background, maps[2] + x, maps[3] + y)
    front, keep = _as_lit(front, back, drawing, blinks, lambda: face_grain(source_x, source_y, enlarged), face_px)
    alpha = face_alpha(maps[4] - 2, maps[5], maps[6], keep) * options.strength
    levels = max(0, int(np.log2(max(face_px, 1) / 24)))
    mixed = (back + blend_bands(front - back, alpha, levels)).clamp_(0, 1)
    return mixed, ((maps[4] - 1) / 0.2).clamp_(0, 1)


def _as_lit(
    front: Tensor, back: Tensor, drawing: Drawing, blinks: Blinks, grain: Callable[[], Tensor], face_px: float
) -> tuple[Tensor, Tensor]:
    """The source's texture (3, h, w) with the target's light, tone and detail, and where the source may show (h, w)."""
    size = (front.shape[1], front.shape[2])
    small = min(1.0, _SMALL_FACE_PX / max(face_px, 1.0))
    small_size = (max(4, round(size[0] * small)), max(4, round(size[1] * small)))
    front_small, back_small = _shrink(front, small_size), _shrink(back, small_size)
    skin = skin_maps(drawing, front_small, back_small, blinks)
    sigma = _LIGHT_SIGMA * face_px * small
    plain, _ = local_mean(front_small, skin.source, sigma)
    front_small = torch.lerp(front_small, plain, skin.fill)
    tone = tone_maps(front_small, back_small, skin.source, skin.target, skin.plain, sigma, Tone())
    # where the source has no skin the target's own smooth skin is filled in; gain and offset carry that too
    gain, offset = tone.gain * (1 - skin.fill), torch.lerp(tone.offset, tone.target_mean, skin.fill)
    grown = _grow(torch.cat([gain, offset, torch.stack([skin.keep, skin.target])]), size)
    lit = front * grown[:3] + grown[3:6]
    if tone.saturation < 0.99:
        lit = with_saturation(lit, _grow(tone.centre, size), tone.saturation)
    return match_detail(lit, back, grown[7], grain).clamp_(0, 1), grown[6]


def _scale(source: FloatArray, moved: FloatArray) -> float:
    """Picture pixels per source pixel."""
    return float(np.ptp(moved[:468, :2], axis=0).max() / np.ptp(source[:468, :2], axis=0).max())


def _shrink(picture: Tensor, size_hw: tuple[int, int]) -> Tensor:
    return F.interpolate(picture[None], size=size_hw, mode="area")[0]


def _grow(picture: Tensor, size_hw: tuple[int, int]) -> Tensor:
    return F.interpolate(picture[None], size=size_hw, mode="bilinear", align_corners=False)[0]
