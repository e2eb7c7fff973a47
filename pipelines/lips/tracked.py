"""Drawn mouths on tracked people: what is cut out of a frame, where it goes back, and what stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face import Face, FaceCrops, TrackedFrame
from ..geometry.templates import crop_from_image
from ..geometry.transforms import Matrix, compose, invert
from ..geometry.warp import crop_pictures
from ..identity.identity import CROP_TEMPLATE
from ..identity.parsed_masks import parts_of
from ..identity.parsing import PARSED_SIZE_PX, FaceParser
from ..stitch.paste import stitched_pictures
from .lip_sync import AfterEnd
from .mouth_crop import SIZE_PX, CropRule, mouth_crop, mouth_mask


class Mouths(Protocol):
    """Who draws."""

    def draw(self, crops: Tensor, times_s: Sequence[float]) -> Tensor:
        """Crops (N, 256, 256, 3) in [0, 1] and when each shows → the same with the mouth of that time."""
        ...


@dataclass(frozen=True, eq=False)
class _Seen:
    """One face of one frame of a batch."""

    row: int
    face: Face
    crop: Matrix


@dataclass(eq=False)
class TrackedLips:
    """Gives everybody in a video's frames the mouth of a speech; a `LipWork`.

    name: of who draws. rule, shift_px: what is cut out, as in `mouth_crop`. duration_s: of the speech. parser: finds
    what lies in front of the mouth. batch: frames at once. Above the middle of the nose a frame stays as it is, bit for
    bit; frames are drawn independently of each other.
    """

    name: str
    mouths: Mouths
    rule: CropRule
    shift_px: float
    duration_s: float
    after_end: AfterEnd = "silence"
    parser: FaceParser | None = None
    batch: int = 8
    drawn: int = 0
    over: int = 0

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        """One picture (H, W, 3) per frame; the same object where nobody speaks.

        Raises InputError for a face without dense landmarks.
        """
        seen = [
            _Seen(row, face, mouth_crop(face, self.rule, self.shift_px))
            for row, frame in enumerate(frames)
            if self._speaks(frame)
            for face in sorted((face for face, _ in frame.people), key=lambda face: (face.area_px, face.track))
        ]
        if not seen:
            return [frame.picture for frame in frames]
        batch = torch.stack([frame.picture for frame in frames])
        self.drawn += len(seen)
        stitched = stitched_pictures(batch, self._crops(batch, seen, [frame.time_s for frame in frames]))
        changed = {one.row for one in seen}
        return [stitched[row] if row in changed else frame.picture for row, frame in enumerate(frames)]

    def _speaks(self, frame: TrackedFrame) -> bool:
        """Whether a frame is drawn; after the end of the speech only where it goes on in silence."""
        if frame.time_s < self.duration_s:
            return True
        self.over += 1
        return self.after_end == "silence"

    def _crops(self, batch: Tensor, seen: Sequence[_Seen], times_s: Sequence[float]) -> FaceCrops:
        rows = tuple(one.row for one in seen)
        matrices = np.stack([one.crop for one in seen])
        size = (SIZE_PX, SIZE_PX)
        cut = crop_pictures(batch[..., :3], rows, matrices, size, padding="border", kernel="bicubic").clamp(0, 1)
        parts = [
            self.mouths.draw(cut[at : at + self.batch], [times_s[row] for row in rows[at : at + self.batch]])
            for at in range(0, len(cut), self.batch)
        ]
        parsed = None if self.parser is None else _parsed(self.parser, batch, seen)
        masks = torch.stack(
            [
                mouth_mask(one.face, one.crop, self.rule, None if parsed is None else parsed[number])
                for number, one in enumerate(seen)
            ]
        )
        faces = tuple(one.face for one in seen)
        return FaceCrops(torch.cat(parts), masks, matrices, rows, faces, batch.shape[1], batch.shape[2], before=cut)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """The counts for the report; nothing else is remembered."""
        return {"counts": np.array([self.drawn, self.over], np.int64)}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on where `state` was taken."""
        self.drawn, self.over = (int(value) for value in state["counts"].tolist())

    @property
    def text(self) -> str:
        """What was done, with numbers."""
        lines = [f"{self.name} drew {self.drawn} mouth(s) for {self.duration_s:.2f} s of speech."]
        if self.over:
            what = "heard silence" if self.after_end == "silence" else "stayed as filmed"
            lines.append(f"The video is longer than the speech: {self.over} frame(s) with a face {what}.")
        return "\n".join(lines)


def _parsed(parser: FaceParser, batch: Tensor, seen: Sequence[_Seen]) -> Tensor:
    """(N, 2, 256, 256): the face and its nose as a parser sees them, in the crops."""
    rows = tuple(one.row for one in seen)
    aligned = [crop_from_image(one.face, CROP_TEMPLATE, PARSED_SIZE_PX) for one in seen]
    side = (PARSED_SIZE_PX, PARSED_SIZE_PX)
    pictures = crop_pictures(batch[..., :3], rows, np.stack(aligned), side, padding="border").clamp(0, 1)
    probabilities = parser.probabilities(pictures)
    parts = torch.stack([parts_of(probabilities, ("face",)), parts_of(probabilities, ("nose",))], -1)
    back = np.stack([compose(one.crop, invert(matrix)) for one, matrix in zip(seen, aligned, strict=True)])
    return crop_pictures(parts, tuple(range(len(seen))), back, (SIZE_PX, SIZE_PX)).movedim(-1, 1).clamp(0, 1)
