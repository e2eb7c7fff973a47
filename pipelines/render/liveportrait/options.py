"""What a user chooses about LivePortrait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ...errors import InputError

Region = Literal["all", "expression", "pose", "eyes", "lips"]
Follows = Literal["keypoints", "blendshapes"]
REGIONS: tuple[str, ...] = get_args(Region)
FOLLOWS: tuple[str, ...] = get_args(Follows)


@dataclass(frozen=True)
class LivePortraitOptions:
    """How a motion is put on a portrait.

    region: "all"; "expression" leaves the head still, "pose" the face; "eyes" and "lips" move only their keypoints.
    stitching: keeps shoulders and background where they are, for pasting back. eye_retargeting, lip_retargeting: the
    openings of eyes and lips come from the networks trained for it, which reach fully closed lids and lips whatever
    the portrait's own are, instead of from the expression. half_precision: 16-bit arithmetic on an NVIDIA card, as the
    published program has it. follows: of a motion that LivePortrait itself took, "keypoints" follows what it saw, and
    "blendshapes" what editing nodes made of it; other motions have blendshapes only. Raises InputError for another
    word.
    """

    region: Region = "all"
    stitching: bool = True
    eye_retargeting: bool = False
    lip_retargeting: bool = False
    half_precision: bool = True
    follows: Follows = "keypoints"

    def __post_init__(self) -> None:
        if self.region not in REGIONS:
            raise InputError(f"The region is {self.region!r}, it must be one of {', '.join(REGIONS)}.")
        if self.follows not in FOLLOWS:
            raise InputError(f"LivePortrait can follow {', '.join(FOLLOWS)}, not {self.follows!r}.")

    @property
    def text(self) -> str:
        """What is on, in a line."""
        on = [name for name in ("stitching", "eye_retargeting", "lip_retargeting") if getattr(self, name)]
        return f"moves {self.region}; " + (", ".join(name.replace("_", " ") for name in on) or "no stitching")
