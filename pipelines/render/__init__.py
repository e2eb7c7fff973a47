"""Portrait and motion to frames: one file per renderer, one ordered tuple."""

from __future__ import annotations

from .renderers import RENDERERS, PreparedPortrait, Renderer, renderer_named

__all__ = ["RENDERERS", "PreparedPortrait", "Renderer", "renderer_named"]
