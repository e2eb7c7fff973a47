"""The LivePortrait renderer: a portrait drawn anew with its keypoints moved, and put back into its picture."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ...face import Face, FaceCrops, FloatArray, as_float_array
from ...geometry.transforms import Matrix, rotation_scale
from ...geometry.warp import crop_pictures
from ...motion.channels import ARKIT_NAMES
from ...registry import Registry
from ...stitch.crop import box_masks
from ...stitch.paste import stitched_pictures
from .appearance import INPUT_SIZE, OUTPUT_SIZE
from .crop import dense, eye_distance, openings, portrait_crop
from .directions import ONE_SIDE, OTHER_SIDE, Directions, published
from .files import NETWORK_FILES, missing_files
from .measuring import measured_directions
from .motion import ExtractedMotion
from .moving import Step, Subject, driving_keypoints
from .networks import Networks, load_networks
from .options import LivePortraitOptions
from .space import CropSpace

LICENCE = "MIT (KwaiVGI/LivePortrait)"

#: Soft border of the pasted square, as a part of its side.
FEATHER = 0.1

#: A portrait that hardly moves shows its own pixels: what is drawn comes in while keypoints move this far, in [-1, 1].
_FULLY_DRAWN = 0.01

#: An opacity that nobody can see.
_NOT_SEEN = 1e-3

#: Portraits whose features are kept while the renderer is.
_REMEMBERED = 8

_NO_CHANNELS: Mapping[str, FloatArray] = {}


@dataclass(frozen=True, eq=False)
class Appearance:
    """What the networks read from a portrait's crop, on the CPU: volume (1, 32, 16, 64, 64) and its motion."""

    volume: Tensor
    motion: ExtractedMotion


@dataclass(frozen=True, eq=False)
class LivePortraitPortrait:
    """One face of one picture, read once and drawn for any number of frames."""

    picture: Tensor
    face: Face
    crop_from_image: Matrix
    mask: Tensor
    appearance: Appearance
    subject: Subject
    networks: Networks
    options: LivePortraitOptions

    def frame(
        self,
        blendshapes: FloatArray,
        rotation: FloatArray,
        translation: FloatArray,
        channels: Mapping[str, FloatArray] = _NO_CHANNELS,
    ) -> Tensor:
        """The whole picture (H, W, 3) with one frame; arguments as in `PreparedPortrait.frame`."""
        followed = channels if self.options.follows == "keypoints" else _NO_CHANNELS
        step = Step(blendshapes, rotation, translation, followed)
        if step.is_still:
            return self.picture.clone()
        driving = driving_keypoints(self.subject, step, self.networks, self.options)
        opacity = _opacity(driving, self.subject.source)
        if opacity < _NOT_SEEN:
            return self.picture.clone()
        volume = self.appearance.volume
        drawn = self.networks.draw(volume, driving, self.subject.source, self.options.half_precision)
        return self._pasted(drawn[0].permute(1, 2, 0), opacity)

    def _pasted(self, drawn: Tensor, opacity: float) -> Tensor:
        crops = FaceCrops(
            images=drawn[None],
            masks=(self.mask * opacity)[None],
            crop_from_image=self.crop_from_image[None],
            frame=(0,),
            faces=(self.face,),
            height=self.picture.shape[0],
            width=self.picture.shape[1],
        )
        return stitched_pictures(self.picture[None], crops)[0]


class LivePortrait:
    """Loaded LivePortrait. It remembers what it read from the last portraits, as long as somebody holds it."""

    name, licence = "liveportrait", LICENCE
    turn_limits = None

    def __init__(
        self,
        networks: Networks,
        options: LivePortraitOptions,
        measured: Directions | None = None,
        note: str = "",
    ) -> None:
        self.networks, self.options, self.measured, self._note = networks, options, measured, note
        self._read: OrderedDict[str, Appearance] = OrderedDict()

    @property
    def text(self) -> str:
        """What it does with a motion, for the report."""
        directions = self._directions(True)
        lines = [f"LivePortrait {self.options.text}; blendshapes move it by {directions.source}."]
        if directions.unknown:
            lines.append(f"No keypoint is known for {len(directions.unknown)} of the 52 channels; they do nothing.")
        return "\n".join([*lines, *([self._note] if self._note else [])])

    def _directions(self, one_side_is_right: bool) -> Directions:
        known = published(one_side_is_right)
        return known if self.measured is None else self.measured.filled(known)

    def prepare(self, picture: Tensor, face: Face, rest: FloatArray | None = None) -> LivePortraitPortrait:
        """Read a face of a picture; arguments as in `Renderer.prepare`. Raises InputError without 478 landmarks."""
        landmarks = dense(face)
        matrix = portrait_crop(landmarks, OUTPUT_SIZE)
        size = (OUTPUT_SIZE, OUTPUT_SIZE)
        # beyond the picture its border goes on: black would come into view when the head moves away from it
        crop = crop_pictures(picture[None, :, :, :3], (0,), matrix[None], size, padding="border")
        seen = network_input(crop)
        appearance = self._appearance(seen)
        mask = box_masks(picture[None], (0,), matrix[None], OUTPUT_SIZE, FEATHER)[0]
        return LivePortraitPortrait(
            picture,
            face,
            matrix,
            mask,
            appearance,
            self._subject(landmarks, matrix, appearance, rest),
            self.networks,
            self.options,
        )

    def _appearance(self, seen: Tensor) -> Appearance:
        key = hashlib.sha256(np.ascontiguousarray(seen.numpy()).tobytes()).hexdigest()
        known = self._read.pop(key, None)
        if known is None:
            known = Appearance(self.networks.volume(seen), self.networks.extract(seen))
        self._read[key] = known
        while len(self._read) > _REMEMBERED:
            self._read.popitem(last=False)
        return known

    def _subject(
        self, landmarks: FloatArray, matrix: Matrix, appearance: Appearance, rest: FloatArray | None
    ) -> Subject:
        roll, scale = rotation_scale(matrix)
        is_right = one_side_is_right(appearance.motion)
        return Subject(
            motion=appearance.motion,
            source=appearance.motion.placed(),
            openings=openings(landmarks),
            space=CropSpace.of(eye_distance(landmarks) * scale, OUTPUT_SIZE, -roll),
            directions=self._directions(is_right),
            rest=as_float_array(np.zeros(len(ARKIT_NAMES)) if rest is None else np.clip(rest, 0, 1)),
            one_side_is_right=is_right,
        )


class LivePortraitRenderer:
    """The entry of LivePortrait in the list of renderers."""

    name = "liveportrait"
    title = "LivePortrait (human model)"
    licence = LICENCE
    requires: tuple[str, ...] = tuple(file.published for file in NETWORK_FILES)

    def missing(self, registry: Registry) -> tuple[str, ...]:
        """Ids of the files that are there neither as published nor converted."""
        return missing_files(registry)

    def load(self, registry: Registry) -> LivePortrait:
        """Raises MissingWeightsError that lists all that is missing."""
        return load_liveportrait(registry)


def load_liveportrait(registry: Registry, options: LivePortraitOptions | None = None) -> LivePortrait:
    """LivePortrait with the user's files and choices; with directions measured for these files where there are any."""
    networks = load_networks(registry)
    measured, note = measured_directions(registry.runtime, networks.motion_sha256)
    return LivePortrait(networks, options or LivePortraitOptions(), measured, note)


def network_input(crops: Tensor) -> Tensor:
    """(B, 3, 256, 256) in [0, 1] from crops (B, 256 or 512, same, 3)."""
    pictures = crops.permute(0, 3, 1, 2).float().clamp(0, 1)
    return pictures if pictures.shape[-1] == INPUT_SIZE else F.interpolate(pictures, scale_factor=0.5, mode="bilinear")


def one_side_is_right(motion: ExtractedMotion) -> bool:
    """Whether the keypoints of `ONE_SIDE` lie further right than those of the other, in the head's own pose."""
    points = motion.keypoints[0]
    return float(points[list(ONE_SIDE), 0].mean()) > float(points[list(OTHER_SIDE), 0].mean())


def _opacity(driving: Tensor, source: Tensor) -> float:
    share = min(float((driving - source).abs().max()) / _FULLY_DRAWN, 1.0)
    return share * share * (3 - 2 * share)
