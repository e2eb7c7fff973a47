"""Swapping in video: which tracked person becomes which identity, decided by likeness, and the swap of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray, TrackedFrame
from ..identity.analysis import Recogniser
from ..identity.assign import best_people
from ..identity.identity import Identity, likeness
from ..stitch.calm import CalmChange, Memory
from ..stitch.paste import Blend, stitched_pictures
from .options import SwapOptions
from .swappers import Swapper, swap_faces


@dataclass(frozen=True, eq=False)
class TrackedSwap:
    """Puts identities onto tracked people.

    identities: whom the people become. people: who they are, in the same order; empty when the only identity goes onto
    everybody. min_probability: least probability that a track is one of the people. Raises InputError when there
    are several identities but not as many people, EncoderMismatchError when a person lacks the recogniser's vectors.
    """

    swapper: Swapper
    identities: tuple[Identity, ...]
    people: tuple[Identity, ...]
    recogniser: Recogniser
    options: SwapOptions
    blend: Blend = "alpha"
    min_probability: float = 0.5
    _calm: CalmChange = field(default_factory=CalmChange, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.identities:
            raise InputError("There is no identity to swap in: connect one from Build Identity or Load Identity.")
        if len(self.identities) != (len(self.people) or 1):
            raise InputError(
                f"There are {len(self.identities)} identities and {len(self.people)} people of the video: connect as "
                "many people as identities (person0 becomes identity0), or one identity and nobody to swap everybody."
            )
        for person in self.people:
            person.references(self.recogniser.name)

    @property
    def batch(self) -> int:
        """How many frames are swapped at once: as many as the swapper gains from."""
        return self.swapper.batch

    def choose(self, vectors: FloatArray, taken: frozenset[int]) -> Sequence[int]:
        """Who each track is: numbers of `people`, -1 for nobody. vectors: (T, D) raw. taken: who is found already."""
        if not self.people:
            return [0] * len(vectors)
        alike = [[likeness(self.recogniser, vector, person)[1] for person in self.people] for vector in vectors]
        chances = np.array(alike, np.float64)
        chances[:, sorted(taken)] = 0.0
        return best_people(chances, self.min_probability)

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        """The pictures (H, W, 3) with everybody swapped; nearer (larger) faces lie over farther ones."""
        batch = torch.stack([frame.picture for frame in frames]) if len(frames) > 1 else frames[0].picture[None]
        people: list[tuple[int, Face, Identity]] = []
        for row, frame in enumerate(frames):
            ordered = sorted(frame.people, key=lambda found: (found[0].area_px, found[0].track))
            people += [(row, face, self.identities[who]) for face, who in ordered]
        crops = swap_faces(self.swapper, batch, people, self.options)
        swapped = stitched_pictures(batch, crops, self.blend)
        return [self._calm.calm(frame, picture) for frame, picture in zip(frames, swapped, strict=True)]

    def state(self) -> Memory:
        """How the faces were changed last, so that the next change is as steady."""
        return self._calm.state()

    def restore(self, state: Memory) -> None:
        """Go on where `state` was taken."""
        self._calm.restore(state)
