"""MuseTalk: the mouth of a filmed face, drawn anew for what is said, in one pass of a denoising network.

The network sees the face with its lower half black, the whole face as a reference, and 200 ms of sound around the
frame. Source: MuseTalk (Zhang et al. 2024), musetalk/models and scripts/inference.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..audio.speech import Speech
from ..errors import InputError, WrongWeightsError
from ..files.checkpoint import read_checkpoint
from ..identity.identity import Identity
from ..identity.parsing import FaceParser
from ..registry import Handle, Registry, Runtime
from ..weights import content_hash
from .attention_change import Change
from .coder import LATENT_CHANNELS, LATENT_SCALE, LatentCoder, coder_print, decoded, encoded
from .files import WHISPER_FILES, computing_dtype, load_whisper
from .hearing import Hearing, sound_tokens
from .lip_sync import AFTER_ENDS, AfterEnd
from .mouth_crop import CropRule, without_lower_half
from .tracked import TrackedLips
from .unavglip import UnAvgLip, check_fits, face_vectors, read_unavglip
from .unet import UNet, build_unet

#: Memory of one frame inside the network, for the memory manager.
ACTIVATION_BYTES = 80_000_000
INPUTS, CONTEXT = 2 * LATENT_CHANNELS, 384


@dataclass(frozen=True)
class Version:
    """A published version. weights_id: of its UNet. rule: how it crops and masks."""

    name: str
    weights_id: str
    rule: CropRule


#: Best first: "auto" takes the first whose file is there.
VERSIONS = (
    Version("1.5", "musetalk_v15_unet", CropRule(margin_px=10, jaw=True)),
    Version("1.0", "musetalk_v1_unet", CropRule(margin_px=0, jaw=False)),
)
AUTO = "auto"


@dataclass(frozen=True)
class MuseTalkOptions:
    """shift_px: moves the line between what is kept and what is drawn down, which opens the mouth more; up when
    negative. batch: frames drawn at once. half_precision: 16 bit on a graphics card. identity_scale: how much of a
    person's own lips, with an adapter."""

    shift_px: float = 0.0
    batch: int = 8
    half_precision: bool = True
    identity_scale: float = 1.0


@dataclass(frozen=True, eq=False)
class MuseTalk:
    """MuseTalk with its files; a `LipSync`.

    files: sha256 of what a result depends on, the VAE's by what it does. parser: sees what lies in front of the mouth;
    None for landmarks alone. adapter: a shared `UnAvgLip`, or None.
    """

    version: Version
    options: MuseTalkOptions
    unet: Handle
    whisper: Handle
    coder: LatentCoder
    runtime: Runtime
    files: tuple[str, ...]
    licence: str
    parser: FaceParser | None = None
    adapter: Handle | None = None

    @property
    def name(self) -> str:
        return f"MuseTalk {self.version.name}" + (" with UnAvgLip" if self.adapter is not None else "")

    @property
    def bits(self) -> int:
        """Of the numbers it computes with, 16 or 32."""
        return 16 if computing_dtype_of(self.unet) == torch.float16 else 32

    @property
    def text(self) -> str:
        """What was loaded and how it works here."""
        masks = "the landmarks" if self.parser is None else f"the face parser {self.parser.name}"
        lines = [
            f"{self.name}, {self.bits} bit, {self.options.batch} frame(s) at once; masks from {masks}.",
            f"Licence {self.licence}.",
        ]
        if self.adapter is not None:
            lines.append(f"UnAvgLip keeps the lips of the identity at {self.options.identity_scale:g}.")
        return "\n".join(lines)

    @property
    def settings(self) -> Sequence[Any]:
        options = self.options
        parser = None if self.parser is None else self.parser.name
        return [self.name, self.bits, options.shift_px, options.identity_scale, parser, *self.files]

    def dub(self, speech: Speech, identity: Identity | None = None, after_end: AfterEnd = "silence") -> TrackedLips:
        """Raises InputError when an adapter is loaded and nobody says whose lips they are."""
        if after_end not in AFTER_ENDS:
            raise InputError(f"after_end is {after_end!r}, it must be one of {', '.join(AFTER_ENDS)}.")
        hearing = Hearing(speech, self.whisper, self.runtime)
        mouths = MouthDrawer(self, hearing, self._faces(identity))
        return TrackedLips(
            self.name, mouths, self.version.rule, self.options.shift_px, speech.duration_s, after_end, self.parser,
            self.options.batch,
        )  # fmt: skip

    def _faces(self, identity: Identity | None) -> Tensor | None:
        if self.adapter is None or not self.options.identity_scale:
            return None
        if identity is None:
            raise InputError(
                "UnAvgLip keeps a person's own lips and needs to know whose: connect the person's identity, set "
                "identity_scale to 0, or load MuseTalk without an adapter."
            )
        return face_vectors(identity)


@dataclass(frozen=True, eq=False)
class MouthDrawer:
    """Draws mouths for one speech. faces: (1, n, 512) of whom an adapter reads, or None."""

    backend: MuseTalk
    hearing: Hearing
    faces: Tensor | None

    def draw(self, crops: Tensor, times_s: Sequence[float]) -> Tensor:
        """Crops (N, 256, 256, 3) in [0, 1], RGB, and when each shows → the same with the mouth of that time."""
        coder = self.backend.coder
        masked, whole = (encoded(coder, pixels) for pixels in (without_lower_half(crops), crops))
        tokens = sound_tokens(self.hearing.around(times_s))
        predicted = self._predict(torch.cat([masked, whole], 1) * LATENT_SCALE, tokens)
        return decoded(coder, predicted / LATENT_SCALE)

    def _predict(self, latents: Tensor, tokens: Tensor) -> Tensor:
        """(N, 8, 32, 32) and (N, 50, 384) → latents (N, 4, 32, 32) float32 on the CPU."""
        handle, adapter = self.backend.unet, self.backend.adapter
        beside = () if adapter is None else (adapter,)
        with torch.no_grad():
            self.backend.runtime.ready(handle, ACTIVATION_BYTES * len(latents), beside)
            changes = {} if adapter is None else self._changes(adapter)
            dtype = computing_dtype_of(handle)
            latents, tokens = (x.to(handle.device, dtype) for x in (latents, tokens))
            return handle.module(latents, tokens, changes).float().cpu()

    def _changes(self, adapter: Handle) -> Mapping[int, Change]:
        """What the adapter does to each attention, for its person."""
        network: UnAvgLip = adapter.module
        like = next(network.parameters())
        tokens = None if self.faces is None else network(self.faces.to(like))
        return network.changes(tokens, self.backend.options.identity_scale)


def computing_dtype_of(handle: Handle) -> torch.dtype:
    """The dtype of a loaded network's weights."""
    return next(handle.module.parameters()).dtype


def version_names() -> tuple[str, ...]:
    """What `load_musetalk` takes."""
    return (AUTO, *(version.name for version in VERSIONS))


def chosen_version(registry: Registry, choice: str = AUTO) -> Version:
    """A version by name, or the best one whose file is there, or the best of all where none is.

    Raises InputError for another name.
    """
    if choice == AUTO:
        return next((v for v in VERSIONS if registry.find(v.weights_id) is not None), VERSIONS[0])
    for version in VERSIONS:
        if version.name == choice:
            return version
    raise InputError(f"There is no version {choice!r} of MuseTalk: choose one of {', '.join(version_names())}.")


def load_musetalk(
    registry: Registry,
    coder: LatentCoder,
    choice: str = AUTO,
    options: MuseTalkOptions | None = None,
    parser: FaceParser | None = None,
    adapter: Path | None = None,
) -> MuseTalk:
    """MuseTalk from the user's files.

    coder: the VAE. choice: of `version_names`. adapter: a file of UnAvgLip's layout, or None. Raises
    MissingWeightsError that lists all that is missing, WrongWeightsError for files of another model.
    """
    options = options or MuseTalkOptions()
    version = chosen_version(registry, choice)
    registry.require(f"MuseTalk {version.name}", [[version.weights_id], WHISPER_FILES])
    dtype = computing_dtype(registry, options.half_precision)
    unet = registry.load(version.weights_id, read_musetalk_unet, dtype)
    whisper, whisper_id = load_whisper(registry)
    paths = [registry.find(weights_id) for weights_id in (version.weights_id, whisper_id)]
    licence = registry.manifest.entry(version.weights_id).licence
    own = None
    if adapter is not None:
        own = registry.load_file(adapter, f"UnAvgLip {dtype}", lambda path: read_unavglip(path).to(dtype))
        check_fits(own.module, unet.module, adapter.name)
        paths.append(adapter)
    files = (coder_print(coder), *(content_hash(path) for path in paths if path is not None))
    return MuseTalk(version, options, unet, whisper, coder, registry.runtime, files, licence, parser, own)


def read_musetalk_unet(path: Path) -> UNet:
    """The UNet of a file. Raises WrongWeightsError for any other network, naming what differs."""
    state = read_checkpoint(path).tensors
    unet = build_unet(state, path.name)
    reads = (unet.sizes.inputs, unet.sizes.outputs, unet.sizes.context)
    if reads != (INPUTS, LATENT_CHANNELS, CONTEXT):
        raise WrongWeightsError(
            f"{path.name} is a UNet that reads {reads[0]} channels and tokens of {reads[2]} numbers and gives "
            f"{reads[1]} channels; MuseTalk's reads {INPUTS} and {CONTEXT} and gives {LATENT_CHANNELS}. Fetch "
            "MuseTalk's own file."
        )
    return unet
