"""Several identities as one: more references of one person, or a blend of several people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..errors import EncoderMismatchError, InputError
from ..face import as_float_array
from .identity import MAX_REFERENCES, EncodedReferences, Identity


def merge_identities(identities: Sequence[Identity], weights: Sequence[float] = (), name: str = "") -> Identity:
    """One identity with the references of all.

    weights: one per identity, not negative, any scale; none means equal. A reference weighs, concretely, its weight
    in its own identity times its identity's share, so a vector of the result is the weighted mean of the identities'.
    An identity of weight 0 leaves no trace. name: "" joins the names. Kept are the vectors of the recognisers that all
    have; consent notes are kept with the names they belong to.
    Raises InputError for no identity, wrong weights or too many references; EncoderMismatchError when no recogniser
    is common to all.
    """
    shares = _shares(identities, weights)
    parts = [(identity, share) for identity, share in zip(identities, shares, strict=True) if share > 0]
    count = sum(len(identity) for identity, _ in parts)
    if count > MAX_REFERENCES:
        raise InputError(f"The merged identity would have {count} references, {MAX_REFERENCES} is the most.")
    kept = [identity for identity, _ in parts]
    hashed = all(identity.sources_sha256 for identity in kept)
    return Identity(
        name=name or " + ".join(dict.fromkeys(identity.name for identity in kept)),
        crops=torch.cat([identity.crops for identity in kept]),
        landmarks=np.concatenate([identity.landmarks for identity in kept]),
        weights=as_float_array(np.concatenate([identity.weights * share for identity, share in parts])),
        vectors=_common_vectors(kept),
        consent=_consent(kept),
        sources_sha256=tuple(source for identity in kept for source in identity.sources_sha256) if hashed else (),
    )


def parse_weights(text: str) -> tuple[float, ...]:
    """Numbers such as "2, 1" or "0.5 0.5"; "" gives none. Raises InputError, quoting what it cannot read."""
    weights: list[float] = []
    for part in text.replace(",", " ").replace(";", " ").split():
        try:
            weights.append(float(part))
        except ValueError as error:
            raise InputError(
                f"The weights {text[:80]!r} have {part[:20]!r}, which is no number: write one number per identity, "
                "such as 2, 1."
            ) from error
    return tuple(weights)


def _shares(identities: Sequence[Identity], weights: Sequence[float]) -> list[float]:
    if not identities:
        raise InputError("There is nothing to merge: connect at least one identity.")
    given = list(weights) or [1.0] * len(identities)
    if len(given) != len(identities):
        raise InputError(f"{len(identities)} identities but {len(given)} weight(s): give one weight per identity.")
    if not all(np.isfinite(given)) or min(given) < 0 or sum(given) <= 0:
        raise InputError(f"The weights {given} must be finite, not negative, and at least one above 0.")
    total = sum(given)
    return [weight / total for weight in given]


def _common_vectors(identities: Sequence[Identity]) -> tuple[EncodedReferences, ...]:
    names = [name for name in identities[0].encoders if all(name in other.encoders for other in identities)]
    if not names:
        listing = "; ".join(f"{identity.name!r} has {', '.join(identity.encoders)}" for identity in identities)
        raise EncoderMismatchError(
            f"No recogniser is common to all identities ({listing}). "
            "Encode them again from their stored reference pictures with one face analysis."
        )
    return tuple(
        EncodedReferences(
            name,
            identities[0].references(name).licence,
            np.concatenate([identity.references(name).raw for identity in identities]),
        )
        for name in names
    )


def _consent(identities: Sequence[Identity]) -> str:
    notes = dict.fromkeys((identity.name, identity.consent) for identity in identities)
    if len({consent for _, consent in notes}) == 1:
        return identities[0].consent
    return "; ".join(f"{name}: {consent or 'nothing noted'}" for name, consent in notes)
