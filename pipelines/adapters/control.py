"""What IdentityNet reads: the person's tokens, and a picture of five points per face."""

from __future__ import annotations

from torch import Tensor

from ..errors import InputError
from ..face import Faces
from ..identity.analysis import as_pictures
from ..identity.identity import Identity
from .family import IdentityTokens
from .features import Sources
from .library import LoadedAdapter
from .people import TokenDials, person_tokens
from .point_picture import draw_point_picture


def control_picture(faces: Faces | None, picture: Tensor | None) -> tuple[Tensor, str]:
    """The five-point picture (1 or B, H, W, 3) in [0, 1] and what it shows.

    faces: those of the first picture that has any are drawn, at that picture's size. picture: one that is drawn
    already. Raises InputError when neither or both are given, FaceNotFoundError without a face.
    """
    if (faces is None) == (picture is None):
        raise InputError("Identity Control needs either faces from Detect Faces or a finished five-point picture.")
    if picture is not None:
        return as_pictures(picture, "The five-point picture"), f"picture of {picture.shape[2]} × {picture.shape[1]} px"
    assert faces is not None
    faces.require_any("Identity Control")
    frame = next(frame for frame in faces.frames if frame)
    drawn = draw_point_picture([face.landmarks5 for face in frame], faces.height, faces.width)
    return drawn[None], f"{len(frame)} face(s) drawn on {faces.width} × {faces.height} px"


def control_tokens(
    loaded: LoadedAdapter, identity: Identity, sources: Sources, combine: str
) -> tuple[IdentityTokens, str]:
    """The tokens that IdentityNet reads instead of the text. Raises InputError for a family without an IdentityNet."""
    family = loaded.adapter.family
    if family.name != "instantid":
        raise InputError(
            f"{family.title} has no IdentityNet: Apply Identity Control works with InstantID's ip-adapter. For a "
            "ControlNet that reads the text use ComfyUI's Apply ControlNet."
        )
    return person_tokens(loaded, identity, sources, TokenDials(combine=combine))
