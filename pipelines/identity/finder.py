"""Finding the faces of a video: a detector now and then, the landmarker alone in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ..face import Face, as_float_array, five_points
from .analysis import FaceAnalysis, as_pictures
from .detection import SAME_FACE_IOU, Candidate, overlaps

#: Least score of a detector's candidate that confirms a face which is followed.
_CONFIRMS = 0.5


@dataclass(frozen=True, eq=False)
class FaceFinder:
    """How the faces of a video are found: detected now and then, followed in between.

    analysis: what finds them. threshold: lowest score of a detected face. blendshapes: whether they are measured; they
    cost a tenth of following.
    """

    analysis: FaceAnalysis
    threshold: float = 0.5
    blendshapes: bool = True

    def detect(self, picture: Tensor, known: Sequence[Face]) -> tuple[list[Face], list[Face | None]]:
        """The faces of a picture (H, W, 3) that are not known yet, largest first, and what became of the known ones.

        known: faces that were followed into this picture. They are not measured again: each comes back, with five
        points moved half way to the detector's own where it has such, or None where the detector sees no face.
        """
        images = as_pictures(picture[None])
        seen: list[Face | None] = [None] * len(known)
        rest: list[Candidate] = []
        for candidate in self.analysis.detector.candidates(images):
            same = overlaps(candidate.bbox_xyxy, [face.bbox_xyxy for face in known]) > SAME_FACE_IOU
            if not same.any():
                rest.append(candidate)
            for place in same.nonzero()[0].tolist():
                if seen[place] is None and candidate.score >= _CONFIRMS:
                    seen[place] = _renewed(known[place], candidate)
        new = self.analysis.measure(images, rest, self.threshold).frames[0]
        return [face if self.blendshapes else replace(face, blendshapes=None) for face in new], seen

    def follow(self, picture: Tensor, faces: Sequence[Face]) -> list[Face]:
        """The same faces in the next picture; see `FaceAnalysis.follow`."""
        return self.analysis.follow(picture, faces, self.blendshapes)


def _renewed(face: Face, candidate: Candidate) -> Face:
    if candidate.landmarks5 is None or face.landmarks is None:
        return face
    offset = (face.landmarks5 + candidate.landmarks5) / 2 - five_points(face.landmarks)
    return replace(face, landmarks5=as_float_array(five_points(face.landmarks) + offset))
