"""A network in an ONNX file: its inputs and output checked, and back in memory before every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import MissingWeightsError, WrongWeightsError
from .face import as_float_array
from .registry import Registry

#: What numbers a network may take and give.
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}

#: Sizes of a tensor behind its first axis, the batch.
Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Interface:
    """What a network has to take and give. inputs: the sizes of all of them by name; output: those of the first one."""

    inputs: Mapping[str, Sizes]
    output: Sizes


class OnnxNetwork:
    """A session of the registry that is brought back before every call.

    interface: what the network must have. Raises MissingWeightsError, MissingPackageError, and WrongWeightsError for a
    file that is no network or one of another interface, with both.
    """

    def __init__(self, registry: Registry, weights_id: str, interface: Interface | None = None) -> None:
        self._runtime = registry.runtime
        self._handle = registry.load_session(weights_id)
        self._weights_id, self._interface = weights_id, interface
        self.path = path_of(registry, weights_id)
        #: How many members every call takes; None where the file leaves it free.
        self.batch: int | None = None
        if interface is not None:
            self.batch = self._checked(interface)

    def session(self, activation_bytes: int = 0) -> Any:
        """The live session, with room made for its activations."""
        self._runtime.ready(self._handle, activation_bytes)
        return self._handle.module

    def inputs(self) -> dict[str, list[Any]]:
        """Shape of every input by name; sizes that are free are names or None."""
        return {value.name: list(value.shape) for value in self.session().get_inputs()}

    def _checked(self, needed: Interface) -> int | None:
        """The batch of a network that fits."""
        session = self.session()
        inputs, outputs = session.get_inputs(), session.get_outputs()[:1]
        fit = {value.name for value in inputs} == set(needed.inputs) and len(outputs) == 1
        fit = fit and all(_fits(value.shape, needed.inputs[value.name]) for value in inputs)
        # an output without any sizes says nothing of itself: `run` looks at what comes
        fit = fit and all(_fits(value.shape, needed.output) for value in outputs if value.shape)
        fit = fit and all(value.type in _DTYPES for value in (*inputs, *outputs))
        batches = {value.shape[0] for value in inputs if value.shape and _is_fixed(value.shape[0])}
        if not fit or len(batches) > 1:
            taken, given = (
                ", ".join(f"{value.name} {_text(value.shape)} of {value.type}" for value in values) or "nothing"
                for values in (inputs, outputs)
            )
            raise self._wrong(needed, f"takes {taken} and gives {given}")
        return batches.pop() if batches else None

    def _wrong(self, needed: Interface, found: str) -> WrongWeightsError:
        inputs = (f"{name} {_text(('batch', *sizes))}" for name, sizes in needed.inputs.items())
        return WrongWeightsError(
            f"{self.path} {found}; {self._weights_id} takes {', '.join(inputs)} and gives "
            f"{_text(('batch', *needed.output))}, all of floating point. It is another model under that name: move it "
            f"away and run `./likeness fetch {self._weights_id}`."
        )

    def run(self, values: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The first output, float32. Inputs are cast to what the network takes.

        Raises WrongWeightsError for an output that is not the interface's.
        """
        session = self.session(60 * sum(value.nbytes for value in values.values()))
        kinds = {value.name: value.type for value in session.get_inputs()}
        cast = {name: value.astype(_DTYPES.get(kinds[name], np.float32)) for name, value in values.items()}
        result = as_float_array(session.run(None, cast)[0])
        if self._interface is not None:
            count = len(next(iter(values.values())))
            if result.shape != (count, *self._interface.output):
                raise self._wrong(self._interface, f"gives {_text(result.shape)} for a batch of {count}")
        return result

    def run_in_parts(self, values: dict[str, NDArray[Any]], most: int) -> NDArray[np.float32]:
        """`run` for any number of members, at least one, in as few calls as the network allows.

        most: members of one call where the file leaves the batch free; where it is fixed the last call is filled up
        with copies of the last member. A cancel is noticed before every call.
        """
        size, count = self.batch or most, len(next(iter(values.values())))
        found: list[NDArray[np.float32]] = []
        for at in range(0, count, size):
            self._runtime.check_cancelled()
            part = {name: value[at : at + size] for name, value in values.items()}
            if self.batch is not None:
                part = {name: _filled(value, size) for name, value in part.items()}
            found.append(self.run(part)[: count - at])
        return np.concatenate(found)


def _filled(members: NDArray[Any], size: int) -> NDArray[Any]:
    return np.concatenate([members, np.repeat(members[-1:], size - len(members), 0)])


def _is_fixed(size: Any) -> bool:
    return isinstance(size, int) and size > 0


def _fits(shape: Sequence[Any], sizes: Sizes) -> bool:
    """Whether a shape in a file, free sizes included, may be a batch of tensors of these sizes."""
    return len(shape) == len(sizes) + 1 and all(
        got == need or not isinstance(got, int) for got, need in zip(shape[1:], sizes, strict=True)
    )


def _text(shape: Sequence[Any]) -> str:
    return f"({', '.join(str(size) for size in shape)})"


def path_of(registry: Registry, weights_id: str) -> Path:
    """Where the file of a loaded id lies; raises MissingWeightsError when it was removed since."""
    path = registry.find(weights_id)
    if path is None:
        raise MissingWeightsError(f"The file of {weights_id} was removed while it was loaded.")
    return path
