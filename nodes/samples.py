"""The portraits, clips, recordings and voices of the example workflows, put where nodes find them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import folder_paths

LOG = logging.getLogger("likeness")

SAMPLES = Path(__file__).resolve().parents[1] / "assets" / "samples"


def copy_samples() -> list[Path]:
    """Copy the samples to the input folder as likeness_<name> where they are missing; returns what was copied.

    They lie at the top, because LoadImage lists no folders below and its page marks pictures it does not list.
    A read-only input folder costs the example workflows their pictures, never the pack: it is a warning.
    """
    folder = Path(folder_paths.get_input_directory())
    copied: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for photo in sorted(SAMPLES.iterdir()):
            target = folder / f"likeness_{photo.name}"
            if photo.suffix in {".png", ".jpg", ".mp4", ".csv", ".flac"} and not target.exists():
                shutil.copyfile(photo, target)
                copied.append(target)
    except OSError as error:
        LOG.warning("Likeness: the sample photos could not be copied to %s: %s", folder, error)
    if copied:
        LOG.info("Likeness: copied %s to %s", ", ".join(path.name for path in copied), folder)
    return copied
