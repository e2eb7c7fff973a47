"""Pictures and videos that carry a statement: written into PNG text, read from PNG text and from a video's metadata."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, MissingPackageError, UnsafeFileError
from ..files.writing import IfExists, write_file
from .png_text import png_text
from .statement import MAX_TEXT_BYTES, Statement, from_json, to_json

#: The name of the statement among a file's texts.
KEY = "likeness"
PICTURES = (".png",)
#: Ending of a video -> FFmpeg's name of its container. Naming it keeps FFmpeg from guessing by content: a playlist in
#: disguise could name other files and addresses.
CONTAINERS = {".mp4": "mov", ".mov": "mov", ".m4v": "mov", ".mkv": "matroska", ".webm": "matroska"}
VIDEOS = tuple(CONTAINERS)


def png_bytes(image: Tensor, statement: Statement | None, texts: Mapping[str, str]) -> bytes:
    """A picture (H, W, 3 or 4) float in [0, 1] as an 8-bit PNG with the statement and more texts by name.

    Raises InputError for another shape, MissingPackageError without Pillow.
    """
    if image.ndim != 3 or image.shape[2] not in (3, 4) or 0 in image.shape:
        raise InputError(f"A picture to save has the shape {tuple(image.shape)}; (height, width, 3 or 4) is needed.")
    pil, info = _pillow()
    notes = info()
    for name, text in texts.items():
        notes.add_text(name, text)
    if statement is not None:
        notes.add_itxt(KEY, to_json(statement))
    values = torch.nan_to_num(image.float()).clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    buffer = io.BytesIO()
    pil.fromarray(values).save(buffer, format="PNG", pnginfo=notes, compress_level=4)
    return buffer.getvalue()


def save_picture(
    image: Tensor,
    target: Path,
    statement: Statement | None,
    texts: Mapping[str, str] | None = None,
    if_exists: IfExists = "number",
) -> Path:
    """Write `png_bytes` to a path, all or nothing, and return the path that was written. Raises as they do."""
    return write_file(png_bytes(image, statement, texts or {}), target, if_exists)


def read_statement(path: Path) -> Statement | None:
    """The statement a file carries; None when it carries none.

    Raises InputError for a file that is missing or of a kind that carries none, UnsafeFileError for one that cannot
    be opened or whose statement was tampered with.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    if suffix not in (*PICTURES, *VIDEOS):
        raise InputError(
            f"{path.name}: statements are read from {', '.join((*PICTURES, *VIDEOS))} files; other formats carry none "
            "of ours."
        )
    text = png_text(path, KEY, MAX_TEXT_BYTES) if suffix in PICTURES else _video_text(path)
    return None if text is None else from_json(text)


def _video_text(path: Path) -> str | None:
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise MissingPackageError(
            "Videos are read with the package av, which comes with ComfyUI: pip install av"
        ) from error
    try:
        with av.open(str(path), format=CONTAINERS[path.suffix.lower()], metadata_errors="replace") as container:
            text = container.metadata.get(KEY) or container.metadata.get(KEY.upper())
    except (FFmpegError, OSError, ValueError) as error:
        raise UnsafeFileError(f"{path.name} cannot be read as a video: {error}") from error
    return text


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, PngImagePlugin
    except ImportError as error:
        raise MissingPackageError(
            "Pictures are saved with Pillow, which comes with ComfyUI: pip install pillow"
        ) from error
    return Image, PngImagePlugin.PngInfo
