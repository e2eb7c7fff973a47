"""UnAvgLip: MuseTalk whose lips stay a person's own, by identity tokens in every attention to the sound.

Its weights were not published; files in the layout of its training code are read. A face vector, or several as a
sequence, becomes four tokens; every attention has a low-rank term, and those to the sound also read the tokens.
Source: pigmeetsomebody/UnAvgLip, train_codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..adapters.faceid import RECOGNISER
from ..adapters.perceiver import Resampler, build_resampler
from ..errors import WrongWeightsError
from ..files.checkpoint import listing, load_into, read_checkpoint
from ..identity.identity import Identity
from .attention_change import AttentionChange, Change, change_of
from .unet import UNet

#: Where the parts are in the file.
PERCEIVER, LAYERS = "image_proj_model.", "adapter_modules."
#: How many attentions the UNet of Stable Diffusion 1.5 has: self-attentions even, attentions to the sound odd.
ATTENTIONS = 32
#: The most pictures of a person that the adapter was trained with.
MAX_FACES = 10


class UnAvgLip(nn.Module):
    """The perceiver of face vectors and the change of each attention, by number."""

    def __init__(self, perceiver: Resampler, changes: Mapping[int, AttentionChange]) -> None:
        super().__init__()
        self.image_proj_model = perceiver
        self.adapter_modules = nn.ModuleDict({str(number): change for number, change in changes.items()})

    def forward(self, faces: Tensor) -> Tensor:
        """Unit vectors (B, n, 512) of n pictures of a person → identity tokens (B, 4, width)."""
        return self.image_proj_model(faces)

    def changes(self, tokens: Tensor | None, scale: float) -> dict[int, Change]:
        """What each attention does differently for these tokens. scale: 0 leaves only the low-rank terms, as None
        for the tokens does."""
        found: dict[int, Change] = {}
        for number, change in self.adapter_modules.items():
            if isinstance(change, AttentionChange):
                found[int(number)] = change.bound(tokens, scale)
        return found


def build_unavglip(state: Mapping[str, Tensor], what: str, head_width: int = 64) -> UnAvgLip:
    """The adapter of a file's tensors.

    what: the file, for messages. Raises WrongWeightsError when keys are missing, left over or of another shape.
    """
    perceiver = {key.removeprefix(PERCEIVER): value for key, value in state.items() if key.startswith(PERCEIVER)}
    layers: dict[int, dict[str, Tensor]] = {}
    left = [key for key in state if not key.startswith((PERCEIVER, LAYERS))]
    for key in (key for key in state if key.startswith(LAYERS)):
        number, _, name = key.removeprefix(LAYERS).partition(".")
        layers.setdefault(int(number) if number.isdigit() else -1, {})[name] = state[key]
    if left or not perceiver or sorted(layers) != list(range(ATTENTIONS)):
        raise WrongWeightsError(
            f"{what} is no UnAvgLip adapter: it has {len(perceiver)} tensors of the perceiver, "
            f"{len(layers)} attentions of {ATTENTIONS}"
            + (f", and {listing(left)} that belong to nothing" if left else "")
            + ". The adapter's authors have not published theirs; a file from their training code is needed."
        )
    try:
        with torch.device("meta"):
            adapter = UnAvgLip(build_resampler(perceiver, head_width), {n: change_of(layers[n]) for n in layers})
    except KeyError as error:
        raise WrongWeightsError(f"{what} is no UnAvgLip adapter: it lacks {error}.") from error
    load_into(adapter, state, what, "or take another adapter")
    return adapter


def check_fits(adapter: UnAvgLip, unet: UNet, what: str) -> None:
    """Raise WrongWeightsError unless every attention of a network has the sizes that its change was made for."""
    for attention in unet.attentions:
        change = adapter.adapter_modules[str(attention.number)]
        wanted = (attention.to_q.in_features, attention.to_k.in_features)
        if isinstance(change, AttentionChange) and (change.width, change.context) != wanted:
            raise WrongWeightsError(
                f"{what} changes attention {attention.number} with {change.width} and {change.context} channels; "
                f"MuseTalk's has {wanted[0]} and {wanted[1]}: the adapter was made for another network."
            )


def read_unavglip(path: Path) -> UnAvgLip:
    """The adapter of a file. Raises as `build_unavglip` and `read_checkpoint`."""
    return build_unavglip(read_checkpoint(path).tensors, path.name)


def face_vectors(identity: Identity) -> Tensor:
    """(1, n, 512): unit vectors of a person's references as a sequence, not averaged; of many the 10 heaviest.

    Raises EncoderMismatchError when the identity has no vectors of the recogniser.
    """
    raw = torch.from_numpy(identity.references(RECOGNISER).raw)
    chosen = torch.from_numpy(identity.weights).sort(descending=True, stable=True).indices[:MAX_FACES].sort().values
    return functional.normalize(raw[chosen], dim=1)[None]
