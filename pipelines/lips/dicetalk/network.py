"""The denoising network's files: its weights by ComfyUI's names, the readers of its attentions, the guide of the face.

The network itself is ComfyUI's own Stable Video Diffusion; `unet.pth` changes its weights and brings the readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from ...backbones.unet import SD15
from ...errors import WrongWeightsError
from ...files.checkpoint import listing, load_into, read_checkpoint
from .built import built
from .sites import TokenReaders, readers_of
from .svd_names import comfy_name, reader_place

#: (number of the site, whether it looks along time) → its readers.
Readers = Mapping[tuple[int, bool], TokenReaders]
#: How much the box of a face is enlarged where the network may draw.
FACE_AREA = 1.1


@dataclass(frozen=True, eq=False)
class TalkNetwork:
    """What `unet.pth` holds. weights: by their names in ComfyUI's network. readers: of every attention to the picture,
    in the part of a block that looks at one frame and in the part that looks along time."""

    weights: Mapping[str, Tensor]
    readers: Readers


def split_network(state: Mapping[str, Tensor], what: str) -> TalkNetwork:
    """The parts of a file's tensors. what: the file. Raises WrongWeightsError for keys that are missing or unknown."""
    weights: dict[str, Tensor] = {}
    processors: dict[tuple[int, bool], dict[str, Tensor]] = {}
    unknown: list[str] = []
    for key, tensor in state.items():
        place, name = reader_place(key), comfy_name(key)
        if place is not None:
            processors.setdefault(place[:2], {})[place[2]] = tensor
        elif name is not None and ".processor." not in key:
            weights[name] = tensor
        else:
            unknown.append(key)
    wanted = {(site.number, along_time) for site in SD15.sites for along_time in (False, True)}
    if unknown or processors.keys() != wanted:
        raise WrongWeightsError(
            f"{what} is not DICE-Talk's network: it has readers in {len(processors.keys() & wanted)} of {len(wanted)} "
            "attentions" + (f", and {listing(unknown)} that belong to nothing" if unknown else "") + ". Download it "
            "again from EEEELY/DICE-Talk."
        )
    readers: dict[tuple[int, bool], TokenReaders] = {}
    for place, tensors in sorted(processors.items()):
        try:
            readers[place] = readers_of(tensors)
        except KeyError as error:
            raise WrongWeightsError(f"{what}: attention {place[0]} lacks {error}. Download it again.") from error
        load_into(readers[place], tensors, f"{what}, attention {place[0]}", "from EEEELY/DICE-Talk")
    return TalkNetwork(weights, readers)


def read_network(path: Path) -> TalkNetwork:
    """`unet.pth`. Raises as `split_network` and `read_checkpoint`."""
    return split_network(read_checkpoint(path).tensors, path.name)


class FaceGuide(nn.Module):
    """Where the face is (B, 3, H, W), 1 inside → what is added to the network's first features (B, C, H / 8, W / 8)."""

    def __init__(self, widths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for narrow, wide in zip(widths, widths[1:], strict=False):
            self.blocks.append(nn.Conv2d(narrow, narrow, 3, padding=1))
            self.blocks.append(nn.Conv2d(narrow, wide, 3, padding=1, stride=2))
        self.conv_out = nn.Conv2d(widths[-1], outputs, 3, padding=1)

    def forward(self, faces: Tensor) -> Tensor:
        x = F.silu(self.conv_in(faces))
        for block in self.blocks:
            x = F.silu(block(x))
        return self.conv_out(x)


def build_face_guide(state: Mapping[str, Tensor], what: str) -> FaceGuide:
    """The guide of a file's tensors. Raises WrongWeightsError for tensors that do not fit."""

    def empty() -> FaceGuide:
        count = sum(key.startswith("blocks.") and key.endswith(".weight") for key in state)
        wider = tuple(state[f"blocks.{number}.weight"].shape[0] for number in range(1, count, 2))
        return FaceGuide((state["conv_in.weight"].shape[0], *wider), state["conv_out.weight"].shape[0])

    return built(empty, state, what, "pose guider")


def read_face_guide(path: Path) -> FaceGuide:
    """`pose_guider.pth`. Raises as `build_face_guide` and `read_checkpoint`."""
    return build_face_guide(read_checkpoint(path).tensors, path.name)
