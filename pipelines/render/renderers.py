"""Every way to move a portrait, in order of preference, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray
from ..registry import Registry
from .liveportrait.renderer import LivePortraitRenderer
from .mesh_renderer import MeshRenderer


class PreparedPortrait(Protocol):
    """One face of one picture, worked out once."""

    def frame(
        self,
        blendshapes: FloatArray,
        rotation: FloatArray,
        translation: FloatArray,
        channels: Mapping[str, FloatArray] = ...,
    ) -> Tensor:
        """The whole picture (H, W, 3) with one frame of a `Motion`: (52,), (3,) and (3,), changes against the portrait.

        channels: the rows of its extra channels; a renderer takes what it knows and ignores the rest. All zeros give
        the picture bit for bit; what lies outside the head's surroundings is never touched.
        """
        ...


class Renderer(Protocol):
    """A loaded renderer."""

    @property
    def turn_limits(self) -> tuple[float, float, float] | None:
        """Pitch, yaw and roll in radians that turns are bent towards; None when they are not."""
        ...

    @property
    def text(self) -> str:
        """What it does with a motion that its user should know; may be empty."""
        ...

    def prepare(self, picture: Tensor, face: Face, rest: FloatArray | None = None) -> PreparedPortrait:
        """Work out a face of a picture (H, W, 3) in [0, 1]; rest: (52,) what it already shows, as in `ARKIT_NAMES`."""
        ...


class RendererEntry(Protocol):
    """A renderer that can be loaded; a class with these members is an entry of `RENDERERS`."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """What the user reads in the list."""
        ...

    @property
    def licence(self) -> str: ...

    @property
    def requires(self) -> tuple[str, ...]:
        """Weights ids that it needs."""
        ...

    def missing(self, registry: Registry) -> tuple[str, ...]:
        """Those of `requires` that are there in no form it can read."""
        ...

    def load(self, registry: Registry) -> Renderer: ...


#: The renderers, first the one that always works; "auto" takes the last one that lacks nothing.
RENDERERS: tuple[RendererEntry, ...] = (MeshRenderer(), LivePortraitRenderer())


def renderer_named(name: str) -> RendererEntry:
    """The entry of a name; raises InputError naming those there are."""
    for entry in RENDERERS:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in RENDERERS)
    raise InputError(f"There is no renderer {name!r}; there are: {known}.")
