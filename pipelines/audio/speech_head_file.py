"""Speech heads on disk: one safetensors file with JSON metadata, written all or nothing, read without trusting it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.numpy import save as to_safetensors

from .. import __version__
from ..errors import InputError, LikenessError, UnsafeFileError
from ..face import as_float_array
from ..files.names import file_in_folder, names_in_folder
from ..files.safe_read import Header, TensorInfo, read_safetensors
from ..files.writing import IfExists, write_file
from .heard import ARPABET
from .speech_head import HIDDEN, SPAN, HeadCard, HeadNetwork, SpeechHead

#: Where heads lie, below ComfyUI/models.
FOLDER = "likeness/speech_heads"
FORMAT, FORMAT_VERSION, CREATED_WITH = "likeness.speech_head", 1, f"ComfyUI-Likeness {__version__}"

#: What a file may hold at most; all of it is checked in the header, before any memory is taken.
MAX_FILE_BYTES, MAX_HEADER_BYTES = 64 * 2**20, 2**18
MAX_WIDTH, MAX_DEPTH, MAX_TEXT = 8192, 128, 4000
_FOLLOWS = "follows"


def save_speech_head(head: SpeechHead, folder: Path, name: str, if_exists: IfExists = "number") -> Path:
    """Write a head into a folder, which is made when missing, and return the file's path.

    if_exists: as in `write_file`. Raises UnsafeFileError for a name that leaves the folder, InputError for a head that
    a file cannot hold or when the disk refuses.
    """
    card = head.card
    texts = (card.language, card.licence, card.consent)
    if card.width > MAX_WIDTH or card.depth > MAX_DEPTH or any(len(text) > MAX_TEXT for text in texts):
        raise InputError(
            f"A file holds heads of encoders of at most {MAX_DEPTH} layers of {MAX_WIDTH} numbers, and texts of "
            f"{MAX_TEXT} characters; this head has {card.depth}, {card.width} and {max(map(len, texts))}."
        )
    tensors = {key: np.ascontiguousarray(value.numpy()) for key, value in head.network.state_dict().items()}
    tensors[_FOLLOWS] = np.ascontiguousarray(head.follows)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "created_with": CREATED_WITH,
        "classes": json.dumps(ARPABET),
        "head": json.dumps(asdict(card), ensure_ascii=False),
    }
    return write_file(to_safetensors(tensors, metadata), file_in_folder(folder, name), if_exists)


def load_speech_head(path: Path) -> SpeechHead:
    """Read a head from a file that nobody vouches for.

    Sizes, types and shapes are checked in the header before memory is taken; nothing in the file is executed. Raises
    UnsafeFileError, naming file and fault, for a file that is none of ours, InputError when it is missing.
    """
    header, read = read_safetensors(path, MAX_FILE_BYTES, MAX_HEADER_BYTES)
    try:
        card = _read_card(header)
        _check_layout(header, card)
        arrays = read()
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise InputError("some of its numbers are NaN or infinite.")
        follows = as_float_array(arrays.pop(_FOLLOWS))
        network = HeadNetwork(card.width * len(card.layers))
        network.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        network.eval().requires_grad_(False)
        return SpeechHead(card, network, follows)
    except LikenessError as error:
        raise UnsafeFileError(
            f"{path} is refused: {error} Train the head again with tools/train_speech_head.py, or get the file anew."
        ) from error


def heads_in(folders: Iterable[Path]) -> tuple[str, ...]:
    """Names, without suffix, of the files in folders of speech heads, each once."""
    return tuple(dict.fromkeys(name for folder in folders for name in names_in_folder(folder)))


def _read_card(header: Header) -> HeadCard:
    if header.metadata.get("format") != FORMAT:
        raise InputError(f"its format is {header.metadata.get('format', 'not stated')!r}, a head has {FORMAT!r}.")
    version = header.metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise InputError(f"its format version is {version[:20]!r}, this version of the pack reads {FORMAT_VERSION}.")
    try:
        meta: Any = json.loads(header.metadata.get("head", ""))
        classes: Any = json.loads(header.metadata.get("classes", ""))
    except (ValueError, RecursionError) as error:
        raise InputError("its description is no JSON.") from error
    if classes != list(ARPABET):
        raise InputError(f"its classes are not the {len(ARPABET)} phones of this pack in their order.")
    if not isinstance(meta, dict):
        raise InputError("its description is no JSON object.")
    return _checked_card(cast(dict[str, Any], meta))


def _checked_card(meta: dict[str, Any]) -> HeadCard:
    names = {field.name for field in fields(HeadCard)}
    if set(meta) != names:
        raise InputError(f"its description has {sorted(set(meta) ^ names)[:6]} too much or too little.")
    for key in ("encoder", "language", "licence", "consent", "trained_on_sha256"):
        if not isinstance(meta[key], str) or len(meta[key]) > MAX_TEXT:
            raise InputError(f"its {key!r} is no text of at most {MAX_TEXT} characters.")
    for key, most in (("width", MAX_WIDTH), ("depth", MAX_DEPTH)):
        if type(meta[key]) is not int or not 1 <= meta[key] <= most:
            raise InputError(f"its {key!r} is no whole number from 1 to {most}.")
    for key, most in (("trained_on_s", 1e9), ("accuracy", 1.0)):
        value = meta[key]
        if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= most:
            raise InputError(f"its {key!r} is no number from 0 to {most:g}.")
    layers = meta["layers"]
    if not isinstance(layers, list) or not all(type(layer) is int for layer in cast(list[Any], layers)):
        raise InputError("its 'layers' are no list of whole numbers.")
    taken = tuple(cast(list[int], layers))
    if list(taken) != sorted(set(taken)):
        raise InputError("its 'layers' are not ascending.")
    meta["layers"] = taken
    return HeadCard(**meta)


def _check_layout(header: Header, card: HeadCard) -> None:
    inputs, classes = card.width * len(card.layers), len(ARPABET)
    wanted: dict[str, tuple[int, ...]] = {
        "mean": (inputs,),
        "scale": (inputs,),
        "project.weight": (HIDDEN, inputs),
        "project.bias": (HIDDEN,),
        "mix.weight": (HIDDEN, HIDDEN, SPAN),
        "mix.bias": (HIDDEN,),
        "out.weight": (classes, HIDDEN),
        "out.bias": (classes,),
        _FOLLOWS: (classes, classes),
    }
    for name, shape in wanted.items():
        got = header.tensors.get(name)
        if got != TensorInfo("F32", shape):
            found = "missing" if got is None else f"{got.dtype} {got.shape}"
            raise InputError(f"its tensor {name!r} is {found}, F32 {shape} is needed.")
    strangers = sorted(set(header.tensors) - set(wanted))
    if strangers:
        raise InputError(f"it has {len(strangers)} tensor(s) that no head has, such as {strangers[0][:80]!r}.")
