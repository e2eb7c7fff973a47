"""What must hold of what a statement names, and of what values hold; run by schema_cases.py inside ComfyUI."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import tempfile
import typing
from functools import partial
from pathlib import Path
from typing import Any

from protection_cases import world


def mentions(hint: Any, wanted: set[type]) -> bool:
    parts = hint if isinstance(hint, list) else typing.get_args(hint)
    return any(hint is one for one in wanted) or any(mentions(one, wanted) for one in parts)


def carriers() -> dict[type, list[str]]:
    """Every class of the pack with the names of what it keeps that is, or holds, an Identity."""
    import likeness.nodes
    import likeness.pipelines
    from likeness.pipelines.identity.identity import Identity

    hints: dict[type, dict[str, Any]] = {}
    for package in (likeness.pipelines, likeness.nodes):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for cls in vars(module).values():
                if inspect.isclass(cls) and cls.__module__ == module.__name__ and not getattr(cls, "_is_protocol", 0):
                    made_with = typing.get_type_hints(cls.__init__) if "__init__" in vars(cls) else {}
                    hints[cls] = made_with | {
                        name: hint for name, hint in typing.get_type_hints(cls, include_extras=True).items()
                    }
    wanted: set[type] = {Identity}
    while True:
        keeping = {
            cls: [name for name, hint in known.items() if name != "return" and mentions(hint, wanted)]
            for cls, known in hints.items()
        }
        more = {cls for cls, names in keeping.items() if names} - wanted
        if not more:
            return {cls: names for cls, names in keeping.items() if names and cls is not Identity}
        wanted |= more


def case_no_value_of_the_pack_hides_the_people_in_it():
    from likeness.nodes.contents import held
    from likeness.pipelines.adapters.layout import PeopleRegions

    found, her = carriers(), world()[3]
    assert {"PeopleRegions", "TrackedSwap", "ProtectedPeople"} <= {cls.__name__ for cls in found}
    holders = {"bare": her, "list": [1, (her,)], "mapping": {"a": {"b": her}}, "regions": PeopleRegions((her,)),
               "function": lambda: her, "partial": partial(print, her)}  # fmt: skip
    for cls, names in found.items():
        for name in names:
            for kind, holder in holders.items():
                value = object.__new__(cls)
                object.__setattr__(value, name, holder)
                assert any(one is her for one in held({"inputs": [value]})), (cls, name, kind)


def case_what_only_remembers_people_or_knows_everybody_s_models_is_not_taken_for_holding_them():
    from likeness.nodes.comfy_runtime import shared_registry
    from likeness.nodes.contents import held

    her = world()[3]
    assert not any(one is her for one in held([{her: 1.0}, shared_registry(), "her", 7, None]))
    circle: list[Any] = [her]
    circle.append(circle)
    assert sum(one is her for one in held(circle)) == 1


def case_a_statement_names_networks_by_title_file_and_hash_wherever_they_are_held():
    from likeness.nodes.comfy_runtime import shared_registry
    from likeness.nodes.used_models import used_models
    from likeness.pipelines.identity.parsing import FaceParser
    from likeness.pipelines.render import RENDERERS
    from likeness.pipelines.render.liveportrait.networks import Networks
    from likeness.pipelines.render.liveportrait.options import LivePortraitOptions
    from likeness.pipelines.render.liveportrait.renderer import LivePortrait
    from likeness.pipelines.safety.statement import UsedModel
    from likeness.pipelines.stitch.occlusion import Occluder
    from likeness.pipelines.swap.choice import load_swapper

    registry, analysis = shared_registry(), world()[0]
    entry = registry.manifest.entry("dlib_resnet_128")
    handle = analysis.recogniser._network._handle
    file = UsedModel(entry.id, entry.licence, entry.file, entry.id, entry.sha256)
    networks = Networks(registry.runtime, *[handle] * 5)
    for value, title in (
        (analysis, UsedModel("dlib_resnet_128", "CC0-1.0")),
        (FaceParser("parser", "research", lambda pixels: handle.module(pixels), registry.runtime), None),
        (Occluder("sees", "MIT", lambda picture, face: handle.module(picture)), None),
        (LivePortrait(networks, LivePortraitOptions()), UsedModel("liveportrait", RENDERERS[1].licence)),
    ):
        used = used_models({"inputs": {"one": value}})
        title = title or UsedModel(value.name, value.licence)
        assert title in used and used.count(file) == 1, (type(value), used)
    for entry in RENDERERS[:1]:
        assert UsedModel(entry.name, entry.licence) in used_models([entry.load(registry)])
    assert used_models([load_swapper(registry, "mesh")[0]])[0] == UsedModel("mesh", "Apache-2.0")


def case_a_network_that_the_user_picked_is_named_by_its_file_and_hash():
    import hashlib

    import torch

    from likeness.nodes.comfy_runtime import shared_registry
    from likeness.nodes.used_models import used_models

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.safetensors"
        path.write_bytes(b"weights")
        handle = shared_registry().load_file(path, "test", lambda _: torch.nn.Linear(1, 1))
        (used,) = used_models([handle])
    assert (used.file, used.weights_id, used.sha256) == (path.name, "", hashlib.sha256(b"weights").hexdigest())


def case_networks_that_a_node_loads_itself_are_seen_when_they_are_made_ready_and_not_afterwards():
    from likeness.nodes.comfy_runtime import shared_registry
    from likeness.nodes.witness import watching

    handle = world()[0].recogniser._network._handle
    with watching() as witness:
        shared_registry().runtime.ready(handle)
        shared_registry().runtime.ready(handle)
    shared_registry().runtime.ready(handle)
    assert list(witness.took_part.values()) == [handle]


def case_a_work_on_a_video_remembers_whom_it_met_over_an_interrupt():
    import numpy as np

    from likeness.nodes.protection import watched_work
    from likeness.nodes.witness import watching
    from likeness.pipelines.face import TrackedFrame
    from likeness.pipelines.video.face_frames import EachTracked

    _, picture, faces, _, _ = world()
    work = EachTracked(lambda frames: [frame.picture for frame in frames])

    def frame(index: int) -> TrackedFrame:
        return TrackedFrame(picture[0], faces.frames[0][:1], (0,), index, index / 10)

    with watching() as witness:
        first = watched_work(work)
        first.change([frame(3), frame(4)])
        second = watched_work(work)
        second.restore(first.state())
        second.change([frame(9)])
    assert [(t.first_frame, t.last_frame) for one in witness.works for t in one.tracks()] == [(3, 4), (3, 9)]
    assert all(isinstance(value, np.ndarray) for value in first.state().values())
