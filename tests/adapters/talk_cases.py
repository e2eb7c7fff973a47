"""A talking head sampled by ComfyUI: its own video model, guider and samplers with DICE-Talk's files at small sizes."""

from __future__ import annotations

import dataclasses
import sys
from functools import cache
from pathlib import Path
from typing import Any

import comfy_process

if __name__ == "__main__":
    comfy_process.start(Path(sys.argv[1]), Path(sys.argv[2]))

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lips"))

import comfy.model_management
import comfy.samplers
import folder_paths
import numpy as np
import torch
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from comfy_extras.nodes_custom_sampler import Guider_DualCFG
from tiny_graph import assert_close, assert_different, assert_equal, base
from tiny_lips import MeansCoder, write_dice, write_lips
from tiny_video import SeenColours, video_model

from likeness.nodes import talking_head
from likeness.nodes.comfy_runtime import shared_registry
from likeness.nodes.protection import register_protected_folder
from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face, Faces

FRAMES = 5


@cache
def loaded() -> tuple[Any, Any]:
    """The video model as it was, and the talker of Load DICE-Talk."""
    models = Path(folder_paths.models_dir)
    write_lips(models)
    write_dice(models)
    register_protected_folder()
    talking_head.register_priors_folder()
    registry = shared_registry()
    open_entries = [dataclasses.replace(entry, size_bytes=None, sha256=None) for entry in registry.manifest.entries
                    if not entry.embedded]  # fmt: skip
    registry.manifest = dataclasses.replace(registry.manifest, entries=tuple(open_entries))
    model = video_model()
    return model, talking_head.LoadDiceTalk.execute(model).args[0]


def prepared(seconds: float = FRAMES / 12.5, emotion: str = "none", box: tuple[int, ...] = (16, 16, 48, 48), **dials):
    """(model, said, silent, negative, latent, report) of Prepare Talking Head."""
    picture = torch.linspace(0, 1, 64 * 64 * 3).view(1, 64, 64, 3)
    face = Face(np.array(box, np.float32), 1.0, np.zeros((5, 2), np.float32))
    noise = torch.randn(1, 1, round(16000 * seconds), generator=torch.Generator().manual_seed(6)) * 0.1
    options = {"sound_scale": 1.0, "emotion_scale": 1.0, "retrieval": False, "size": 64, "number": 0} | dials
    inputs = {"talker": loaded()[1], "clip_vision": SeenColours(), "vae": MeansCoder(), "image": picture}
    inputs |= {"faces": Faces(((face,),), 64, 64), "audio": {"waveform": noise, "sample_rate": 16000}}
    return talking_head.PrepareTalkingHead.execute(**inputs, emotion=emotion, **options).args


def sampled(parts: Any, g1: float = 3.0, g2: float = 6.0, model: Any = None, which: tuple[int, ...] = (1, 2, 3)):
    """Two steps of euler with the two-scale guidance of core's Dual CFG Guider."""
    guider = Guider_DualCFG(parts[0] if model is None else model)
    guider.set_conds(*(parts[place] for place in which))
    guider.set_cfg(g2, g1)
    latent = parts[4]["samples"]
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(3))
    sigmas = torch.tensor([20.0, 2.0, 0.0])
    return guider.sample(noise, latent, comfy.samplers.sampler_object("euler"), sigmas, disable_pbar=True)


def case_a_portrait_talks_in_as_many_frames_as_the_sound_has() -> None:
    parts = prepared()
    frames = sampled(parts)
    assert frames.shape == (FRAMES, 4, 8, 8) and torch.isfinite(frames).all()
    assert "5 frame(s) of 64 × 64 px at 12.5 per second for 0.40 s; no emotion given." in parts[5]
    assert_equal(frames, sampled(parts))


def case_sound_and_emotion_change_what_is_sampled_and_their_scales_turn_them_off() -> None:
    plain, happy = prepared(), prepared(emotion="happy.npy")
    assert "emotion happy.npy" in happy[5]
    assert_different(sampled(plain), sampled(happy))
    assert_different(sampled(happy), sampled(prepared(emotion="happy.npy", retrieval=True)))
    assert_equal(sampled(prepared(emotion_scale=0.0)), sampled(prepared(emotion="happy.npy", emotion_scale=0.0)))
    off = prepared(emotion="happy.npy", sound_scale=0.0, emotion_scale=0.0)
    assert_close(sampled(off, 1.0, 1.0), sampled(off, 1.0, 1.0, which=(2, 2, 3)))
    assert_different(sampled(happy, 1.0, 1.0), sampled(happy, 1.0, 1.0, which=(2, 2, 3)))


def case_equal_scales_are_the_usual_guidance() -> None:
    parts = prepared(emotion="happy.npy")
    assert_close(sampled(parts, 4.0, 4.0), sampled(parts, 4.0, 4.0, which=(1, 1, 3)))
    assert_different(sampled(parts, 3.0, 6.0), sampled(parts, 4.0, 4.0))


def case_the_face_says_where_it_is_read() -> None:
    assert_different(sampled(prepared()), sampled(prepared(box=(0, 0, 24, 24))))


def case_two_branches_of_a_graph_do_not_see_each_other_and_the_video_model_stays() -> None:
    original, _ = loaded()
    first = prepared(emotion="happy.npy")
    alone = sampled(first)
    other = prepared(box=(0, 0, 24, 24), sound_scale=0.3)
    assert_different(sampled(other), alone)
    assert_equal(sampled(first), alone)
    comfy.model_management.unload_all_models()
    fresh = video_model().model.diffusion_model
    for name, weight in original.model.diffusion_model.state_dict().items():
        assert torch.equal(weight, fresh.state_dict()[name]), name
    assert original.model.diffusion_model.input_blocks[1][0].in_layers[0].eps == 1e-5
    assert not original.patches and not original.object_patches
    assert "patches_replace" not in original.model_options["transformer_options"]


def case_longer_sound_goes_through_cores_context_windows() -> None:
    parts = prepared(seconds=32 / 12.5)
    assert "Context Windows (Manual)" in parts[5] and parts[4]["samples"].shape[0] == 32
    model = ContextWindowsManualNode.execute(
        parts[0], 25, 7, "standard_static", 1, False, "pyramid", 0, False, causal_window_fix=False
    ).args[0]
    frames = sampled(parts, model=model)
    assert frames.shape == (32, 4, 8, 8) and torch.isfinite(frames).all()


def refused(call: Any, *arguments: Any) -> str:
    """What an InputError says."""
    try:
        call(*arguments)
    except InputError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def case_other_models_and_models_that_talk_already_are_refused() -> None:
    assert "changes Stable Video Diffusion" in refused(talking_head.LoadDiceTalk.execute, base("SD1.5"))
    parts = prepared()
    readers = parts[0].model_options["transformer_options"]["patches"]["likeness_talk"][0]
    assert "replaced already" in refused(talking_head.attach_talk, parts[0], readers)


if __name__ == "__main__":
    comfy_process.run(globals())
