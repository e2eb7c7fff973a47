"""Make small or worn faces crisp: one file per restorer, one ordered tuple."""

from __future__ import annotations

from .restorers import RESTORERS, load_restorer, restorer_named
from .restoring import RestoreOptions, describe_restored, restore_faces, restore_frames

__all__ = [
    "RESTORERS",
    "RestoreOptions",
    "describe_restored",
    "load_restorer",
    "restore_faces",
    "restore_frames",
    "restorer_named",
]
