"""Pictures side by side under their names, to be judged at one glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

HEIGHT, MARGIN, STRIP = 512, 16, 44
PAPER, INK, FAINT = (24, 24, 27), (244, 244, 245), (161, 161, 170)


Panel = tuple[str, str, Tensor]


def contact_sheet(rows: Sequence[Sequence[Panel]]) -> Any:
    """One picture (PIL) with rows of panels, each scaled to one height.

    rows: per panel a title, a few words under it, and the picture (H, W, 3) or mask (H, W) in [0, 1].
    """
    from PIL import Image

    lines = [_row(row) for row in rows]
    sheet = Image.new("RGB", (max(line.width for line in lines), sum(line.height for line in lines)), PAPER)
    top = 0
    for line in lines:
        sheet.paste(line, ((sheet.width - line.width) // 2, top))
        top += line.height
    return sheet


def _row(panels: Sequence[Panel]) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    pictures = [_scaled(to_pil(picture)) for _, _, picture in panels]
    width = sum(picture.width for picture in pictures) + MARGIN * (len(pictures) + 1)
    line = Image.new("RGB", (width, HEIGHT + STRIP + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(line)
    left = MARGIN
    for (title, words, _), picture in zip(panels, pictures, strict=True):
        draw.text((left, MARGIN - 4), title, fill=INK, font=ImageFont.load_default(20))
        draw.text((left, MARGIN + 20), words, fill=FAINT, font=ImageFont.load_default(14))
        line.paste(picture, (left, MARGIN + STRIP))
        left += picture.width + MARGIN
    return line


def to_pil(picture: Tensor) -> Any:
    """A picture (H, W, 3) or mask (H, W) in [0, 1] as a PIL picture."""
    from PIL import Image

    rounded = (picture.detach().cpu().float().clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
    return Image.fromarray(rounded.numpy()).convert("RGB")


def _scaled(picture: Any) -> Any:
    from PIL import Image

    return picture.resize((max(round(picture.width * HEIGHT / picture.height), 1), HEIGHT), Image.Resampling.LANCZOS)
