"""What a node shows below itself after it ran: its report, and pictures where it has some."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

#: Schema options that make ComfyUI send the report again when the node's result comes from the cache.
SHOWS_REPORT: dict[str, Any] = (
    {"has_intermediate_output": True} if "has_intermediate_output" in io.Schema.__dataclass_fields__ else {}
)


def report_output() -> io.String.Output:
    """The text every working node gives: what it did, with numbers."""
    return io.String.Output("report", display_name="report", tooltip="What the node did, with numbers.")


def shown(report: str, pictures: Tensor | None = None) -> dict[str, Any]:
    """The node's ui: `web/report.js` shows the text, ComfyUI the pictures (B, H, W, 3)."""
    text: dict[str, Any] = {"text": [report]}
    return text if pictures is None else text | ui.PreviewImage(pictures).as_dict()
