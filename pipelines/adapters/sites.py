"""From the numbered tensors of a checkpoint to the injection modules of a backbone's sites."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from ..backbones.unet import UNETS, Backbone
from ..errors import InputError, WrongWeightsError
from .checkpoint import listing, load_into
from .family import IdentityAdapter
from .injectors import KeyValueSite

SiteState = Mapping[str, Tensor]


def backbone_of(adapter: IdentityAdapter) -> Backbone:
    """The UNet that an adapter was made for; raises InputError for an adapter of a transformer."""
    for backbone in UNETS:
        if backbone.name == adapter.backbone:
            return backbone
    raise InputError(f"{adapter.file} is made for {adapter.backbone}, but the model is a UNet.")


def group_by_number(layers: Mapping[str, Tensor], what: str) -> dict[int, dict[str, Tensor]]:
    """`{number}.{name}` tensors as one table per number, ascending."""
    groups: dict[int, dict[str, Tensor]] = {}
    for key, tensor in layers.items():
        number, _, name = key.partition(".")
        if not number.isdigit() or not name:
            raise WrongWeightsError(f"{what}: the key {key!r} has no attention number in front.")
        groups.setdefault(int(number), {})[name] = tensor
    return dict(sorted(groups.items()))


def find_backbone(numbers: frozenset[int], what: str) -> Backbone:
    """The UNet whose cross-attentions have exactly these numbers; raises WrongWeightsError when there is none."""
    for backbone in UNETS:
        if backbone.numbers == numbers:
            return backbone
    known = ", ".join(f"{b.name} {len(b.sites)} (1 to {max(b.numbers)})" for b in UNETS)
    raise WrongWeightsError(
        f"{what} has weights for {len(numbers)} cross-attention(s) (numbers {min(numbers, default=0)} to "
        f"{max(numbers, default=0)}); known are {known}. The file is incomplete or made for another model."
    )


def build_sites(
    layers: Mapping[str, Tensor], make: Callable[[SiteState], nn.Module], what: str
) -> tuple[Backbone, dict[int, nn.Module]]:
    """One filled module per cross-attention and the backbone they belong to."""
    groups = group_by_number(layers, what)
    backbone = find_backbone(frozenset(groups), what)
    sites: dict[int, nn.Module] = {}
    for number, state in groups.items():
        try:
            site = make(state)
        except KeyError as error:
            raise WrongWeightsError(f"{what}: attention {number} lacks {error}; it has {listing(state)}.") from error
        load_into(site, state, f"{what}, attention {number}")
        sites[number] = site
    return backbone, sites


def key_value_maker(key: str, value: str) -> Callable[[SiteState], nn.Module]:
    """Makes `KeyValueSite` for tensors called `{key}.weight` and `{value}.weight`."""

    def make(state: SiteState) -> nn.Module:
        width, context = state[f"{key}.weight"].shape
        return KeyValueSite(width, context, key, value)

    return make
