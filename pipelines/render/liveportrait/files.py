"""LivePortrait's files, as published or converted, into its networks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from ...errors import WrongWeightsError
from ...files.checkpoint import read_checkpoint
from ...registry import Handle, Registry
from ...weights import content_hash
from .appearance import AppearanceExtractor
from .generator import Generator
from .motion import MotionExtractor
from .retargeting import Retargeting
from .warping import WarpingModule

_log = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)

#: What conversions write behind the names of the retargeting networks, and what training left in front of their layers.
_WRAPPERS = ("_module.", ".module.")
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class NetworkFile:
    """One of the files. published, converted: weights ids of the `.pth` and of its safetensors conversion; either will
    do, and the published one is taken where both are there, because its content is known. build: the empty network."""

    published: str
    converted: str
    build: Callable[[], nn.Module]

    def present(self, registry: Registry) -> str | None:
        """The id of the file that is there."""
        return registry.first_present((self.published, self.converted))


APPEARANCE = NetworkFile(
    "liveportrait_appearance_feature_extractor",
    "liveportrait_appearance_feature_extractor_safetensors",
    AppearanceExtractor,
)
MOTION = NetworkFile("liveportrait_motion_extractor", "liveportrait_motion_extractor_safetensors", MotionExtractor)
WARPING = NetworkFile("liveportrait_warping_module", "liveportrait_warping_module_safetensors", WarpingModule)
GENERATOR = NetworkFile("liveportrait_spade_generator", "liveportrait_spade_generator_safetensors", Generator)
RETARGETING = NetworkFile(
    "liveportrait_stitching_retargeting_module",
    "liveportrait_stitching_retargeting_module_safetensors",
    Retargeting,
)
NETWORK_FILES = (APPEARANCE, MOTION, WARPING, GENERATOR, RETARGETING)


def missing_files(registry: Registry) -> tuple[str, ...]:
    """The ids of the published files that are there in neither form."""
    return tuple(file.published for file in NETWORK_FILES if file.present(registry) is None)


def require_files(registry: Registry) -> None:
    """Raise MissingWeightsError that lists every missing file: folder, size, licence, and one command for all."""
    registry.require(
        "LivePortrait",
        [(file.published, file.converted) for file in NETWORK_FILES],
        "Their safetensors conversions are read too; LivePortrait's own face detector is not needed.",
    )


def load_network(registry: Registry, file: NetworkFile) -> tuple[Handle, str]:
    """The shared handle of one network, and the sha256 of its file. Raises as `Registry.load`."""
    weights_id = file.present(registry) or file.published
    handle = registry.load(weights_id, lambda path: read_network(file.build(), path))
    path = registry.find(weights_id)
    return handle, content_hash(path) if path else ""


def read_network(network: Network, file: Path) -> Network:
    """Fill a network from a `.pth` or `.safetensors` file.

    Raises WrongWeightsError for any other file, UnsafeFileError for a pickle with more than weights.
    """
    state = unwrapped(read_checkpoint(file).tensors)
    if isinstance(network, Retargeting):
        state = _only_networks(state, network, file.name)
    return fill(network, state, file.name)


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


def _only_networks(state: Mapping[str, Tensor], network: nn.Module, name: str) -> dict[str, Tensor]:
    """Without what the published file holds besides the three networks; its size says that there is more."""
    own = {child for child, _ in network.named_children()}
    kept = {key: value for key, value in state.items() if key.partition(".")[0] in own}
    others = sorted({key.partition(".")[0] for key in state.keys() - kept.keys()})
    if others:
        _log.info("Likeness: %s also holds %s, which is not used.", name, ", ".join(others[:6]))
    return kept
