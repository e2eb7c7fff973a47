"""A network in an ONNX file: its inputs checked, and back in memory before every call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import MissingWeightsError, WrongWeightsError
from .face import as_float_array
from .registry import Registry


class OnnxNetwork:
    """A session of the registry that is brought back before every call."""

    def __init__(self, registry: Registry, weights_id: str) -> None:
        self._runtime = registry.runtime
        self._handle = registry.load_session(weights_id)
        self.path = path_of(registry, weights_id)

    def session(self, activation_bytes: int = 0) -> Any:
        """The live session, with room made for its activations."""
        self._runtime.ready(self._handle, activation_bytes)
        return self._handle.module

    def inputs(self) -> dict[str, list[Any]]:
        """Shape of every input by name; sizes that are free are names or None."""
        return {value.name: list(value.shape) for value in self.session().get_inputs()}

    def shape(self, name: str) -> list[Any]:
        """Shape of an input; raises WrongWeightsError, naming those there are, when there is none of that name."""
        inputs = self.inputs()
        if name not in inputs:
            raise WrongWeightsError(
                f"{self.path} has the inputs {', '.join(inputs)}; {name!r} is needed. It is another model under that "
                "name: fetch it anew."
            )
        return inputs[name]

    def run(self, values: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The first output, float32. Inputs are cast to what the network takes."""
        session = self.session(60 * sum(value.nbytes for value in values.values()))
        kinds = {value.name: value.type for value in session.get_inputs()}
        cast = {name: value.astype(_dtype(kinds[name])) for name, value in values.items()}
        return as_float_array(session.run(None, cast)[0])


def _dtype(kind: str) -> type[np.floating[Any]]:
    return np.float16 if "float16" in kind else np.float64 if "double" in kind else np.float32


def path_of(registry: Registry, weights_id: str) -> Path:
    """Where the file of a loaded id lies; raises MissingWeightsError when it was removed since."""
    path = registry.find(weights_id)
    if path is None:
        raise MissingWeightsError(f"The file of {weights_id} was removed while it was loaded.")
    return path
