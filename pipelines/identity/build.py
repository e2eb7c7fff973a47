"""An identity from photos: the right face of each, weighed by quality, without outliers, and a report that says why."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import FaceNotFoundError, InputError
from ..face import Face, Faces, FloatArray, as_float_array
from ..geometry.templates import crop_from_image
from ..geometry.transforms import transform_mesh
from ..geometry.warp import crop_pictures
from .analysis import FaceAnalysis, as_pictures
from .identity import CROP_SIZE_PX, CROP_TEMPLATE, MAX_REFERENCES, EncodedReferences, Identity
from .pick import Pick, pick_faces
from .quality import Quality, consensus, detail, head_turn, inter_eye_px, pose_part, sharpness_part, size_part
from .select import embed_faces

#: Faces smaller than this are refused: below it the recognisers mostly see the resampling.
MIN_INTER_EYE_PX = 10.0

#: A reference lighter than this fraction of the heaviest one would change nothing but the file's size.
MIN_RELATIVE_WEIGHT = 0.03

#: Faces per photo that are compared when the right one is looked for, largest first.
_MAX_CANDIDATES = 16


@dataclass(frozen=True, eq=False)
class ReferenceReport:
    """What became of one photo. photo: "photo 3 of 5". weight: 0 when rejected. reason: "" when used."""

    photo: str
    weight: float
    quality: Quality | None
    face: str = ""
    reason: str = ""

    @property
    def used(self) -> bool:
        return not self.reason

    @property
    def text(self) -> str:
        measures = f" · {self.quality.text}" if self.quality else ""
        state = f"weight {self.weight:.2f}" if self.used else f"rejected: {self.reason}"
        return f"{self.photo}: {state}{f' · {self.face}' if self.face else ''}{measures}"


@dataclass(frozen=True, eq=False)
class BuildReport:
    """What `build_identity` did with every photo, in the order they were given."""

    name: str
    encoder: str
    references: tuple[ReferenceReport, ...]

    @property
    def text(self) -> str:
        used = sum(reference.used for reference in self.references)
        head = f"Identity {self.name!r}: {used} of {len(self.references)} photo(s) used, recogniser {self.encoder}."
        return "\n".join([head, *(reference.text for reference in self.references)])


@dataclass(frozen=True, eq=False)
class _Photo:
    """One picture with its candidates. reason: why it is out, "" while it is in."""

    label: str
    image: Tensor
    sha256: str
    faces: tuple[Face, ...] = ()
    raw: FloatArray | None = None
    reason: str = ""
    chosen: int = 0
    quality: Quality | None = None
    weight: float = 0.0

    @property
    def face(self) -> Face:
        return self.faces[self.chosen]

    @property
    def vector(self) -> FloatArray:
        assert self.raw is not None  # a photo that is still in has been embedded
        return self.raw[self.chosen]

    def out(self, reason: str) -> _Photo:
        return replace(self, reason=reason, weight=0.0)


def build_identity(
    analysis: FaceAnalysis,
    photos: Sequence[Tensor],
    name: str,
    consent: str = "",
    pick: Pick = "agreement",
    threshold: float = 0.5,
    min_probability: float = 0.5,
    skip_faceless: bool = False,
    first_faces: Faces | None = None,
) -> tuple[Identity, BuildReport]:
    """One person from one or many photos.

    photos: pictures (B, H, W, 3) in [0, 1] of any sizes; every picture of a batch is a photo of its own.
    pick: which face of a photo with several, see `pick_faces`. threshold: the detector's, in [0, 1].
    min_probability: a face that is less likely than this the person on whom most photos agree is an outlier.
    skip_faceless: report a photo without a face instead of raising. first_faces: the faces of the first entry of
    `photos` among which the person is, instead of all that are found there.

    Weights are, concretely, sharpness x size x pose x agreement (`quality.Quality`), normalised to sum 1. Rejected,
    each with its reason in the report: the same picture twice, faces below `MIN_INTER_EYE_PX`, outliers, references
    that weigh next to nothing, and what is beyond the `MAX_REFERENCES` heaviest.
    Raises FaceNotFoundError for a photo without a face (with the best score there was) or when none is left;
    InputError for no photos; and what the analysis raises for broken pictures.
    """
    if not photos or sum(len(batch) for batch in photos) == 0:
        raise InputError(f"Identity {name!r}: there is no photo. Connect at least one picture with a face.")
    if first_faces is not None:
        first_faces.require_any(f"Identity {name!r}, faces of the first photo")
    gathered = _gather(analysis, photos, threshold, skip_faceless, first_faces)
    gathered = _choose(analysis, gathered, pick)
    gathered = _weigh(analysis, gathered, min_probability)
    used = [photo for photo in gathered if not photo.reason]
    report = BuildReport(name, analysis.recogniser.name, tuple(_reference_report(photo) for photo in gathered))
    if not used:
        raise FaceNotFoundError(f"No photo is left to build {name!r} from.\n{report.text}")
    return _assemble(analysis, used, name, consent), report


def picture_sha256(image: Tensor) -> str:
    """Hex sha256 of a picture (H, W, 3) in [0, 1]: concretely of "H W " and its pixels rounded to 8 bit, RGB, rows."""
    pixels = (image[..., :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous().numpy()
    return hashlib.sha256(f"{image.shape[0]} {image.shape[1]} ".encode() + pixels.tobytes()).hexdigest()


def _gather(
    analysis: FaceAnalysis, photos: Sequence[Tensor], threshold: float, skip_faceless: bool, given: Faces | None
) -> list[_Photo]:
    """Detect and embed: the networks see each batch once."""
    total = sum(len(batch) for batch in photos)
    gathered: list[_Photo] = []
    for number, batch in enumerate(photos):
        batch = as_pictures(batch, f"Photo {number + 1}")
        faces = given if number == 0 and given is not None else analysis.detect(batch, threshold, _MAX_CANDIDATES)
        found = list(faces)
        raw = embed_faces(faces, batch, analysis.recogniser)
        for index, frame in enumerate(faces.frames):
            rows = [row for row, (at, _) in enumerate(found) if at == index]
            label = f"photo {len(gathered) + 1} of {total}"
            photo = _Photo(label, batch[index, ..., :3], picture_sha256(batch[index]), frame, raw[rows])
            gathered.append(photo if frame else _faceless(analysis, photo, threshold, skip_faceless))
    return _without_repeats(gathered)


def _faceless(analysis: FaceAnalysis, photo: _Photo, threshold: float, skip: bool) -> _Photo:
    best = analysis.detect(photo.image[None], threshold=threshold).best_rejected_score
    seen = f"the best candidate scores {best:.2f}" if best > 0 else "there is not even a weak candidate"
    height, width = photo.image.shape[:2]
    reason = f"no face above the threshold {threshold:.2f} in its {width} × {height} px, {seen}"
    if skip:
        return photo.out(reason)
    raise FaceNotFoundError(
        f"{photo.label[0].upper()}{photo.label[1:]}: {reason}. Lower the threshold, crop the photo closer to the face, "
        "leave the photo out, or skip photos without a face."
    )


def _without_repeats(photos: list[_Photo]) -> list[_Photo]:
    first: dict[str, str] = {}
    kept: list[_Photo] = []
    for photo in photos:
        earlier = first.setdefault(photo.sha256, photo.label)
        repeated = earlier != photo.label and not photo.reason
        kept.append(photo.out(f"the same picture as {earlier}") if repeated else photo)
    return kept


def _choose(analysis: FaceAnalysis, photos: list[_Photo], pick: Pick) -> list[_Photo]:
    live = [index for index, photo in enumerate(photos) if not photo.reason]
    vectors = [photos[index].raw for index in live]
    centers = [((photos[index].image.shape[1] - 1) / 2, (photos[index].image.shape[0] - 1) / 2) for index in live]
    chosen = pick_faces(
        analysis.recogniser,
        [photos[index].faces for index in live],
        [vector for vector in vectors if vector is not None],
        centers,
        pick,
    )
    result = list(photos)
    for index, face in zip(live, chosen, strict=True):
        photo = replace(photos[index], chosen=face)
        eyes = inter_eye_px(photo.face)
        small = f"its face has only {eyes:.0f} px between the eyes, at least {MIN_INTER_EYE_PX:.0f} px are needed"
        result[index] = photo.out(small) if eyes < MIN_INTER_EYE_PX else photo
    return result


def _weigh(analysis: FaceAnalysis, photos: list[_Photo], min_probability: float) -> list[_Photo]:
    live = [index for index, photo in enumerate(photos) if not photo.reason]
    if not live:
        return photos
    details = [float(detail(_crop(photos[index])[None])[0]) for index in live]
    alone = [_quality(photos[index].face, measured) for index, measured in zip(live, details, strict=True)]
    raw = np.stack([photos[index].vector for index in live])
    # a prior of 0 (a full profile) still has a vote, or a lone profile could not be an identity
    priors = np.array([max(quality.weight, 1e-6) for quality in alone])
    distances, inliers = consensus(analysis.recogniser, raw, priors, min_probability)
    result = list(photos)
    for index, quality, distance, inlier in zip(live, alone, distances.tolist(), inliers.tolist(), strict=True):
        probability = analysis.recogniser.probability(distance)
        quality = replace(quality, agreement=probability, distance=distance)
        photo = replace(photos[index], quality=quality, weight=max(quality.weight, 1e-6))
        strange = f"it looks like another person (probability {probability:.2f} of being the one most photos agree on)"
        result[index] = photo if inlier else photo.out(strange)
    return _without_light(result)


def _without_light(photos: list[_Photo]) -> list[_Photo]:
    weights = sorted((photo.weight for photo in photos if not photo.reason), reverse=True)
    heaviest, last = weights[0], weights[:MAX_REFERENCES][-1]
    total = sum(weight for weight in weights[:MAX_REFERENCES] if weight >= heaviest * MIN_RELATIVE_WEIGHT)
    result: list[_Photo] = []
    places = MAX_REFERENCES
    for photo in photos:
        if photo.reason or photo.quality is None:
            result.append(photo)
        elif photo.weight < heaviest * MIN_RELATIVE_WEIGHT:
            share = f"{photo.weight / heaviest:.3f} of the best reference's weight"
            result.append(photo.out(f"its {photo.quality.weakest} leaves it {share}"))
        elif photo.weight < last or places == 0:
            result.append(photo.out(f"{MAX_REFERENCES} better references are kept"))
        else:
            places -= 1
            result.append(replace(photo, weight=photo.weight / total))
    return result


def _quality(face: Face, measured_detail: float) -> Quality:
    eyes = inter_eye_px(face)
    pitch, yaw = head_turn(face)
    return Quality(
        sharpness=sharpness_part(measured_detail),
        size=size_part(eyes),
        pose=pose_part(pitch, yaw),
        agreement=1.0,
        detail=measured_detail,
        inter_eye_px=eyes,
        pitch_rad=pitch,
        yaw_rad=yaw,
        distance=0.0,
    )


def _crop(photo: _Photo) -> Tensor:
    """(512, 512, 3) uint8: what lies outside the photo is black, as recognisers were trained to see it."""
    matrix = crop_from_image(photo.face, CROP_TEMPLATE, CROP_SIZE_PX)
    crop = crop_pictures(photo.image[None], (0,), matrix[None], (CROP_SIZE_PX, CROP_SIZE_PX))[0]
    return (crop.clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def _landmarks(photo: _Photo) -> FloatArray:
    if photo.face.landmarks is None:
        raise InputError(f"{photo.label}: its face has no dense landmarks, which an identity needs.")
    return transform_mesh(crop_from_image(photo.face, CROP_TEMPLATE, CROP_SIZE_PX), photo.face.landmarks)


def _assemble(analysis: FaceAnalysis, used: list[_Photo], name: str, consent: str) -> Identity:
    recogniser = analysis.recogniser
    raw = np.stack([photo.vector for photo in used]).astype(np.float32)
    return Identity(
        name=name,
        crops=torch.stack([_crop(photo) for photo in used]),
        landmarks=np.stack([_landmarks(photo) for photo in used]),
        weights=as_float_array([photo.weight for photo in used]),
        vectors=(EncodedReferences(recogniser.name, recogniser.licence, raw),),
        consent=consent,
        sources_sha256=tuple(photo.sha256 for photo in used),
    )


def _reference_report(photo: _Photo) -> ReferenceReport:
    face = f"face {photo.chosen + 1} of {len(photo.faces)}" if len(photo.faces) > 1 else ""
    return ReferenceReport(photo.label, photo.weight, photo.quality, face, photo.reason)
