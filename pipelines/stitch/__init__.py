"""Crop faces, mask their parts, and put them back into the picture without touching the rest."""

from __future__ import annotations

from .crop import crop_faces
from .paste import BLENDS, Finish, stitch_faces, stitched_pictures
from .regions import REGIONS, face_masks

__all__ = ["BLENDS", "REGIONS", "Finish", "crop_faces", "face_masks", "stitch_faces", "stitched_pictures"]
