"""The library: everything that does not need ComfyUI."""

__version__ = "0.1.0"
