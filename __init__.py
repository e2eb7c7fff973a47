"""ComfyUI-Likeness: one person's likeness through every stage of a graph."""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> Any:
    """ComfyUI's entry point; nodes are imported here so that the library can be used without ComfyUI."""
    from .nodes import LikenessExtension

    return LikenessExtension()
