"""Reads files of weights as they are published: `.safetensors`, and torch files with weights only.

Whatever the container (nested dicts, the prefixes of a wrapped module, a `state_dict` level), the result is one flat
table of dotted names.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import UnsafeFileError, WrongWeightsError

TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
#: What torch's reader of weights raises, besides UnpicklingError, when the instructions in a file make no sense.
_BROKEN_TORCH_FILE = (
    RuntimeError,
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    OSError,
    struct.error,
)
#: Levels that training code puts around the tensors and that carry no meaning.
WRAPPERS = ("state_dict.", "module.")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The tensors of one file by dotted name. name: the file's name, for what is told apart by it."""

    name: str
    tensors: Mapping[str, Tensor]

    def __contains__(self, key: str) -> bool:
        return key in self.tensors

    def has(self, prefix: str) -> bool:
        return any(key.startswith(prefix) for key in self.tensors)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below `prefix`, which ends in a dot, without it."""
        return {key[len(prefix) :]: tensor for key, tensor in self.tensors.items() if key.startswith(prefix)}


def listing(keys: Iterable[str], most: int = 6) -> str:
    """'12 key(s): a, b, c, ...' for messages."""
    names = sorted(keys)
    return f"{len(names)} key(s): {', '.join(names[:most])}{', ...' if len(names) > most else ''}"


def load_into(
    module: nn.Module, state: Mapping[str, Tensor], what: str, way_out: str = "or choose another family"
) -> None:
    """Give a module its tensors, without a copy; every key must fit. Raises WrongWeightsError with those that do not.

    The module may have been built on the meta device. what: file and part, for the message. way_out: what to do then.
    """
    own = module.state_dict()
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems = [
        f"{label} {listing(keys)}"
        for label, keys in (("missing", own.keys() - state.keys()), ("unknown", state.keys() - own.keys()))
        if keys
    ] + ([f"wrong shape: {'; '.join(shapes[:6])}"] if shapes else [])
    if problems:
        raise WrongWeightsError(f"{what}: {'; '.join(problems)}. Download the file again {way_out}.")
    module.load_state_dict(state, assign=True)
    module.eval().requires_grad_(False)


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors of a `.safetensors` or torch file.

    Raises WrongWeightsError for a truncated or foreign file, UnsafeFileError for a pickle with more than weights.
    """
    if path.suffix == ".safetensors":
        tensors = _read_safetensors(path)
    elif path.suffix in TORCH_SUFFIXES:
        tensors = dict(_flatten(_read_torch(path)))
    else:
        raise WrongWeightsError(
            f"{path.name}: weights are read from .safetensors or {', '.join(TORCH_SUFFIXES)}, not {path.suffix!r}."
        )
    if not tensors:
        raise WrongWeightsError(f"{path.name} holds no tensors.")
    return Checkpoint(path.name, unwrap(tensors))


def unwrap(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The table without levels that every key has and that mean nothing, and without `module.` below a level."""
    table = dict(tensors)
    while True:
        wrapper = next((w for w in WRAPPERS if all(key.startswith(w) for key in table)), None)
        if wrapper is None:
            return {key.replace(".module.", "."): tensor for key, tensor in table.items()}
        table = {key[len(wrapper) :]: tensor for key, tensor in table.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WrongWeightsError(
            f"{path.name} ({path.stat().st_size} bytes) is no complete safetensors file ({error}): download it again."
        ) from error


def _read_torch(path: Path) -> Any:
    """The only place where a torch file is opened, and it can run no code."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except UnpicklingError as error:
        raise UnsafeFileError(
            f"{path.name} holds more than weights and is not opened, because that could run code ({error}). "
            "Get the file from its publisher again, or a .safetensors of it."
        ) from error
    except _BROKEN_TORCH_FILE as error:
        raise WrongWeightsError(
            f"{path.name} ({path.stat().st_size} bytes) is no complete torch file ({error}): download it again."
        ) from error


def _flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, child in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _flatten(child, f"{prefix}.{key}" if prefix else str(key))  # pyright: ignore
