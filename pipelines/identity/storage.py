"""Identities on disk: one safetensors file with JSON metadata, written atomically, read without trusting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save as to_safetensors

from .. import __version__
from ..errors import InputError, LikenessError, UnsafeFileError
from ..face import FloatArray, as_float_array
from ..files.names import file_in_folder
from ..files.safe_read import Header, TensorInfo, read_safetensors
from ..files.writing import IfExists, write_file
from .identity import CROP_SIZE_PX, MAX_REFERENCES, MESH_POINTS, EncodedReferences, Identity

FORMAT, FORMAT_VERSION, CREATED_WITH = "likeness.identity", 1, f"ComfyUI-Likeness {__version__}"

#: What a file may hold at most; all of it is checked in the header, before any memory is taken.
MAX_FILE_BYTES, MAX_HEADER_BYTES = 128 * 2**20, 2**20
MAX_ENCODERS, MAX_DIMENSION, MAX_TEXT = 16, 8192, 20_000

_VECTORS = "vectors."


def save_identity(identity: Identity, folder: Path, name: str = "", if_exists: IfExists = "number") -> Path:
    """Write an identity into a folder, which is made when missing, and return the file's path.

    name: of the file, without suffix; "" takes the identity's. if_exists: "number" writes name_2, name_3 and so on
    next to an older file, "overwrite" replaces it, "error" refuses. The file appears under its name only when it is
    complete. Raises UnsafeFileError for a name that leaves the folder or a file that is in the way, InputError for an
    identity that is too large or when the disk refuses.
    """
    return write_file(_encode(identity), file_in_folder(folder, name or identity.name), if_exists)


def _encode(identity: Identity) -> bytes:
    meta: dict[str, Any] = {
        "name": identity.name,
        "consent": identity.consent,
        "sources_sha256": list(identity.sources_sha256),
        "encoders": [
            {"name": part.encoder, "licence": part.licence, "dimension": int(part.raw.shape[1])}
            for part in identity.vectors
        ],
    }
    tensors: dict[str, np.ndarray[Any, Any]] = {
        "crops": identity.crops.cpu().contiguous().numpy(),
        "landmarks": np.ascontiguousarray(identity.landmarks, dtype=np.float32),
        "weights": np.ascontiguousarray(identity.weights, dtype=np.float32),
    }
    for index, part in enumerate(identity.vectors):
        tensors[f"{_VECTORS}{index}"] = np.ascontiguousarray(part.raw, dtype=np.float32)
    _check_sizes(identity)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "created_with": CREATED_WITH,
        "identity": json.dumps(meta, ensure_ascii=False),
    }
    return to_safetensors(tensors, metadata=metadata)


def _check_sizes(identity: Identity) -> None:
    largest = max((part.raw.shape[1] for part in identity.vectors), default=0)
    for what, got, most in (
        ("references", len(identity), MAX_REFERENCES),
        ("recognisers", len(identity.vectors), MAX_ENCODERS),
        ("numbers per vector", largest, MAX_DIMENSION),
        ("characters of consent", len(identity.consent), MAX_TEXT),
        ("characters of name", len(identity.name), MAX_TEXT),
    ):
        if got > most:
            raise InputError(f"Identity {identity.name[:80]!r} has {got} {what}, a file holds at most {most}.")


def load_identity(path: Path) -> Identity:
    """Read an identity from a file that nobody vouches for.

    Sizes, types and shapes are checked in the header before memory is taken; nothing in the file is executed.
    Raises UnsafeFileError, naming the file and what is wrong with it, for anything that is no identity of ours:
    truncated, hostile or another program's; and InputError when the file is missing or not readable.
    """
    header, read = read_safetensors(path, MAX_FILE_BYTES, MAX_HEADER_BYTES)
    try:
        meta = _read_meta(header)
        count = _count(header)
        _check_layout(header, count, meta)
        arrays = read()
        return Identity(
            name=meta["name"],
            crops=torch.from_numpy(arrays["crops"]),
            landmarks=arrays["landmarks"],
            weights=_normalised(arrays["weights"]),
            vectors=tuple(
                EncodedReferences(encoder["name"], encoder["licence"], arrays[f"{_VECTORS}{index}"])
                for index, encoder in enumerate(meta["encoders"])
            ),
            consent=meta["consent"],
            sources_sha256=tuple(meta["sources_sha256"]),
        )
    except LikenessError as error:
        raise UnsafeFileError(
            f"{path} is refused: {error} Save the identity again with Save Identity, or get the file anew."
        ) from error


def _normalised(weights: FloatArray) -> FloatArray:
    """Weights of a file that sum to about 1, made to sum to 1; others are left for `Identity` to refuse."""
    total = float(weights.sum(dtype=np.float64))
    return as_float_array(weights / total) if abs(total - 1) < 1e-3 else weights


def _read_meta(header: Header) -> dict[str, Any]:
    if header.metadata.get("format") != FORMAT:
        raise InputError(f"its format is {header.metadata.get('format', 'not stated')!r}, an identity has {FORMAT!r}.")
    version = header.metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise InputError(
            f"its format version is {version[:20]!r}, this version of the pack reads {FORMAT_VERSION}. "
            "Update the pack if the file is newer."
        )
    try:
        meta: Any = json.loads(header.metadata.get("identity", ""))
    except (ValueError, RecursionError) as error:
        raise InputError("its description is no JSON.") from error
    return _checked_meta(meta)


def _checked_meta(meta: Any) -> dict[str, Any]:
    if not isinstance(meta, dict):
        raise InputError("its description is no JSON object.")
    fields: dict[str, Any] = {str(key): value for key, value in meta.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    for key in ("name", "consent"):
        if not isinstance(fields.get(key), str) or len(fields[key]) > MAX_TEXT:
            raise InputError(f"its {key!r} is no text of at most {MAX_TEXT} characters.")
    sources = fields.get("sources_sha256")
    if not isinstance(sources, list) or not all(_is_sha256(source) for source in sources):  # pyright: ignore[reportUnknownVariableType]
        raise InputError("its 'sources_sha256' is no list of hashes.")
    encoders = fields.get("encoders")
    if not isinstance(encoders, list) or len(encoders) > MAX_ENCODERS:  # pyright: ignore[reportUnknownArgumentType]
        raise InputError(f"its 'encoders' is no list of at most {MAX_ENCODERS}.")
    if not all(_is_encoder(encoder) for encoder in encoders):  # pyright: ignore[reportUnknownVariableType]
        raise InputError("one of its 'encoders' has no name, licence and dimension.")
    return fields


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_encoder(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    texts = [value.get("name"), value.get("licence")]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    dimension: Any = value.get("dimension")  # pyright: ignore[reportUnknownMemberType]
    return (
        all(isinstance(text, str) and len(text) <= MAX_TEXT for text in texts)  # pyright: ignore[reportUnknownVariableType]
        and bool(texts[0])
        and type(dimension) is int
        and 0 < dimension <= MAX_DIMENSION
    )


def _count(header: Header) -> int:
    weights = header.tensors.get("weights")
    if weights is None or len(weights.shape) != 1 or not 0 < weights.shape[0] <= MAX_REFERENCES:
        shape = "missing" if weights is None else str(weights.shape)
        raise InputError(f"its weights are {shape}; 1 to {MAX_REFERENCES} references are allowed.")
    return weights.shape[0]


def _check_layout(header: Header, count: int, meta: dict[str, Any]) -> None:
    wanted = {
        "crops": TensorInfo("U8", (count, CROP_SIZE_PX, CROP_SIZE_PX, 3)),
        "landmarks": TensorInfo("F32", (count, MESH_POINTS, 3)),
        "weights": TensorInfo("F32", (count,)),
    }
    for index, encoder in enumerate(meta["encoders"]):
        wanted[f"{_VECTORS}{index}"] = TensorInfo("F32", (count, encoder["dimension"]))
    for name, info in wanted.items():
        got = header.tensors.get(name)
        if got is None or (got.dtype, got.shape) != (info.dtype, info.shape):
            found = "missing" if got is None else f"{got.dtype} {got.shape}"
            raise InputError(f"its tensor {name!r} is {found}, {info.dtype} {info.shape} is needed.")
    extra = sorted(set(header.tensors) - set(wanted))
    if extra:
        raise InputError(f"it has {len(extra)} tensor(s) that no identity has, such as {extra[0][:80]!r}.")
