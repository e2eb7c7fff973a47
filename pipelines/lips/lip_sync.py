"""What a neural lip backend is for whoever dubs a video with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..audio.speech import Speech
from ..face import TrackedFrame
from ..identity.identity import Identity

#: What the mouth does when the speech is over before the video: it hears silence, or it stays as it was filmed.
AfterEnd = Literal["silence", "as filmed"]
AFTER_ENDS: tuple[AfterEnd, ...] = get_args(AfterEnd)


class LipWork(Protocol):
    """The dubbing of one video with one speech: a work of `video.face_frames.FaceFrames`.

    It draws the mouth of everybody in `TrackedFrame.people`, at each frame's own time, and nothing above it.
    """

    @property
    def batch(self) -> int: ...

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]: ...

    def state(self) -> dict[str, NDArray[np.generic]]: ...

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None: ...

    @property
    def text(self) -> str:
        """What was done, with numbers."""
        ...


class LipSync(Protocol):
    """A loaded backend."""

    @property
    def name(self) -> str: ...

    @property
    def text(self) -> str:
        """What was loaded, with licence, for a report."""
        ...

    @property
    def settings(self) -> Sequence[Any]:
        """All of its choices and files that a result depends on, as JSON can hold it."""
        ...

    def dub(self, speech: Speech, identity: Identity | None = None, after_end: AfterEnd = "silence") -> LipWork:
        """The work that dubs with a speech, which begins with the first frame.

        identity: of the person who is dubbed, for backends that keep a person's own lips; others do not read it.
        Raises EncoderMismatchError when the backend needs a vector that the identity has not, InputError when it
        cannot do without an identity.
        """
        ...
