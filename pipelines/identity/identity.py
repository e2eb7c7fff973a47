"""A person as one value: aligned reference pictures, their weights, and per recogniser their raw vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import EncoderMismatchError, InputError
from ..face import Face, FloatArray, as_float_array, five_points
from .analysis import FaceAnalysis, Recogniser

#: The reference pictures are square crops of this side, aligned to this template of `geometry.templates`.
CROP_SIZE_PX, CROP_TEMPLATE = 512, "ffhq_512"

#: Points of the dense mesh that a reference carries, irises included.
MESH_POINTS = 478

#: The most references one identity is built or merged from, or a file holds; each takes 768 KB.
MAX_REFERENCES = 64


@dataclass(frozen=True, eq=False)
class EncodedReferences:
    """What one recogniser says about every reference.

    encoder: the recogniser's name. licence: of its weights. raw: (R, D), one vector per reference as the network
    gives it, not normalised.
    """

    encoder: str
    licence: str
    raw: FloatArray


@dataclass(frozen=True, eq=False)
class Identity:
    """A person.

    crops: (R, 512, 512, 3) uint8 RGB on the CPU, aligned to the template "ffhq_512". landmarks: (R, 478, 3) px in the
    crop. weights: (R,), not negative, sum 1. vectors: per recogniser, in the order of the crops. consent: what the
    person agreed to, in the user's words. sources_sha256: per reference the hash of the picture it came from, as
    `picture_sha256` takes it; empty when unknown. Raises InputError when the parts do not fit each other.
    """

    name: str
    crops: Tensor
    landmarks: FloatArray
    weights: FloatArray
    vectors: tuple[EncodedReferences, ...]
    consent: str = ""
    sources_sha256: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.weights)
        if count == 0 or self.weights.ndim != 1:
            raise InputError(f"Identity {self.name!r}: it needs at least one reference with a weight.")
        shapes = {
            "crops": (tuple(self.crops.shape), (count, CROP_SIZE_PX, CROP_SIZE_PX, 3)),
            "landmarks": (self.landmarks.shape, (count, MESH_POINTS, 3)),
        }
        for part, (got, wanted) in shapes.items():
            if got != wanted:
                raise InputError(f"Identity {self.name!r}: {part} have the shape {got}, {wanted} is needed.")
        if self.crops.dtype != torch.uint8:
            raise InputError(f"Identity {self.name!r}: the crops are {self.crops.dtype}, uint8 is needed.")
        if len(self.sources_sha256) not in (0, count):
            raise InputError(f"Identity {self.name!r}: {len(self.sources_sha256)} sources for {count} reference(s).")
        self._check_numbers(count)

    def _check_numbers(self, count: int) -> None:
        finite = np.isfinite(self.weights).all() and np.isfinite(self.landmarks).all()
        if not finite or (self.weights < 0).any() or abs(float(self.weights.sum()) - 1) > 1e-3:
            raise InputError(
                f"Identity {self.name!r}: the weights must be finite, not negative and sum to 1, and the landmarks "
                f"finite; the weights are {np.array2string(self.weights, precision=3, threshold=8)}."
            )
        if len({part.encoder for part in self.vectors}) != len(self.vectors):
            raise InputError(f"Identity {self.name!r}: two sets of vectors are from the same recogniser.")
        for part in self.vectors:
            if part.raw.ndim != 2 or len(part.raw) != count or not np.isfinite(part.raw).all():
                raise InputError(
                    f"Identity {self.name!r}: the vectors of {part.encoder!r} have the shape {part.raw.shape} or are "
                    f"not finite; one finite vector for each of the {count} reference(s) is needed."
                )

    def __len__(self) -> int:
        """How many references there are."""
        return len(self.weights)

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the recognisers whose vectors this identity carries."""
        return tuple(part.encoder for part in self.vectors)

    @property
    def best(self) -> int:
        """Index of the heaviest reference, the first one among equals."""
        return int(np.argmax(self.weights))

    def references(self, encoder: str) -> EncodedReferences:
        """The vectors of one recogniser. Raises EncoderMismatchError, naming those there are, when it lacks them."""
        for part in self.vectors:
            if part.encoder == encoder:
                return part
        raise EncoderMismatchError(
            f"Identity {self.name!r} has no vector of the recogniser {encoder!r}, it has those of "
            f"{', '.join(self.encoders) or 'none'}. The spaces of two recognisers cannot be compared: encode it again "
            f"from its {len(self)} stored reference picture(s) with the face analysis that has {encoder!r}, "
            f"or load the face analysis that has {' or '.join(self.encoders) or 'the recogniser it was made with'}."
        )

    def raw(self, encoder: str) -> FloatArray:
        """(D,): the weighted mean of the references' vectors as the network gives them. Raises as `references`."""
        return as_float_array(self.weights.astype(np.float64) @ self.references(encoder).raw.astype(np.float64))

    def unit(self, encoder: str) -> FloatArray:
        """(D,) of length 1: concretely raw / |raw|. Raises as `references`, InputError for a vector of length 0."""
        vector = self.raw(encoder).astype(np.float64)
        length = float(np.linalg.norm(vector))
        if length < 1e-12:
            raise InputError(f"Identity {self.name!r}: its vector of {encoder!r} has length 0 and no direction.")
        return as_float_array(vector / length)

    def faces(self) -> tuple[tuple[int, Face], ...]:
        """Per reference (its index, its face in the crop's pixels): what a recogniser takes with the crops."""
        return tuple((index, _face_in_crop(points)) for index, points in enumerate(self.landmarks))

    def pictures(self) -> Tensor:
        """The crops as an IMAGE: (R, 512, 512, 3) float32 in [0, 1]."""
        return self.crops.float() / 255

    def with_name(self, name: str) -> Identity:
        return replace(self, name=name)

    def with_consent(self, consent: str) -> Identity:
        return replace(self, consent=consent)

    def with_vectors(self, added: EncodedReferences) -> Identity:
        """The same person with one recogniser's vectors added, or replaced where it had them."""
        kept = tuple(part for part in self.vectors if part.encoder != added.encoder)
        return replace(self, vectors=(*kept, added))

    def describe(self) -> str:
        """What this identity is, for people: references, weights, recognisers with licence, consent."""
        weights = ", ".join(f"{weight:.2f}" for weight in self.weights)
        known = "; ".join(f"{part.encoder} ({part.raw.shape[1]} numbers, {part.licence})" for part in self.vectors)
        return (
            f"Identity {self.name!r}: {len(self)} reference(s) with weights {weights}.\n"
            f"Recognisers: {known or 'none'}.\nConsent: {self.consent or 'nothing noted'}."
        )


def _face_in_crop(landmarks: FloatArray) -> Face:
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    return Face(as_float_array(np.concatenate([low, high])), 1.0, five_points(landmarks), landmarks)


def encode_references(recogniser: Recogniser, crops: Tensor, landmarks: FloatArray) -> EncodedReferences:
    """The vectors of reference crops.

    crops: (R, 512, 512, 3) uint8. landmarks: (R, 478, 3) px in the crops. All go through the network in one call.
    """
    faces = [(index, _face_in_crop(points)) for index, points in enumerate(landmarks)]
    return EncodedReferences(recogniser.name, recogniser.licence, recogniser.embed(crops.float() / 255, faces))


def re_encode(identity: Identity, analysis: FaceAnalysis) -> Identity:
    """The identity with the vectors of an analysis's recogniser added (or made anew), from the stored crops.

    Vectors of other recognisers stay as they are. Raises what the recogniser raises.
    """
    return identity.with_vectors(encode_references(analysis.recogniser, identity.crops, identity.landmarks))


def ensure_encoded(identity: Identity, analysis: FaceAnalysis) -> Identity:
    """The identity itself where it has the vectors of an analysis's recogniser, else `re_encode`."""
    return identity if analysis.recogniser.name in identity.encoders else re_encode(identity, analysis)


def likeness(recogniser: Recogniser, raw: FloatArray, identity: Identity) -> tuple[float, float]:
    """How much a face is like a person: (distance in the recogniser's own metric, probability of being the same).

    raw: (D,) vector of the face by this recogniser. Raises EncoderMismatchError when the identity lacks its vectors.
    """
    distance = recogniser.distance(raw, identity.raw(recogniser.name))
    return distance, recogniser.probability(distance)
