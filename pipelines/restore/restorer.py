"""What a restorer is: crops of faces in, the same faces crisp out, from any of the files it was published in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from ..errors import MissingWeightsError
from ..registry import Registry
from ..weights import locate


class RestorerNetwork(Protocol):
    """A loaded network."""

    def restore(self, crops: Tensor, fidelity: float) -> Tensor:
        """Restored crops (N, S', S', 3) in [0, 1] of aligned crops (N, S, S, 3) in [0, 1].

        fidelity: 0 invents most, 1 stays closest to the picture; networks without that dial ignore it.
        """
        ...


@dataclass(frozen=True)
class PublishedFile:
    """One file that a restorer can run from. open: makes the network from the file of this id."""

    weights_id: str
    open: Callable[[Registry, str], RestorerNetwork]


@dataclass(frozen=True)
class LoadedRestorer:
    """A restorer ready to be used. name: tells it from every other one, its file included. has_fidelity: see entry."""

    name: str
    template: str
    size: int
    has_fidelity: bool
    network: RestorerNetwork


@dataclass(frozen=True)
class Restorer:
    """An entry of `RESTORERS`.

    template, size: of the crop it takes. files: it runs from any one of them, best first; none are needed when
    `embedded` is given. has_fidelity: whether it has a dial between inventing and staying close.
    """

    name: str
    title: str
    licence: str
    size: int
    files: tuple[PublishedFile, ...] = ()
    template: str = "ffhq_512"
    has_fidelity: bool = False
    embedded: RestorerNetwork | None = None

    def present(self, registry: Registry) -> list[tuple[PublishedFile, Path]]:
        """The files that are there, best first."""
        found = ((file, registry.find(file.weights_id)) for file in self.files)
        return [(file, path) for file, path in found if path is not None]

    def load(self, registry: Registry) -> LoadedRestorer:
        """From the best file that is present. Raises MissingWeightsError, WrongWeightsError, MissingPackageError."""
        if self.embedded is not None:
            return LoadedRestorer(self.name, self.template, self.size, self.has_fidelity, self.embedded)
        present = self.present(registry)
        if not present:
            raise MissingWeightsError(self._missing(registry))
        file = present[0][0]
        network = file.open(registry, file.weights_id)
        return LoadedRestorer(f"{self.name} {file.weights_id}", self.template, self.size, self.has_fidelity, network)

    def _missing(self, registry: Registry) -> str:
        texts: list[str] = []
        for file in self.files:
            try:
                locate(registry.manifest.entry(file.weights_id), registry.runtime)
            except MissingWeightsError as error:
                texts.append(str(error))
        return "\nOr: ".join([f"{self.name} needs one of {len(texts)} file(s). {texts[0]}", *texts[1:]])
