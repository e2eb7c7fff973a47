"""What all swappers that are one ONNX network share: crop, run all faces together, bring them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray
from ..geometry.templates import crop_from_image
from ..geometry.transforms import transform_mesh
from ..geometry.warp import crop_pictures
from ..identity.identity import Identity, encode_references
from ..identity.insightface_backend import ArcFaceRecogniser
from ..onnx_network import Interface, OnnxNetwork, Sizes
from ..registry import Registry
from ..stitch.crop import box_masks
from ..stitch.regions import region_mask
from ..stitch.resample import on_picture
from .options import SwapOptions
from .swapped import SwappedFace

#: Sub-images that go through a network in one call, where it takes any number.
_BATCH = 16

#: Frames of a video whose faces go through a network together: each is held in memory until all are done.
_FRAMES = 4

#: The largest crop that a boost makes, in px.
_LARGEST_CROP = 1024

#: Grow and feather of the mask, as parts of the crop's side.
_GROW, _FEATHER = 0.015, 0.06

#: Parts that the user can keep -> parts of `stitch.regions`.
_KEPT = {
    "eyes": ("eye_area",),
    "brows": ("brows",),
    "nose": ("nose",),
    "mouth": ("lips", "mouth_interior"),
    "jaw": ("jaw",),
    "forehead": ("forehead",),
    "skin": ("skin",),
}

#: What most networks are normalised with, and the recogniser whose vectors most of them take, with its weights.
HALF = (0.5, 0.5, 0.5)
ARCFACE = "arcface_w600k_r50"
_ENCODERS = {ARCFACE: "insightface_w600k_r50"}
#: Numbers of a vector of that recogniser.
ARCFACE_WIDTH = 512

#: The source as the network takes it: (1, D) of an embedding, or (1, 3, h, w) of a picture.
SourceForm = Callable[[Identity], FloatArray]


@dataclass(frozen=True)
class OnnxSwapper:
    """An entry of `SWAPPERS` that is one ONNX network with the inputs "target" and "source".

    weights_id: of the network. template, size: of the crop it takes. mean, std: what its input is normalised with,
    per channel of RGB in [0, 1]. signed: whether its output is normalised the same way. source: makes the source's
    form once the entry's files are loaded. source_sizes: of that form behind its first axis. also: further weights ids
    it needs, as a converter's. encoder: the recogniser whose vectors the source's form is made of, "" for none;
    identities without them are encoded again.
    """

    name: str
    title: str
    licence: str
    weights_id: str
    template: str
    size: int
    source: Callable[[Registry], SourceForm]
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    signed: bool = False
    source_sizes: Sizes = (ARCFACE_WIDTH,)
    also: tuple[str, ...] = ()
    encoder: str = ""

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.weights_id, *self.also, *([_ENCODERS[self.encoder]] if self.encoder else []))

    @property
    def needs(self) -> str:
        if not self.encoder:
            return "It takes the identity's best reference picture, whichever face analysis made it."
        return (
            f"It takes vectors of {self.encoder} (face analysis buffalo_l); identities of another face analysis are "
            "encoded again from their stored pictures."
        )

    @property
    def interface(self) -> Interface:
        """What its network has to take and give."""
        pixels = (3, self.size, self.size)
        return Interface({"target": pixels, "source": self.source_sizes}, pixels)

    def load(self, registry: Registry) -> LoadedOnnxSwapper:
        """Raises MissingWeightsError, MissingPackageError, and WrongWeightsError where a file is not what it should be.

        An output that the file leaves open is looked at when it comes.
        """
        network = OnnxNetwork(registry, self.weights_id, self.interface)
        return LoadedOnnxSwapper(self, network, self.source(registry), registry)


class LoadedOnnxSwapper:
    """See `swappers.Swapper`. `SwapOptions.shape` does not apply: the network decides the shape."""

    def __init__(self, entry: OnnxSwapper, network: OnnxNetwork, source: SourceForm, registry: Registry) -> None:
        self.name = entry.name
        self._entry, self._network, self._source, self._registry = entry, network, source, registry
        self._forms: WeakKeyDictionary[Identity, FloatArray] = WeakKeyDictionary()
        self.batch = min(network.batch or _FRAMES, _FRAMES)

    def swap(
        self, images: Tensor, assignments: Sequence[tuple[int, Face, Identity]], options: SwapOptions
    ) -> list[SwappedFace]:
        """As the room's protocol says; all faces' sub-images go through the network in batches."""
        forms = {id(identity): self._form(identity) for _, _, identity in assignments}
        boosts = [options.boost or self.boost_for(face) for _, face, _ in assignments]
        crops = [
            self._crop(images, index, face, boost) for (index, face, _), boost in zip(assignments, boosts, strict=True)
        ]
        pieces = [split(crop, boost) for crop, boost in zip(crops, boosts, strict=True)]
        sources = [
            np.repeat(forms[id(identity)], len(part), 0)
            for (_, _, identity), part in zip(assignments, pieces, strict=True)
        ]
        if not pieces:
            return []
        done = self.run(torch.cat(pieces), np.concatenate(sources))
        parts = done.split([len(part) for part in pieces])
        return [
            self._back(images[index], face, join(part, boost), boost, options)
            for (index, face, _), part, boost in zip(assignments, parts, boosts, strict=True)
        ]

    def about(self, identities: Sequence[Identity]) -> list[str]:
        """Which identities are encoded again because they lack the vectors that the network takes."""
        encoder = self._entry.encoder
        return [
            f"{identity.name}: encoded again with {encoder} from {len(identity)} stored reference picture(s)."
            for identity in identities
            if encoder and encoder not in identity.encoders
        ]

    def _form(self, identity: Identity) -> FloatArray:
        """The source's form, made once for as long as the identity lives."""
        form = self._forms.get(identity)
        if form is None:
            encoder = self._entry.encoder
            known = identity
            if encoder and encoder not in identity.encoders:
                recogniser = ArcFaceRecogniser(self._registry, encoder, _ENCODERS[encoder])
                known = identity.with_vectors(encode_references(recogniser, identity.crops, identity.landmarks))
            form = self._forms[identity] = self._source(known)
        return form

    def boost_for(self, face: Face) -> int:
        """How many crop pixels per network pixel a face deserves: 1, 2, 4 ... so that none of its detail is lost."""
        matrix = crop_from_image(face, self._entry.template, self._entry.size)
        picture_px = 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        most = max(1, _LARGEST_CROP // self._entry.size)
        boost = 1
        while boost * 2 <= most and picture_px >= boost * 1.5:
            boost *= 2
        return boost

    def run(self, targets: Tensor, sources: FloatArray) -> Tensor:
        """Swapped crops (N, S, S, 3) in [0, 1] of crops (N, S, S, 3) and one source form each."""
        mean, std = torch.tensor(self._entry.mean), torch.tensor(self._entry.std)
        values = ((targets - mean) / std).permute(0, 3, 1, 2).contiguous().numpy()
        found = self._network.run_in_parts({"target": values, "source": sources}, _BATCH)
        result = torch.from_numpy(found).permute(0, 2, 3, 1)
        if not bool(torch.isfinite(result).all()):
            raise InputError(f"{self._entry.name} gave pixels that are not finite: are there NaN in the picture?")
        return (result * std + mean if self._entry.signed else result).clamp(0, 1)

    def _crop(self, images: Tensor, index: int, face: Face, boost: int) -> Tensor:
        side = self._entry.size * boost
        matrix = crop_from_image(face, self._entry.template, side)
        return crop_pictures(images[..., :3], (index,), matrix[None], (side, side), padding="border")[0].clamp(0, 1)

    def _back(self, picture: Tensor, face: Face, crop: Tensor, boost: int, options: SwapOptions) -> SwappedFace:
        """The swapped crop on the picture's own pixels."""
        side = self._entry.size * boost
        matrix = crop_from_image(face, self._entry.template, side)
        mask = box_masks(picture[None], (0,), matrix[None], side, _FEATHER)[0]
        if face.landmarks is not None:
            points = transform_mesh(matrix, face.landmarks)
            mask = mask * region_mask(points, (side, side), ("face",), _GROW * side, _FEATHER * side)
            kept = [part for region in _KEPT if region not in options.parts() for part in _KEPT[region]]
            if kept:
                mask = mask * (1 - region_mask(points, (side, side), tuple(kept), 0.0, _FEATHER * side / 2))
        planes = torch.cat([crop, mask[..., None]], -1).permute(2, 0, 1)
        found = on_picture(planes, matrix, picture.shape[0], picture.shape[1])
        if found is None:
            return SwappedFace(picture.new_zeros(3, 1, 1), picture.new_zeros(1, 1), 0, 0)
        region, placed = found
        return SwappedFace(placed[:3], placed[3] * options.strength, region[0], region[1])


def split(crop: Tensor, boost: int) -> Tensor:
    """(boost², S, S, 3): every boost-th pixel of (boost S, boost S, 3), starting at each of the first ones in turn."""
    side = crop.shape[0] // boost
    parts = crop.reshape(side, boost, side, boost, 3).permute(1, 3, 0, 2, 4)
    return parts.reshape(boost * boost, side, side, 3)


def join(parts: Tensor, boost: int) -> Tensor:
    """The inverse of `split`."""
    side = parts.shape[1]
    whole = parts.reshape(boost, boost, side, side, 3).permute(2, 0, 3, 1, 4)
    return whole.reshape(side * boost, side * boost, 3)
