"""Networks of the sizes that a published file has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from ...errors import WrongWeightsError
from ...files.checkpoint import load_into

Network = TypeVar("Network", bound=nn.Module)


def built(empty: Callable[[], Network], state: Mapping[str, Tensor], what: str, part: str) -> Network:
    """A network with a file's tensors.

    empty: makes it, of the sizes it finds in `state`. what: the file. part: the name of what it should hold. Raises
    WrongWeightsError for tensors that do not fit.
    """
    try:
        with torch.device("meta"):
            network = empty()
    except KeyError as error:
        raise WrongWeightsError(f"{what} is not DICE-Talk's {part}: it lacks {error}.") from error
    load_into(network, state, what, "from EEEELY/DICE-Talk")
    return network
