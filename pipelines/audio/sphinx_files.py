"""Reads the files of an acoustic model of CMU Sphinx: densities, mixture weights, transitions, which phone has which.

The layouts are those that the files themselves and the documentation of Sphinx 3 describe; all are little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import WrongWeightsError
from ..face import FloatArray

#: How files of numbers begin after their header, and the definition of the phones.
BYTE_ORDER, DEFINITION = 0x11223344, b"BMDF"
#: A mixture weight w is stored as round(log(1 / w) / log(1.0001)) / 1024.
WEIGHT_BASE, WEIGHT_STEP = 1.0001, 1024


@dataclass(frozen=True, eq=False)
class Definition:
    """Which senones (tied states) a phone has. S = 3 states, K phones by themselves, N phones in context.

    names: K. alone: (K, S) senones of a phone without context. context: (N, 4) what is where in a word (0 within,
    1 first, 2 last, 3 alone), phone, phone before, phone after, by number. senones: (N, S). count: of senones in all.
    transitions: (K,) number of its transition matrix.
    """

    names: tuple[str, ...]
    alone: NDArray[np.uint16]
    context: NDArray[np.uint8]
    senones: NDArray[np.uint16]
    count: int
    transitions: NDArray[np.int32]


def read_densities(path: Path) -> FloatArray:
    """(K, streams, D, width): means or variances of D densities for each phone and each part of the features."""
    numbers, sizes = _numbers(path, 3)
    widths = numbers[: sizes[1]].view("<i4").tolist()
    values = numbers[sizes[1] + 1 :]
    if len(set(widths)) != 1 or len(values) != sizes[0] * sizes[2] * sum(widths):
        raise _wrong(path, f"{len(values)} numbers do not fill {sizes} densities of the widths {widths}")
    return values.reshape(*sizes, widths[0])


def read_transitions(path: Path) -> FloatArray:
    """(K, S, S + 1) probabilities of going from a state to a state, the last one out of the phone."""
    numbers, sizes = _numbers(path, 3)
    counts = numbers[1:].reshape(sizes)
    return counts / counts.sum(2, keepdims=True)


def _numbers(path: Path, count: int) -> tuple[FloatArray, tuple[int, ...]]:
    """The floats of a file after its text header and the first `count` integers, which are given apart."""
    data = path.read_bytes()
    begin = data.find(b"endhdr\n") + 7
    if begin < 7 or int.from_bytes(data[begin : begin + 4], "little") != BYTE_ORDER:
        raise _wrong(path, "it has no header of Sphinx 3 in little-endian order")
    words = np.frombuffer(data, "<f4", (len(data) - begin) // 4, begin)
    sizes = tuple(words[1 : count + 1].view("<i4").tolist())
    payload = words[count + 1 :]
    # a checksum ends the file where the header promises one
    return (payload[:-1] if b"chksum0 yes" in data[:begin] else payload), sizes


def read_definition(path: Path) -> Definition:
    """The phones of a binary model definition."""
    data = path.read_bytes()
    if data[:4] != DEFINITION:
        raise _wrong(path, "it is no binary model definition")
    begin = 12 + int(np.frombuffer(data, "<i4", 1, 8)[0])
    phones, in_all, states, _, senones, _, rows, _, nodes, _ = np.frombuffer(data, "<i4", 10, begin).tolist()
    begin = end = begin + 40
    names = list[str]()
    for _ in range(phones):
        stop = data.index(b"\0", end)
        names.append(data[end:stop].decode("ascii"))
        end = stop + 1
    # the names are filled up to a multiple of 4 bytes; behind them lies a tree for searching, 8 bytes a node
    begin += (end - begin + 3) // 4 * 4 + 8 * nodes
    entry = np.dtype([("row", "<i4"), ("transitions", "<i4"), ("context", "u1", 4)])
    entries = np.frombuffer(data, entry, in_all, begin)
    table = np.frombuffer(data, "<u2", rows * states, begin + entry.itemsize * in_all + 4).reshape(rows, states)
    found = table[entries["row"]]
    return Definition(
        tuple(names),
        found[:phones],
        entries["context"][phones:],
        found[phones:],
        senones,
        entries["transitions"][:phones],
    )


def read_mixture_weights(path: Path, senones: int) -> FloatArray:
    """(streams, D, senones): how much of each density a senone has."""
    data = path.read_bytes()
    begin, streams = 0, 1
    while length := int.from_bytes(data[begin : begin + 4], "little"):
        if length > 1000 or begin + length > len(data):
            raise _wrong(path, f"a line of its header is {length} bytes long")
        words = data[begin + 4 : begin + 3 + length].split(b" ")
        if words[0] == b"feature_count":
            streams = int(words[1])
        if words[0] == b"cluster_count" and words[1] != b"0":
            raise _wrong(path, "its weights are clustered, which is not read here")
        begin += 4 + length
    rows, columns = (int.from_bytes(data[at : at + 4], "little") for at in (begin + 4, begin + 8))
    if len(data) != begin + 12 + streams * rows * columns or columns < senones:
        raise _wrong(path, f"{len(data)} bytes do not hold {streams} x {rows} x {columns} weights")
    stored = np.frombuffer(data, "u1", streams * rows * columns, begin + 12).reshape(streams, rows, columns)
    meaning = WEIGHT_BASE ** (-WEIGHT_STEP * np.arange(256, dtype=np.float64))
    return meaning.astype(np.float32)[stored[:, :, :senones]]


def _wrong(path: Path, reason: str) -> WrongWeightsError:
    return WrongWeightsError(
        f"{path} is not a file of the acoustic model as pocketsphinx 5 brings it: {reason}. Install pocketsphinx again."
    )
