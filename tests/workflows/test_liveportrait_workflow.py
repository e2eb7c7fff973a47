"""LivePortrait in the real ComfyUI: its files at their true shapes, its errors, its place in the graph."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from likeness.pipelines.render.liveportrait.files import NETWORK_FILES
from likeness.pipelines.safety.picture_files import read_statement
from likeness.tests.comfyui_server import ComfyServer, PromptFailed

Prompt = dict[str, dict[str, Any]]
OPTIONS = {
    "region": "all", "stitching": True, "eye_retargeting": False, "lip_retargeting": False, "half_precision": True,
    "follows": "keypoints",
}  # fmt: skip


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def graph(**changes: Any) -> Prompt:
    """A surprised portrait and the portrait itself, both as pictures."""
    return {
        "photo": node("LoadImage", image="likeness_grace_hopper.jpg"),
        "analysis": node("LikenessLoadFaceAnalysis", backend="embedded"),
        "faces": node(
            "LikenessDetectFaces", image=["photo", 0], analysis=["analysis", 0], threshold=0.5, max_faces=0,
            min_size_px=0,
        ),
        "motion": node(
            "LikenessEmotion", emotion="surprise", intensity=1.0, seconds=0.0, rise_s=0.2, fall_s=0.2, fps=25.0
        ),
        "animate": node(
            "LikenessAnimatePortrait", image=["photo", 0], faces=["faces", 0], motion=["motion", 0],
            **({"strength": 1.0, "renderer": "auto"} | changes),
        ),
        "result": node("PreviewImage", images=["animate", 0]),
        "portrait": node("PreviewImage", images=["photo", 0]),
    }  # fmt: skip


def loaded(**changes: Any) -> Prompt:
    return graph(loaded=["renderer", 0]) | {"renderer": node("LikenessLoadLivePortrait", **(OPTIONS | changes))}


def picture(server: ComfyServer, outputs: dict[str, Any], name: str) -> np.ndarray[Any, Any]:
    content = server.picture(outputs[name]["images"][0])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.float32)


@pytest.fixture
def files(comfyui: ComfyServer) -> Iterator[None]:
    """The five files, converted, with random weights; gone afterwards, because `auto` would take them."""
    folder = comfyui.base / "models" / "liveportrait"
    folder.mkdir()
    torch.manual_seed(9)
    for file in NETWORK_FILES:
        name = file.published.removeprefix("liveportrait_")
        save_file(file.build().state_dict(), folder / f"{name}.safetensors")
    yield
    shutil.rmtree(folder)


@pytest.mark.parametrize("prompt", [graph(renderer="liveportrait"), loaded()], ids=["named", "loaded"])
def test_without_its_files_the_error_names_them_and_the_command(comfyui: ComfyServer, prompt: Prompt) -> None:
    with pytest.raises(PromptFailed) as failed:
        comfyui.run(prompt)
    said = str(failed.value)
    assert "LivePortrait needs 5 file(s)" in said and "./likeness fetch liveportrait_" in said
    assert "spade_generator.pth (221.8 MB)" in said and str(comfyui.base / "models" / "liveportrait") in said


def test_auto_takes_what_is_there_and_says_what_is_not(comfyui: ComfyServer) -> None:
    said = comfyui.run(graph())["animate"]["text"][0]
    assert said.startswith("Renderer: mesh") and "Not liveportrait: 5 of its 5 files missing." in said


def test_files_of_the_true_shapes_draw_the_head_and_leave_the_rest(comfyui: ComfyServer, files: None) -> None:
    saving = node(
        "LikenessSavePictures", images=["animate", 0], filename_prefix="moved", provenance=True, sign=False
    )  # fmt: skip
    outputs = comfyui.run(loaded(eye_retargeting=True, lip_retargeting=True) | {"save": saving})
    written = outputs["save"]["images"][0]
    noted = read_statement(comfyui.base / "output" / written["subfolder"] / written["filename"])
    assert noted is not None
    models = noted.operations[-1].models
    assert models[0].name == "liveportrait"
    assert {model.weights_id for model in models[1:]} == {file.converted for file in NETWORK_FILES}
    assert all(len(model.sha256) == 64 for model in models[1:])
    result, portrait = picture(comfyui, outputs, "result"), picture(comfyui, outputs, "portrait")
    changed = np.abs(result - portrait).max(-1)
    assert changed[100:350, 130:380].mean() > 20 and changed[450:].max() == 0
    assert "moves all; stitching, eye retargeting, lip retargeting" in outputs["animate"]["text"][0]
    # nothing moves at strength 0; the renderer that is loaded already is used
    still = comfyui.run(
        loaded(eye_retargeting=True, lip_retargeting=True)
        | {"animate": graph(loaded=["renderer", 0], strength=0.0)["animate"]}
    )
    assert np.array_equal(picture(comfyui, still, "result"), portrait)
