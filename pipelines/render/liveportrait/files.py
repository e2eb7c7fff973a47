"""The safetensors files of LivePortrait, in the published key layout, into the networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import WrongWeightsError

Network = TypeVar("Network", bound=nn.Module)

#: What conversions write behind the names of the retargeting networks, and what training left in front of their layers.
_WRAPPERS = ("_module.", ".module.")
_COUNTER = "num_batches_tracked"


def read_network(network: Network, file: Path) -> Network:
    """Fill a network from a `.safetensors` file. Raises WrongWeightsError for any other file."""
    try:
        state = load_file(file)
    except (SafetensorError, OSError) as error:
        raise WrongWeightsError(
            f"{file} cannot be read as safetensors ({error}): use the safetensors conversion of LivePortrait's file."
        ) from error
    return fill(network, unwrapped(state), file.name)


def fill(network: Network, state: Mapping[str, Tensor], name: str) -> Network:
    """Put tensors in the published key layout into a network; it comes back ready to use.

    name: of the file, for messages. Raises WrongWeightsError that lists the keys when any is missing, left over or of
    another shape.
    """
    tensors = without_spectral_norm(state)
    own = {key: value for key, value in network.state_dict().items() if not key.endswith(_COUNTER)}
    given = {key: value for key, value in tensors.items() if not key.endswith(_COUNTER)}
    missing, extra = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    shapes = [key for key in sorted(own.keys() & given.keys()) if own[key].shape != given[key].shape]
    if missing or extra or shapes:
        raise WrongWeightsError(
            f"{name} does not hold the {type(network).__name__} of LivePortrait's human model: {len(missing)} key(s) "
            f"missing {missing[:3]}, {len(extra)} left over {extra[:3]}, {len(shapes)} of another shape {shapes[:3]}. "
            "Fetch the file again."
        )
    network.load_state_dict(given, strict=False)
    return network.eval().requires_grad_(False)


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without what conversions and training put into the keys of the retargeting networks."""
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        for wrapper in _WRAPPERS:
            key = key.replace(wrapper, ".")
        out[key] = value
    return out


def without_spectral_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with `weight_orig` divided by its spectral norm u W v, as it is used, and called `weight`."""
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        base, _, last = key.rpartition(".")
        if last in ("weight_u", "weight_v"):
            continue
        if last == "weight_orig":
            norm = state[f"{base}.weight_u"] @ value.flatten(1) @ state[f"{base}.weight_v"]
            out[f"{base}.weight"] = value / norm
        else:
            out[key] = value
    return out
