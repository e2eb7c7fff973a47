"""Which photo of a person is put onto a face."""

from __future__ import annotations

import numpy as np

from ..face import FloatArray
from ..geometry.pose import head_rotation
from ..identity.identity import Identity

#: A reference this much lighter than the heaviest is too blurred, small or doubtful to win by its pose.
_LEAST_WEIGHT = 0.5


def nearest_reference(identity: Identity, target: FloatArray) -> int:
    """The reference whose head is turned most like the target's, so that little of the face has to be invented.

    target: (478, 3) px. Returns an index into the identity's references: concretely the smallest angle between the
    two head rotations, among those that weigh at least half as much as the heaviest.
    """
    if len(identity.weights) == 1:
        return 0
    wanted = head_rotation(target)
    good = np.flatnonzero(identity.weights >= _LEAST_WEIGHT * identity.weights[identity.best])
    # the trace of a rotation falls as its angle grows
    alike = [np.trace(head_rotation(identity.landmarks[index]) @ wanted.T) for index in good]
    return int(good[int(np.argmax(alike))])
