"""The networks that worked in a node, as a statement names them: each by its title, and by the files it came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..pipelines.adapters.library import LoadedAdapter
from ..pipelines.audio.speech_head import HeadCard
from ..pipelines.lips.dicetalk.talker import Talker
from ..pipelines.restore.restorer import LoadedRestorer
from ..pipelines.restore.restorers import restorer_named
from ..pipelines.safety.statement import MAX_ITEMS, UsedModel
from ..pipelines.weights import content_hash
from .comfy_runtime import ComfyHandle, shared_registry
from .contents import held, is_ours


def used_models(values: Any) -> tuple[UsedModel, ...]:
    """Of everything that `values` hold: titles first, then files with the manifest's id and their sha256."""
    found = list(held(values))
    titles = [model for value in found for model in _titles(value)]
    files = [model for value in found if isinstance(value, ComfyHandle) for model in _files(value)]
    return tuple(dict.fromkeys([*titles, *files]))[:MAX_ITEMS]


def _titles(value: Any) -> Iterator[UsedModel]:
    if isinstance(value, LoadedRestorer):
        # its name goes on with its file's
        yield UsedModel(value.name, restorer_named(value.name.partition(" ")[0]).licence)
    elif isinstance(value, LoadedAdapter):
        yield UsedModel(value.adapter.family.title)
    elif isinstance(value, Talker):
        yield UsedModel("DICE-Talk", value.licence)
    elif isinstance(value, HeadCard):
        yield UsedModel(f"speech head for {value.encoder}", value.licence)
    elif is_ours(value):
        name, licence = getattr(value, "name", None), getattr(value, "licence", None)
        if isinstance(name, str) and isinstance(licence, str):
            yield UsedModel(name, licence)


def _files(handle: ComfyHandle) -> Iterator[UsedModel]:
    registry = shared_registry()
    source = registry.made_of(handle)
    if source is None:
        return
    name, digest = source
    if digest:
        entry = registry.manifest.entry(name)
        yield UsedModel(entry.id, entry.licence, entry.file, entry.id, digest)
    else:
        path = Path(name)
        # somebody may have taken it away since
        yield UsedModel(path.stem, "", path.name, "", content_hash(path) if path.is_file() else "")
