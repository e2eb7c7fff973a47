"""People without photos: an even face of the canonical mesh in the stored alignment, noise for pixels."""

from __future__ import annotations

import numpy as np
import torch

from likeness.pipelines.geometry.mesh import canonical_mesh
from likeness.pipelines.identity.identity import EncodedReferences, Identity

#: Pixels per centimetre of the canonical face that bring its eyes where the alignment wants them, and their middle.
PX_PER_CM, EYES_Y_PX = 19.0, 240.0


def landmarks() -> np.ndarray:
    """(478, 3) px in a 512 px crop."""
    points = canonical_mesh().points
    eyes = points[[33, 133, 263, 362]].mean(0)
    flat = np.stack([256 + PX_PER_CM * points[:, 0], EYES_Y_PX - PX_PER_CM * (points[:, 1] - eyes[1])], axis=1)
    face = np.concatenate([flat, -PX_PER_CM * points[:, 2:]], axis=1)
    centres = np.stack([face[[33, 133]].mean(0), face[[263, 362]].mean(0)])
    irises = centres.repeat(5, axis=0)
    return np.concatenate([face, irises]).astype(np.float32)


def somebody(name: str = "Ada", references: int = 2, seed: int = 0, encoders: tuple[str, ...] = ()) -> Identity:
    """A person with 512-d vectors of some recognisers, of length 20 or so."""
    random = np.random.default_rng(seed)
    crops = torch.from_numpy(random.integers(0, 256, (references, 512, 512, 3), dtype=np.uint8))
    weights = np.arange(references, 0, -1, dtype=np.float32)
    vectors = tuple(
        EncodedReferences(encoder, "licence", random.standard_normal((references, 512)).astype(np.float32))
        for encoder in encoders
    )
    faces = np.stack([landmarks()] * references)
    return Identity(name, crops, faces, weights / weights.sum(), vectors)
