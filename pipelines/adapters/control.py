"""What IdentityNet reads: the person's tokens, and a picture of five points per face."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..errors import InputError
from ..face import Faces
from ..identity.analysis import as_pictures
from ..identity.identity import Identity
from .family import IdentityTokens
from .features import Sources
from .layout import PeopleRegions
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
    loaded: LoadedAdapter, identity: Identity, sources: Sources, dials: TokenDials
) -> tuple[IdentityTokens, str]:
    """The tokens that IdentityNet reads instead of the text. Raises InputError for a family without an IdentityNet."""
    family = loaded.adapter.family
    if family.name != "instantid":
        raise InputError(
            f"{family.title} has no IdentityNet: Apply Identity Control works with InstantID's ip-adapter. For a "
            "ControlNet that reads the text use ComfyUI's Apply ControlNet."
        )
    return person_tokens(loaded, identity, sources, dials)


@dataclass(frozen=True, eq=False)
class ControlledPerson:
    """One person as IdentityNet knows it. mask: (1, H, W) of its region, or everywhere. said: for the report."""

    tokens: IdentityTokens
    mask: Tensor | None
    said: str


def control_people(
    loaded: LoadedAdapter, regions: PeopleRegions, sources: Sources, dials: TokenDials
) -> tuple[ControlledPerson, ...]:
    """Everybody with their tokens, made as the dials say, and regions.

    Raises InputError when there is nobody, and what `control_tokens` raises.
    """
    if not regions.people:
        raise InputError("Identity Control needs a person: connect an identity, or regions with several people.")
    made: list[ControlledPerson] = []
    for identity, mask in regions.pairs():
        tokens, said = control_tokens(loaded, identity, sources, dials)
        where = "" if mask is None else f"; on {100 * float(mask.mean()):.0f} % of the picture"
        made.append(ControlledPerson(tokens, mask, said + where))
    return tuple(made)
