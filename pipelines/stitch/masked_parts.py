"""A face mask as a user chooses it: parts, edges, and what is taken away from them or added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from ..errors import InputError
from ..face import Faces
from .occlusion import Occluder, hidden_masks
from .parts import Edge, Parsed, check_parts, part_masks
from .teeth import teeth_masks


@dataclass(frozen=True, eq=False)
class Parser:
    """A face parser as seen from here.

    name: of the network. names: of the parts it knows. look: pictures (B, H, W, C >= 3), the faces in them and parts →
    the union of these parts (B, H, W).
    """

    name: str
    names: tuple[str, ...]
    look: Callable[[Tensor, Faces, tuple[str, ...]], Tensor]


@dataclass(frozen=True, eq=False)
class MaskedParts:
    """What of faces is masked.

    parts, grow, feather, own: as in `part_masks`. parser: draws the parts it knows, or None. teeth: these as well.
    occluder: what it sees in front of a face is left out, or None. Raises InputError for no part at all, a part that
    nobody here knows, and an `own` one that is not among the parts.
    """

    parts: tuple[str, ...]
    grow: float = 0.0
    feather: float = 0.02
    own: Mapping[str, Edge] = field(default_factory=dict[str, Edge])
    parser: Parser | None = None
    teeth: bool = False
    occluder: Occluder | None = None

    def __post_init__(self) -> None:
        if self.parts or not self.teeth:
            check_parts(self.parts, self.own, () if self.parser is None else self.parser.names)

    def draw(self, faces: Faces, images: Tensor | None = None) -> tuple[Tensor, str]:
        """(B, H, W) in [0, 1], of each picture the union over its faces, and a text that says who drew what.

        images: (B, H, W, C >= 3), the pictures of the faces, which parser, teeth and occluder look at. Raises
        InputError where they are missing or of another size.
        """
        if self.parts or not self.teeth:
            mask, report = part_masks(
                faces, self.parts, self.grow, self.feather, self._parsed(faces, images), self.own, fine=True
            )
        else:
            mask, report = torch.zeros(len(faces.frames), faces.height, faces.width), f"{len(faces)} face(s)."
        if self.teeth:
            mask = torch.maximum(mask, teeth_masks(_looked_at(images, "part teeth"), faces, self.feather))
            report = f"{report}\nWith the teeth: {100 * float(mask.mean()):.1f} % masked."
        if self.occluder is not None:
            mask = mask * (1 - hidden_masks(self.occluder, _looked_at(images, "occluder"), faces))
            seen = f"Without what {self.occluder.name} sees in front"
            report = f"{report}\n{seen}: {100 * float(mask.mean()):.1f} % masked."
        return mask, report

    def _parsed(self, faces: Faces, images: Tensor | None) -> Parsed | None:
        if self.parser is None:
            return None
        return Parsed(self.parser.names, partial(self.parser.look, _looked_at(images, "parser"), faces))


def _looked_at(images: Tensor | None, what: str) -> Tensor:
    if images is None:
        raise InputError(f"Face Mask: the {what} has no picture to look at. Connect the faces' picture to image.")
    return images
