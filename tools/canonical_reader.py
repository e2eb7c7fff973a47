"""Reads MediaPipe's canonical face mesh from its serialised geometry metadata (a protobuf)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import torch


def canonical_mesh(data: bytes) -> dict[str, torch.Tensor]:
    """points (468, 3) cm, uv (468, 2), triangles (898, 3), and the points and weights of the rigid pose fit."""
    mesh = next(value for field, value in _fields(data) if field == 1)
    vertices = [value for field, value in _fields(mesh) if field == 3]
    indices = [value for field, value in _fields(mesh) if field == 4]
    basis = [dict(_fields(value)) for field, value in _fields(data) if field == 2]
    values = np.array(vertices, dtype=np.float32).reshape(468, 5)
    return {
        "points": torch.from_numpy(values[:, :3].copy()),
        "uv": torch.from_numpy(values[:, 3:].copy()),
        "triangles": torch.from_numpy(np.array(indices, dtype=np.int16).reshape(-1, 3)),
        "pose_points": torch.tensor([entry[1] for entry in basis], dtype=torch.int16),
        "pose_weights": torch.tensor([entry[2] for entry in basis], dtype=torch.float32),
    }


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """(field number, value) of one protobuf message."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(data, position)
        elif kind == 2:
            length, position = _varint(data, position)
            value, position = data[position : position + length], position + length
        elif kind == 5:
            value, position = struct.unpack_from("<f", data, position)[0], position + 4
        else:
            raise ValueError(f"Wire type {kind} at byte {position} does not occur in this message.")
        yield key >> 3, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
