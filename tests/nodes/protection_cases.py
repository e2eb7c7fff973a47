"""What must hold of the refusal of protected people; run by schema_cases.py inside ComfyUI."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

#: Nodes that only make a face clearer.
CLEARER = {"RestoreFaces", "RestoreFacesInVideo"}


@cache
def world():
    """Analysis, picture and identity of Eileen Collins, who is protected, and the identity of Grace Hopper."""
    from likeness.benchmarks.pictures import read_picture
    from likeness.nodes.comfy_runtime import shared_registry
    from likeness.pipelines.identity.analysis import load_embedded_analysis
    from likeness.pipelines.identity.build import build_identity

    samples = Path(__file__).resolve().parents[2] / "assets" / "samples"
    analysis = load_embedded_analysis(shared_registry())
    her, grace = (read_picture(samples / name) for name in ("astronaut.png", "grace_hopper.jpg"))
    eileen, other = (build_identity(analysis, [one], name=name)[0] for one, name in ((her, "E"), (grace, "G")))
    return analysis, her, analysis.detect(her), eileen, other


@contextmanager
def protected_list() -> Iterator[None]:
    """Eileen Collins on the list while the block runs."""
    import folder_paths

    from likeness.nodes.protection import FOLDER
    from likeness.pipelines.identity.storage import save_identity

    before = folder_paths.folder_names_and_paths[FOLDER]
    with tempfile.TemporaryDirectory() as folder:
        save_identity(world()[3], Path(folder))
        folder_paths.folder_names_and_paths[FOLDER] = ([folder], {".safetensors"})
        try:
            yield
        finally:
            folder_paths.folder_names_and_paths[FOLDER] = before


def refusal(call: Any) -> str:
    """What a call is refused with; "" when it is not."""
    from likeness.pipelines.safety.protected import ProtectedPersonError

    try:
        call()
    except ProtectedPersonError as error:
        return str(error)
    return ""


class Lips:
    """Lips whose work must never begin."""

    name, text, settings, batch = "no lips", "no lips", [], 1

    def dub(self, *_others: Any) -> Lips:
        return self

    def change(self, frames: Any) -> Any:
        raise AssertionError("a protected person was changed")

    def state(self) -> dict[str, Any]:
        return {}


def film():
    """Two frames of her."""
    from fractions import Fraction

    from comfy_api.latest import InputImpl, Types

    pictures = world()[1].repeat(2, 1, 1, 1)
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=pictures, audio=None, frame_rate=Fraction(10)))


def attempts() -> dict[str, dict[str, Any]]:
    """Node → inputs with which it would use or change her face; whatever else it needs is never asked for."""
    import torch

    from likeness.nodes.comfy_runtime import shared_registry
    from likeness.pipelines.adapters.layout import PeopleRegions
    from likeness.pipelines.motion.motion import still
    from likeness.pipelines.stitch.crop import crop_faces
    from likeness.pipelines.swap.choice import load_swapper

    analysis, picture, faces, her, grace = world()
    named = {"identities": {"identity0": grace, "identity1": her}}
    placed = {"identities": {}, "regions": PeopleRegions((grace, her))}
    shown = {"image": picture, "faces": faces}
    silence = {"waveform": torch.zeros(1, 1, 3200), "sample_rate": 16000}
    tracked = {"analysis": analysis, "crf": 23, "min_probability": 0.5, "threshold": 0.5, "video": film()}
    return {
        "BuildIdentity": {
            "analysis": analysis, "photos": {"photos0": picture}, "pick": "largest", "threshold": 0.5,
            "min_probability": 0.5, "name": "nobody", "consent": "",
        },
        "MergeIdentities": named,
        "ApplyIdentityAdapter": placed,
        "ApplyIdentityControl": placed,
        "IdentityConditioning": placed,
        "SwapFaces": shown | {"identities": {"identity0": grace}},
        "AnimatePortrait": shown,
        "EditExpression": shown,
        "AnimatePortraitToVideo": shown,
        "PrepareTalkingHead": shown,
        "StitchFaces": {"image": picture, "crops": (cut := crop_faces(picture, faces)), "changed": 1 - cut.images},
        "SwapFacesInVideo": tracked | {
            "swapper": load_swapper(shared_registry(), "mesh")[0], "identities": {"identity0": grace},
            "strength": 1.0, "shape": 0.0, "smoothing": "zero_lag", "blend": "alpha",
        },
        "AnimateInVideo": tracked | {
            "how": "replace", "part": "expression", "strength": 1.0, "after_end": "as filmed", "renderer": "mesh",
            "motion": still({"jawOpen": 0.5}, 10.0, 2),
        },
        "DubVideo": tracked | {
            "audio": silence, "transcript": "", "language": "auto", "backend": "auto", "sound_shorter": "lips closed",
            "sound_longer": "end with the video", "strength": 1.0, "own_sound": 0.0, "number": 0, "lips": Lips(),
        },
    }  # fmt: skip


def noted_nodes() -> dict[str, Any]:
    """The nodes with `concerns_faces`, by their ids."""
    from likeness.nodes import NODES

    return {
        node.GET_SCHEMA().node_id.removeprefix("Likeness"): node
        for node in NODES
        if hasattr(vars(node)["execute"].__func__, "__wrapped__")
    }


def case_every_node_that_uses_or_changes_a_likeness_refuses_a_protected_person():
    nodes, tried = noted_nodes(), attempts()
    assert set(tried) == set(nodes) - CLEARER
    with protected_list():
        said = {name: refusal(partial(nodes[name].execute, **inputs)) for name, inputs in tried.items()}
    assert [name for name, text in said.items() if "is 'E' (distance" not in text] == []


def case_a_crop_that_is_put_back_as_it_was_cut_is_neither_refused_nor_looked_at():
    from likeness.pipelines.face import Faces
    from likeness.pipelines.stitch.crop import crop_faces

    _, picture, faces, _, _ = world()
    crops, stitch = crop_faces(picture, faces), noted_nodes()["StitchFaces"]
    with protected_list():
        for given in ({}, {"changed": crops.images.clone()}):
            result = stitch.execute(image=picture, crops=crops, blend="alpha", **given)
            assert (result.args[0] - picture).abs().max() < 1e-6
        smaller = crops.images[:, ::2, ::2]
        assert refusal(partial(stitch.execute, image=picture, crops=crops, changed=smaller, blend="alpha"))
    both = crop_faces(picture, Faces((faces.frames[0] * 2,), faces.height, faces.width))
    images = both.images.clone()
    images[1, 10, 10] = 0
    assert [len(frame) for frame in both.with_images(images).altered().frames] == [1]


def case_a_face_is_changed_in_a_crop_without_a_recogniser_where_nobody_is_protected():
    from likeness.pipelines.stitch.crop import crop_faces

    analysis, picture, faces, _, _ = world()
    crops, stitch = crop_faces(picture, faces), noted_nodes()["StitchFaces"]
    kind, looked = type(analysis.recogniser), []
    before, kind.embed = kind.embed, lambda *_: looked.append(1)
    try:
        stitch.execute(image=picture, crops=crops, changed=1 - crops.images, blend="alpha")
    finally:
        kind.embed = before
    assert looked == []


def case_a_video_that_was_refused_leaves_no_chunks_and_goes_on_under_the_same_list_only():
    import folder_paths

    from likeness.nodes.streaming import UNFINISHED, _job

    with protected_list():
        inputs = attempts()["DubVideo"]
        assert refusal(partial(noted_nodes()["DubVideo"].execute, **inputs))
        guarded = _job(["dub"], [])
        assert guarded == _job(["dub"], [])
    assert guarded != _job(["dub"], [])
    unfinished = Path(folder_paths.get_output_directory(), UNFINISHED)
    assert not unfinished.exists() or not list(unfinished.iterdir())
