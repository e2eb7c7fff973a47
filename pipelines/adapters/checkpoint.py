"""What an adapter's loader does with a file of weights: it takes every tensor, or says which belong to nothing."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from ..errors import WrongWeightsError
from ..files.checkpoint import TORCH_SUFFIXES, Checkpoint, listing, load_into, read_checkpoint, unwrap

__all__ = ["TORCH_SUFFIXES", "Checkpoint", "Claims", "listing", "load_into", "read_checkpoint", "unwrap"]


class Claims:
    """Hands out the tensors of a checkpoint and knows which nobody took."""

    def __init__(self, checkpoint: Checkpoint, family: str) -> None:
        self.checkpoint, self.family = checkpoint, family
        self._left = dict(checkpoint.tensors)

    def take(self, prefix: str) -> dict[str, Tensor]:
        """All tensors below `prefix`, without it."""
        taken = {key: self._left.pop(key) for key in list(self._left) if key.startswith(prefix)}
        if not taken:
            raise WrongWeightsError(
                f"{self.checkpoint.name} was read as {self.family} but has no key that starts with {prefix!r}: "
                "the file is incomplete or of another family; download it again or choose the family yourself."
            )
        return {key[len(prefix) :]: tensor for key, tensor in taken.items()}

    def drop(self, keys: Iterable[str]) -> None:
        """Take tensors that are known and not needed."""
        for key in keys:
            self._left.pop(key, None)

    def finish(self) -> None:
        """Raise WrongWeightsError when a tensor was not taken."""
        if self._left:
            raise WrongWeightsError(
                f"{self.checkpoint.name} was read as {self.family} but {listing(self._left)} belong to nothing there: "
                "the file is of another family or version; choose the family yourself, or report the file."
            )
