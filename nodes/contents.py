"""What the values on the wires hold: no container of the pack hides a person or a network that it brings along."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..pipelines.identity.identity import Identity
from ..pipelines.registry import Registry
from .comfy_runtime import ComfyHandle, ComfyRuntime

#: Classes of this pack, whatever the folder is called that it lies in.
_OURS = __name__.rpartition(".nodes.")[0] + "."
#: Nothing of ours is in these; a registry knows the models of everybody.
_LEAVES = (str, bytes, int, float, complex, torch.Tensor, np.ndarray, nn.Module, type, Registry, ComfyRuntime)


def held(value: Any) -> Iterator[Any]:
    """A value and everything in it, each once: fields of dataclasses and of the pack's own objects, items of lists,
    values of mappings, and what functions were made with.

    Identities and handles of models are not opened; keys of mappings are not looked at, because caches remember with
    them whom they have seen before.
    """
    seen: set[int] = set()
    stack = [value]
    while stack:
        one = stack.pop()
        if one is None or isinstance(one, _LEAVES) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if not isinstance(one, Identity | ComfyHandle):
            stack += reversed(list(_inside(one)))


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__self__]
    if isinstance(value, types.FunctionType):
        return [one for cell in value.__closure__ or () for one in _filling(cell)]
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value) if hasattr(value, field.name)]
    return list(getattr(value, "__dict__", {}).values()) if is_ours(value) else ()


def is_ours(value: Any) -> bool:
    """Whether a value is of a class of this pack."""
    return type(value).__module__.startswith(_OURS)


def _filling(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # a name that was deleted
        return []
