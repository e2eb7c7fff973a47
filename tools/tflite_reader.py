"""Reads the part of a .tflite flatbuffer that a converter needs: tensors with their constants, and operators."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

#: Names of the builtin operators that occur in the embedded networks (numbers of the TFLite schema).
OPERATORS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE",
    9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 22: "RESHAPE",
    23: "RESIZE_BILINEAR", 34: "PAD", 39: "TRANSPOSE", 40: "MEAN", 41: "SUB", 42: "DIV", 43: "SQUEEZE",
    45: "STRIDED_SLICE", 54: "PRELU", 59: "NEG", 74: "SUM", 76: "RSQRT", 83: "PACK", 99: "SQUARED_DIFFERENCE",
    117: "HARD_SWISH",
}  # fmt: skip
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}
ACTIVATIONS = {0: "", 1: "RELU", 3: "RELU6"}


class Table:
    """One flatbuffer table: fields are found through its vtable."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self.vtable = position - struct.unpack_from("<i", data, position)[0]
        self.vtable_bytes = struct.unpack_from("<H", data, self.vtable)[0]

    def offset(self, index: int) -> int:
        """Absolute position of a field, 0 when it is absent."""
        slot = 4 + 2 * index
        if slot >= self.vtable_bytes:
            return 0
        relative = struct.unpack_from("<H", self.data, self.vtable + slot)[0]
        return self.position + relative if relative else 0

    def number(self, index: int, code: str, default: int = 0) -> int:
        at = self.offset(index)
        return struct.unpack_from("<" + code, self.data, at)[0] if at else default

    def table(self, index: int) -> Table | None:
        at = self.offset(index)
        return Table(self.data, _follow(self.data, at)) if at else None

    def array(self, index: int, dtype: type) -> np.ndarray:
        at = self.offset(index)
        if not at:
            return np.zeros(0, dtype)
        start = _follow(self.data, at)
        count = struct.unpack_from("<I", self.data, start)[0]
        return np.frombuffer(self.data, dtype, count, start + 4)

    def tables(self, index: int) -> list[Table]:
        at = self.offset(index)
        if not at:
            return []
        start = _follow(self.data, at)
        count = struct.unpack_from("<I", self.data, start)[0]
        return [Table(self.data, _follow(self.data, start + 4 + 4 * i)) for i in range(count)]

    def text(self, index: int) -> str:
        return self.array(index, np.uint8).tobytes().decode()


def _follow(data: bytes, at: int) -> int:
    return at + struct.unpack_from("<I", data, at)[0]


@dataclass
class Tensor:
    name: str
    shape: tuple[int, ...]
    constant: np.ndarray | None


@dataclass
class Operator:
    """kind: operator name. inputs, outputs: tensor numbers (-1 for an absent one). options: decoded settings."""

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, int | str] = field(default_factory=dict)


@dataclass
class Graph:
    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]


def read_graph(data: bytes) -> Graph:
    """The first subgraph of a .tflite file. Raises ValueError for a file that is none."""
    if data[4:8] != b"TFL3":
        raise ValueError(f"Not a .tflite file: its identifier is {data[4:8]!r} instead of b'TFL3'.")
    model = Table(data, _follow(data, 0))
    codes = [_operator_name(code) for code in model.tables(1)]
    subgraph = model.tables(2)[0]
    buffers = model.tables(4)
    tensors = [_tensor(tensor, buffers) for tensor in subgraph.tables(0)]
    operators = [_operator(operator, codes) for operator in subgraph.tables(3)]
    return Graph(tensors, operators, subgraph.array(1, np.int32).tolist(), subgraph.array(2, np.int32).tolist())


def _operator_name(code: Table) -> str:
    number = max(code.number(0, "b"), code.number(3, "i"))
    return code.text(1) if number == 32 else OPERATORS.get(number, f"OPERATOR_{number}")


def _tensor(tensor: Table, buffers: list[Table]) -> Tensor:
    shape = tuple(tensor.array(0, np.int32).tolist())
    raw = buffers[tensor.number(2, "I")].array(0, np.uint8)
    constant = None
    if raw.size:
        constant = raw.tobytes()
        constant = np.frombuffer(constant, DTYPES[tensor.number(1, "b")]).reshape(shape)
    return Tensor(tensor.text(3), shape, constant)


def _operator(operator: Table, codes: list[str]) -> Operator:
    kind = codes[operator.number(0, "I")]
    result = Operator(kind, operator.array(1, np.int32).tolist(), operator.array(2, np.int32).tolist())
    options = operator.table(4)
    if options is not None:
        result.options = _options(kind, options)
    return result


def _options(kind: str, options: Table) -> dict[str, int | str]:
    if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        activation = options.number(3 if kind == "CONV_2D" else 4, "b")
        return {"valid": options.number(0, "b"), "stride": options.number(1, "i"), "act": ACTIVATIONS[activation]}
    if kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        return {"valid": options.number(0, "b"), "stride": options.number(1, "i"), "size": options.number(3, "i")}
    if kind in ("ADD", "MUL", "SUB", "DIV"):
        return {"act": ACTIVATIONS[options.number(0, "b")]}
    if kind == "FULLY_CONNECTED":
        return {"act": ACTIVATIONS[options.number(0, "b")]}
    if kind == "CONCATENATION":
        return {"axis": options.number(0, "i"), "act": ACTIVATIONS[options.number(1, "b")]}
    if kind == "RESIZE_BILINEAR":
        return {"align_corners": options.number(2, "B"), "half_pixel": options.number(3, "B")}
    return {}
