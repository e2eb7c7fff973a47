"""LivePortrait's networks at work: each on its device only while it is called, what they give back off it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...errors import WrongWeightsError
from ...registry import Handle, Registry, Runtime
from .files import APPEARANCE, GENERATOR, MOTION, RETARGETING, WARPING, load_network, require_files
from .motion import ExtractedMotion
from .retargeting import Retargeting

#: Bytes that the networks' intermediate results need at most for one picture, in 32 bits.
_APPEARANCE_BYTES, _MOTION_BYTES, _DRAWING_BYTES = 200 << 20, 60 << 20, 900 << 20

#: Driving pictures that the motion extractor takes at once.
_BATCH = 8


@dataclass(frozen=True, eq=False)
class Networks:
    """The five networks. motion_sha256: of the motion extractor's file, which measured directions belong to."""

    runtime: Runtime
    appearance: Handle
    motion: Handle
    warping: Handle
    generator: Handle
    retargeting: Handle
    motion_sha256: str = ""

    @torch.inference_mode()
    def volume(self, picture: Tensor) -> Tensor:
        """The feature volume (1, 32, 16, 64, 64) of a picture (1, 3, 256, 256) in [0, 1], on the CPU."""
        self.runtime.ready(self.appearance, _APPEARANCE_BYTES)
        return self.appearance.module(picture.to(self.appearance.device)).float().cpu()

    @torch.inference_mode()
    def extract(self, pictures: Tensor) -> ExtractedMotion:
        """What the motion extractor reads from pictures (B, 3, 256, 256) in [0, 1], on the CPU."""
        return self.extract_each(len(pictures), lambda index: pictures[index : index + 1])

    @torch.inference_mode()
    def extract_each(self, count: int, picture: Callable[[int], Tensor]) -> ExtractedMotion:
        """The same for `count` pictures (1, 3, 256, 256) that are made when they are needed."""
        parts: list[ExtractedMotion] = []
        for start in range(0, count, _BATCH):
            self.runtime.check_cancelled()
            part = torch.cat([picture(index) for index in range(start, min(start + _BATCH, count))])
            self.runtime.ready(self.motion, _MOTION_BYTES * len(part))
            parts.append(_on_cpu(self.motion.module(part.to(self.motion.device))))
        return parts[0] if len(parts) == 1 else _joined(parts)

    @torch.inference_mode()
    def draw(self, volume: Tensor, driving: Tensor, source: Tensor, half_precision: bool) -> Tensor:
        """The picture (1, 3, 512, 512) of a volume whose keypoints moved from source to driving (1, 21, 3).

        half_precision: 16-bit arithmetic where the device is an NVIDIA card. Raises WrongWeightsError when the result
        is not finite.
        """
        device = self.warping.device
        half = half_precision and device.type == "cuda"
        with torch.autocast(device.type, torch.float16, enabled=half):
            self.runtime.ready(self.warping, _DRAWING_BYTES)
            warped = self.warping.module(volume.to(device), driving.to(device), source.to(device))
            self.runtime.ready(self.generator, _DRAWING_BYTES)
            drawn = self.generator.module(warped.features.to(self.generator.device))
        drawn = drawn.float().cpu()
        if not torch.isfinite(drawn).all():
            raise WrongWeightsError(
                f"LivePortrait drew {int((~torch.isfinite(drawn)).sum())} values that are not finite. "
                + ("Switch half_precision of Load LivePortrait off." if half else "Fetch its files again.")
            )
        return drawn.clamp(0, 1)

    @torch.inference_mode()
    def stitched(self, source: Tensor, driving: Tensor) -> Tensor:
        """`Retargeting.stitched`, on the CPU."""
        return self._retargeting().stitched(source.to(self._device), driving.to(self._device)).float().cpu()

    @torch.inference_mode()
    def eyes(self, source: Tensor, wanted: Tensor) -> Tensor:
        """`Retargeting.eyes`, on the CPU."""
        return self._retargeting().eyes(source.to(self._device), wanted.to(self._device)).float().cpu()

    @torch.inference_mode()
    def lips(self, source: Tensor, wanted: Tensor) -> Tensor:
        """`Retargeting.lips`, on the CPU."""
        return self._retargeting().lips(source.to(self._device), wanted.to(self._device)).float().cpu()

    @property
    def _device(self) -> torch.device:
        return self.retargeting.device

    def _retargeting(self) -> Retargeting:
        self.runtime.ready(self.retargeting)
        return self.retargeting.module


def load_networks(registry: Registry) -> Networks:
    """The shared networks from the user's files. Raises MissingWeightsError that lists every file that is missing."""
    require_files(registry)
    handles = [load_network(registry, file)[0] for file in (APPEARANCE, WARPING, GENERATOR, RETARGETING)]
    motion, digest = load_network(registry, MOTION)
    appearance, warping, generator, retargeting = handles
    return Networks(registry.runtime, appearance, motion, warping, generator, retargeting, digest)


def _on_cpu(motion: ExtractedMotion) -> ExtractedMotion:
    return replace(motion, **{name: value.float().cpu() for name, value in vars(motion).items()})


def _joined(parts: list[ExtractedMotion]) -> ExtractedMotion:
    names = vars(parts[0])
    return ExtractedMotion(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})
