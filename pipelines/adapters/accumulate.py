"""Attention to few keys, added where the text's result already lies.

An identity has so few tokens that its attention waits for memory, not for arithmetic: writing the increment down and
adding it afterwards costs about as much as computing it. Here the last product adds straight into the result, and a
mask multiplies the few weights of a token instead of its whole width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def adds_in_place(x: Tensor, q: Tensor, k: Tensor) -> bool:
    """Whether `add_attention` is the better way.

    In half precision the logits would be rounded between the two products, which fused kernels do not do; on other
    devices those kernels are faster; and what autograd has seen must not be written over.
    """
    tensors = (x, q, k)
    exact = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
    watched = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return exact and not watched


def add_attention(x: Tensor, q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> None:
    """x += mask · softmax(q kᵀ / √d) v per head, in place.

    x, q: (B, N, heads·d). k, v: (B, T, heads·d). mask: (B or 1, N, 1) or everywhere.
    """
    scale = (q.shape[-1] // heads) ** -0.5
    for row in range(len(x)):
        queries, keys, values, result = (z[row].unflatten(-1, (heads, -1)).transpose(0, 1) for z in (q, k, v, x))
        weights = torch.bmm(queries, keys.transpose(1, 2)).mul_(scale).softmax(-1)
        if mask is not None:
            weights.mul_(mask[row if len(mask) > 1 else 0])
        result.baddbmm_(weights, values)


def adding_to(x: Tensor, mask: Tensor | None) -> Callable[[Tensor, Tensor, Tensor, int], Tensor]:
    """An attention function for injectors (q, k, v, heads) that adds what it reads to x, and returns x."""

    def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        add_attention(x, q, k, v, heads, mask)
        return x

    return attend
