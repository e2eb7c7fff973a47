"""All adapter families, and which of them a file belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import InputError, WrongWeightsError
from . import faceid, photomaker, pulid
from .arc2face import ARC2FACE
from .checkpoint import Checkpoint, Claims, listing, read_checkpoint
from .consistentid import CONSISTENTID
from .fact import FACT
from .family import Family, IdentityAdapter
from .fastcomposer import FASTCOMPOSER
from .instantid import INSTANTID
from .masterweaver import MASTERWEAVER
from .stableidentity import STABLEIDENTITY
from .wplus import WPLUS

#: In this order a file is tried; of families with the same keys, one whose file mark is in the name goes first.
FAMILIES: tuple[Family, ...] = (
    faceid.PLAIN,
    faceid.PLUS_V2,
    faceid.PLUS,
    faceid.PORTRAIT,
    faceid.PORTRAIT_UNNORM,
    INSTANTID,
    pulid.V1,
    pulid.V11,
    pulid.FLUX,
    ARC2FACE,
    CONSISTENTID,
    FASTCOMPOSER,
    photomaker.V1,
    photomaker.V2,
    MASTERWEAVER,
    FACT,
    WPLUS,
    STABLEIDENTITY,
)

#: The choice that lets keys and file name decide.
AUTO = "auto"


def family_names() -> tuple[str, ...]:
    """The names that users choose by, in order."""
    return tuple(family.name for family in FAMILIES)


def recognise(checkpoint: Checkpoint, choice: str = AUTO) -> Family:
    """The family of a file, by its keys and shapes, then by its name where keys do not decide.

    choice: AUTO, or the name of a family, which must still fit the keys. Raises WrongWeightsError when none fits.
    """
    fitting = [family for family in FAMILIES if family.matches(checkpoint)]
    if choice != AUTO:
        return _chosen(checkpoint, choice, fitting)
    if not fitting:
        raise WrongWeightsError(
            f"{checkpoint.name} is no adapter of a known family ({listing(checkpoint.tensors)}). "
            f"Known are: {', '.join(family.title for family in FAMILIES)}."
        )
    name = checkpoint.name.lower()
    marked = [family for family in fitting if any(mark in name for mark in family.file_marks)]
    unmarked = [family for family in fitting if not family.file_marks]
    if not marked and not unmarked:
        raise WrongWeightsError(
            f"{checkpoint.name} fits {' and '.join(family.title for family in fitting)}, which have the same keys, "
            f"and its name has none of {', '.join(mark for f in fitting for mark in f.file_marks)}: "
            "choose the family yourself."
        )
    return (marked or unmarked)[0]


def _chosen(checkpoint: Checkpoint, choice: str, fitting: Sequence[Family]) -> Family:
    if choice not in family_names():
        raise InputError(f"There is no adapter family {choice!r}: choose {AUTO} or one of {', '.join(family_names())}.")
    for family in fitting:
        if family.name == choice:
            return family
    could = f"It could be {' or '.join(family.title for family in fitting)}." if fitting else "No known family fits it."
    raise WrongWeightsError(
        f"{checkpoint.name} does not have the keys of {choice} ({listing(checkpoint.tensors)}). {could}"
    )


def build_adapter(checkpoint: Checkpoint, choice: str = AUTO) -> IdentityAdapter:
    """The adapter in a checkpoint; every tensor is used, or WrongWeightsError names what is left over."""
    family = recognise(checkpoint, choice)
    claims = Claims(checkpoint, family.title)
    try:
        with torch.device("meta"):  # the modules take the file's tensors: nothing is initialised for nothing
            adapter = family.build(family, claims)
    except KeyError as error:
        raise WrongWeightsError(
            f"{checkpoint.name} was read as {family.title} but lacks the key {error}: the file is incomplete; "
            "download it again, or choose another family."
        ) from error
    claims.finish()
    return adapter


def load_adapter(path: Path, choice: str = AUTO) -> IdentityAdapter:
    """Read an adapter file. choice: as in `recognise`."""
    return build_adapter(read_checkpoint(path), choice)
