"""Reads files of weights as they are published: `.safetensors`, and torch files with weights only.

Whatever the container (nested dicts, the prefixes of a wrapped module, a `state_dict` level), the result is one flat
table of dotted names.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import UnsafeFileError, WrongWeightsError
from .described_sizes import check_header, check_torch_file

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
#: What a torch file's tables may hold and how deep they may lie: the same table may be named in many places.
_MAX_ENTRIES, _MAX_LEVELS = 200_000, 32
#: A tensor may repeat few numbers over a large shape and takes the memory of all of them once it is used.
_MAX_REPEATED_BYTES = 2**31


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

    Raises WrongWeightsError for a truncated or foreign file, UnsafeFileError for a pickle with more than weights or a
    file that would take more memory than its size says.
    """
    if path.suffix == ".safetensors":
        tensors = _read_safetensors(path)
    elif path.suffix in TORCH_SUFFIXES:
        tensors = _flattened(path, _read_torch(path))
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
    check_header(path)
    try:
        return load_file(path)  # checks every size in the header against the file
    except SafetensorError as error:
        raise WrongWeightsError(
            f"{path.name} ({path.stat().st_size} bytes) is no complete safetensors file ({error}): download it again."
        ) from error


def _read_torch(path: Path) -> Any:
    """The only place where a torch file is opened, and it can run no code."""
    in_zip = check_torch_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=in_zip)
    except UnpicklingError as error:
        raise UnsafeFileError(
            f"{path.name} holds more than weights and is not opened, because that could run code ({error}). "
            "Get the file from its publisher again, or a .safetensors of it."
        ) from error
    except _BROKEN_TORCH_FILE as error:
        raise WrongWeightsError(
            f"{path.name} ({path.stat().st_size} bytes) is no complete torch file ({error}): download it again."
        ) from error


def _flattened(path: Path, content: Any) -> dict[str, Tensor]:
    """Every tensor by its dotted name, from tables in tables."""
    tensors: dict[str, Tensor] = {}
    waiting, seen, repeated = [("", content, 0)], 0, 0
    while waiting:
        name, value, depth = waiting.pop()
        seen += 1
        if seen > _MAX_ENTRIES or depth > _MAX_LEVELS:
            raise UnsafeFileError(
                f"{path.name} is refused: its tables name more than {_MAX_ENTRIES} things or lie more than "
                f"{_MAX_LEVELS} deep in each other. Get the file from its publisher again."
            )
        if isinstance(value, Tensor):
            tensors[name] = value
            repeated += _repeated_bytes(path, name, value)
            if repeated > _MAX_REPEATED_BYTES:
                raise UnsafeFileError(
                    f"{path.name} ({path.stat().st_size} bytes) is refused: up to {name[:80]!r} {tuple(value.shape)} "
                    f"its tensors repeat their numbers to {repeated} bytes more than it has, at most "
                    f"{_MAX_REPEATED_BYTES} are read. Get the file from its publisher again."
                )
        elif isinstance(value, Mapping):
            below = f"{name}." if name else ""
            items = list(cast("Mapping[Any, Any]", value).items())
            waiting += [(f"{below}{key}", child, depth + 1) for key, child in reversed(items)]
    return tensors


def _repeated_bytes(path: Path, name: str, tensor: Tensor) -> int:
    """By how much a tensor that repeats its numbers is larger than they are. Refuses one that has none in the file."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise UnsafeFileError(
            f"{path.name} is refused: its tensor {name[:80]!r} {tuple(tensor.shape)} is no plain table of numbers in "
            "the file. Get the file from its publisher again."
        )
    return max(0, tensor.numel() * tensor.element_size() - tensor.untyped_storage().nbytes())
