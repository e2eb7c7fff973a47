"""Where a ComfyUI keeps models, without starting it: its models folder and those of extra_model_paths.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..pipelines.runtime import TorchRuntime
from .comfyui import ComfyUI
from .errors import CommandError

CONFIG = "extra_model_paths.yaml"
#: Names that ComfyUI itself treats as one: what is configured for the first is looked for under the second.
RENAMED = {"unet": "diffusion_models", "clip": "text_encoders"}


def runtime_of(comfy: ComfyUI) -> TorchRuntime:
    """A runtime that finds what this ComfyUI finds. Raises CommandError for a configuration that is not readable."""
    return TorchRuntime(model_folders={**extra_folders(comfy.folder / CONFIG), "": [comfy.base / "models"]})


def extra_folders(config: Path) -> dict[str, list[Path]]:
    """Folder name -> paths, in the order in which ComfyUI searches them; none without the file."""
    found: dict[str, list[Path]] = {}
    if not config.is_file():
        return found
    for section in _sections(config):
        values = dict(section)
        base = Path(os.path.expandvars(os.path.expanduser(values.pop("base_path", "")))) if section else Path()
        first = values.pop("is_default", False)
        for name, lines in values.items():
            paths = [Path(os.path.normpath(config.parent / base / line)) for line in str(lines).split("\n") if line]
            known = found.setdefault(RENAMED.get(name, name), [])
            known[:] = [*paths, *known] if first else [*known, *paths]
    return found


def _sections(config: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{config} cannot be read: {error}. ComfyUI does not start with it either.") from error
    if not isinstance(content, dict) or not all(value is None or isinstance(value, dict) for value in content.values()):
        raise CommandError(f"{config} must hold sections with a base_path each, as ComfyUI's example does.")
    return [value for value in content.values() if value]
