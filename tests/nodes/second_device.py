"""Main memory as a device of its own, which torch and ComfyUI take for an Ascend NPU.

Its tensors are not on the CPU: they are reached by copying, and no operation takes them together with the CPU's. What
is computed there are the CPU's own numbers. So what moves models between two devices can be tested without a GPU.
Plain networks run on it; operations that change the size of a tensor they are given do not.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

#: Contents of the device by storage, which parameters, their data and their copies share.
_contents: dict[int, torch.Tensor] = {}
_registered: list[torch.library.Library] = []


def is_there(tensor: Any) -> bool:
    return isinstance(tensor, torch.Tensor) and tensor.device.type == "npu"


def _inside(tensor: Any) -> Any:
    return _contents[tensor.untyped_storage()._cdata] if is_there(tensor) else tensor


def _put(content: Any) -> Any:
    if not isinstance(content, torch.Tensor):
        return content
    tensor = torch._C._acc.create_empty_tensor(list(content.shape), content.dtype)
    _contents[tensor.untyped_storage()._cdata] = content
    return tensor


def _compute(operation: Any, *arguments: Any, **named: Any) -> Any:
    tensors = [leaf for leaf in tree_leaves((arguments, named)) if isinstance(leaf, torch.Tensor)]
    if any(tensor.ndim and not is_there(tensor) for tensor in tensors):
        raise RuntimeError(f"{operation}: tensors on the CPU and on the second device are mixed")
    named = {name: torch.device("cpu") if name == "device" else value for name, value in named.items()}
    reach = _inside if operation._schema.is_mutable else lambda tensor: _plain(_inside(tensor))
    arguments, named = tree_map(reach, (arguments, named))
    return tree_map(lambda value: _put(_plain(value)), operation(*arguments, **named))


def _plain(content: Any) -> Any:
    """Tensors of the device say that they are contiguous; torch counts on it where it makes views."""
    return content.contiguous() if isinstance(content, torch.Tensor) else content


def _view(tensor: torch.Tensor, size: Any, stride: Any, offset: int | None = None) -> torch.Tensor:
    content = _plain(_inside(tensor))
    return _put(content.as_strided(size, stride, content.storage_offset() + (offset or 0)))


def _convolve(*arguments: Any) -> torch.Tensor:
    # the CPU sums in an order that depends on the layout, and a journey here makes every layout contiguous
    return _put(torch.convolution(*(_plain(_inside(each)) for each in arguments)))


def _pad(tensor: torch.Tensor, pad: Any, value: float = 0) -> torch.Tensor:
    return _put(torch.constant_pad_nd(_inside(tensor), pad, value))


def _copy(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    _inside(target).copy_(_inside(source))
    return target


class Memory:
    """What torch.npu says of the device: it is always full, so that ComfyUI makes room before it loads anything."""

    def mem_get_info(self, device: Any) -> tuple[int, int]:
        return 0, 4 * 2**30

    def memory_stats(self, device: Any) -> dict[str, int]:
        return {"reserved_bytes.all.current": 0, "active_bytes.all.current": 0}

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def get_device_name(self, device: Any) -> str:
        return "main memory as a second device"

    def is_available(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None: ...

    def synchronize(self, device: Any = None) -> None: ...

    def empty_cache(self) -> None: ...


def register() -> None:
    """Make torch know the device as "npu" for the rest of the process."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend("npu", Memory())
    fallback, particular = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    fallback.fallback(_compute, "PrivateUse1")
    own = {"_copy_from": _copy, "as_strided": _view, "constant_pad_nd": _pad, "convolution_overrideable": _convolve}
    for name, function in own.items():
        particular.impl(name, function, "PrivateUse1")
    _registered.extend((fallback, particular))
    # what ComfyUI looks for before it asks torch.npu
    sys.modules["torch_npu"] = ModuleType("torch_npu")
