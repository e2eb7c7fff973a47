"""Reads the weights of dlib's face recognition network from its serialised file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: (channels in, channels, kernel) of the 29 convolutions in the order they run.
CONVOLUTIONS = (
    (3, 32, 7), *[(32, 32, 3)] * 6, (32, 64, 3), *[(64, 64, 3)] * 7, (64, 128, 3), *[(128, 128, 3)] * 5,
    (128, 256, 3), *[(256, 256, 3)] * 5, *[(256, 256, 3)] * 2,
)  # fmt: skip
FEATURES, DIMENSION = 256, 128


def read_identity_network(data: bytes) -> Iterator[np.ndarray]:
    """Weight and bias of every convolution, its batch normalisation folded in, then the head; float16 and float32.

    data: the file. Each tensor is stored as a version, four sizes and raw float32; a convolution holds weights then
    biases, the affine layer after it (a fixed batch normalisation) gains then offsets. Biases stay float32: they are
    few. Raises ValueError when a tensor of the expected size does not follow.
    """
    position = 0
    for channels_in, channels, kernel in CONVOLUTIONS:
        weight_count = channels * channels_in * kernel * kernel
        values, position = _tensor(data, position, (weight_count + channels, 1, 1, 1))
        affine, position = _tensor(data, position, (2 * channels, 1, 1, 1))
        weight = values[:weight_count].reshape(channels, channels_in, kernel, kernel)
        gain, offset = affine[:channels], affine[channels:]
        yield (weight * gain[:, None, None, None]).astype(np.float16)
        yield (values[weight_count:] * gain + offset).astype(np.float32)
    head, _ = _tensor(data, position, (FEATURES, DIMENSION, 1, 1))
    yield head.reshape(FEATURES, DIMENSION).T.astype(np.float16)


def _tensor(data: bytes, position: int, sizes: tuple[int, int, int, int]) -> tuple[np.ndarray, int]:
    """The next tensor of these sizes (float64, flat) and the position behind it."""
    header = b"\x01\x02" + b"".join(_number(size) for size in sizes)
    found = data.find(header, position)
    count = int(np.prod(sizes))
    start = found + len(header)
    if found < 0 or start + 4 * count > len(data):
        raise ValueError(f"No tensor of sizes {sizes} after byte {position}: not dlib's 128-d face network.")
    return np.frombuffer(data, "<f4", count, start).astype(np.float64), start + 4 * count


def _number(value: int) -> bytes:
    """dlib's compressed integer: how many bytes, then the bytes, lowest first."""
    length = max(1, (value.bit_length() + 7) // 8)
    return bytes([length]) + value.to_bytes(length, "little")
