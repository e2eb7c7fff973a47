"""Every example workflow in the real ComfyUI, through its HTTP API."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from likeness.cli.workflow import to_prompt
from likeness.tests.comfyui_server import ROOT, ComfyServer, PromptFailed
from likeness.tests.workflows.tiny_prompts import with_tiny_models

FOLDER = ROOT / "example_workflows"
WORKFLOWS = sorted(FOLDER.glob("*.json"))
SAMPLES = ROOT / "assets" / "samples"

#: Title of a blueprint, the example workflow that uses it, its dials.
BLUEPRINTS = (
    (
        "Diffusion Swap",
        "diffusion_swap",
        {"denoise", "identity_strength", "pose_strength", "seed", "steps", "cfg", "crop_size"},
    ),
    ("Talking Portrait", "talking_portrait", {"transcript", "language", "emotion", "mouth", "head", "seed", "fps"}),
)

Prompt = dict[str, dict[str, Any]]


def read(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def prompt_of(server: ComfyServer, name: str) -> Prompt:
    """The API prompt of an example workflow; core's landmarker and large models, which a test has not, give way."""
    return with_tiny_models(to_prompt(read(name), server.get("/object_info")))


def titled(prompt: Prompt, title: str) -> str:
    """The id of the node with this title."""
    return next(key for key, node in prompt.items() if node.get("_meta", {}).get("title") == title)


def picture(server: ComfyServer, outputs: dict[str, Any], node_id: str) -> np.ndarray[Any, Any]:
    content = server.picture(outputs[node_id]["images"][0])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.float32)


@pytest.fixture(scope="module")
def saved_identity(comfyui: ComfyServer) -> Path:
    """The file that save_an_identity writes and use_a_saved_identity reads."""
    comfyui.run(prompt_of(comfyui, "save_an_identity"))
    return comfyui.base / "models" / "likeness" / "identities" / "Eileen Collins.safetensors"


def test_the_server_loads_the_pack_without_complaint(comfyui: ComfyServer) -> None:
    log = comfyui.log.read_text(encoding="utf-8", errors="replace")
    assert "IMPORT FAILED" not in log
    assert "Cannot import" not in log
    assert "Error while calling comfy_entrypoint" not in log
    assert "is left out because its schema" not in log


@pytest.mark.parametrize("name", [path.stem for path in WORKFLOWS])
def test_an_example_workflow_runs_and_gives_every_output(
    comfyui: ComfyServer, saved_identity: Path, adapter_files: None, name: str
) -> None:
    prompt = prompt_of(comfyui, name)
    outputs = comfyui.run(prompt)

    result = titled(prompt, "Result")
    assert picture(comfyui, outputs, result).std() > 5
    shown = {key for key, node in prompt.items() if node["class_type"] in ("SaveImage", "MaskPreview")}
    assert shown <= set(outputs)


def test_the_demo_puts_the_source_person_onto_the_target_and_changes_nothing_else(comfyui: ComfyServer) -> None:
    prompt = prompt_of(comfyui, "swap_a_face")
    prompt["target"] = {"class_type": "PreviewImage", "inputs": {"images": [titled(prompt, "Target photo"), 0]}}
    outputs = comfyui.run(prompt)
    result = picture(comfyui, outputs, titled(prompt, "Result"))
    mask = picture(comfyui, outputs, titled(prompt, "What was changed"))[..., 0]
    target = picture(comfyui, outputs, "target")

    difference = np.abs(result - target).max(-1)
    assert difference[mask == 0].max() <= 1  # where the mask is below 1/255, a pixel can still turn over in 8 bit
    assert difference[mask > 200].mean() > 5
    assert 0.02 < (mask > 0).mean() < 0.25

    distances = distances_of(outputs[titled(prompt, "Same person?")]["text"][0])
    assert distances[frozenset({"Eileen Collins", "result"})] <= 0.40
    assert distances[frozenset({"Grace Hopper", "result"})] > 0.5


def distances_of(report: str) -> dict[frozenset[str], float]:
    found = re.findall(r"^(.+) and (.+): distance ([0-9.]+),", report, re.MULTILINE)
    return {frozenset({first, second}): float(distance) for first, second, distance in found}


def test_two_people_exchange_their_faces(comfyui: ComfyServer) -> None:
    prompt = prompt_of(comfyui, "swap_several_faces")
    swap = next(key for key, node in prompt.items() if node["class_type"] == "LikenessSwapFaces")
    report = comfyui.run(prompt)[swap]["text"][0]

    lines = report.splitlines()
    assert lines[0] == "2 of 2 face(s) swapped."
    assert lines[1].endswith("Grace Hopper")
    assert lines[2].endswith("Eileen Collins")


def test_in_a_group_picture_likeness_decides_who_becomes_whom(comfyui: ComfyServer) -> None:
    prompt = prompt_of(comfyui, "swap_by_likeness")
    swap = next(key for key, node in prompt.items() if node["class_type"] == "LikenessSwapFaces")
    lines = comfyui.run(prompt)[swap]["text"][0].splitlines()
    assert lines[0] == "2 of 2 face(s) swapped, by likeness."
    assert re.fullmatch(r"picture 0, face 0 is Grace Hopper \(\d+%\), becomes Eileen Collins", lines[1])
    assert re.fullmatch(r"picture 0, face 1 is Eileen Collins \(\d+%\), becomes Grace Hopper", lines[2])
    del prompt[swap]["inputs"]["analysis"]
    with pytest.raises(PromptFailed, match="connect Load Face Analysis"):
        comfyui.run(prompt)


def test_restoring_changes_the_face_and_nothing_else(comfyui: ComfyServer) -> None:
    prompt = prompt_of(comfyui, "restore_faces")
    kept = {key: node for key, node in prompt.items() if "Video" not in node["class_type"]}
    outputs = comfyui.run(kept)
    after, before = (picture(comfyui, outputs, titled(kept, title)) for title in ("Result", "Before"))
    mask = picture(comfyui, outputs, titled(kept, "What was changed"))[..., 0]
    difference = np.abs(after - before).max(-1)
    assert difference[mask == 0].max() <= 1 and difference[mask > 200].mean() > 2
    loaded = next(key for key, node in kept.items() if node["class_type"] == "LikenessLoadFaceRestorer")
    assert "Restorer: sharpen" in outputs[loaded]["text"][0]
    assert "missing: codeformer" in outputs[loaded]["text"][0]


def test_a_diffusion_swap_paints_the_face_and_nothing_else(comfyui: ComfyServer, adapter_files: None) -> None:
    prompt = prompt_of(comfyui, "diffusion_swap")
    prompt["target"] = {"class_type": "PreviewImage", "inputs": {"images": [titled(prompt, "Target photo"), 0]}}
    outputs = comfyui.run(prompt)
    result, target = (picture(comfyui, outputs, key) for key in (titled(prompt, "Result"), "target"))
    mask = picture(comfyui, outputs, titled(prompt, "What was changed"))[..., 0]
    difference = np.abs(result - target).max(-1)
    assert difference[mask == 0].max() <= 1 and difference[mask > 250].mean() > 5
    assert 0.02 < (mask > 0).mean() < 0.3
    crop = next(key for key, node in prompt.items() if node["class_type"] == "LikenessCropFaces")
    assert ":" in crop  # inside the blueprint


@pytest.mark.parametrize(("title", "workflow", "dials"), BLUEPRINTS)
def test_a_blueprint_is_offered_and_is_the_one_of_the_example_workflow(
    comfyui: ComfyServer, title: str, workflow: str, dials: set[str]
) -> None:
    offered = [entry["name"] for entry in comfyui.get("/global_subgraphs").values()]
    assert title in offered
    blueprint = json.loads((ROOT / "subgraphs" / f"{title}.json").read_text(encoding="utf-8"))
    assert blueprint["definitions"] == read(workflow)["definitions"]
    (host,) = blueprint["nodes"]
    inside = blueprint["definitions"]["subgraphs"][0]
    assert host["type"] == inside["id"] and all(entry["link"] is None for entry in host["inputs"])
    assert dials <= {entry["name"] for entry in host["inputs"]}
    known = set(comfyui.get("/object_info"))
    assert {node["type"] for node in inside["nodes"]} <= known


def test_the_builder_names_the_photo_of_somebody_else(comfyui: ComfyServer, saved_identity: Path) -> None:
    prompt = prompt_of(comfyui, "save_an_identity")
    build = next(key for key, node in prompt.items() if node["class_type"] == "LikenessBuildIdentity")
    report = comfyui.run(prompt)[build]["text"][0]

    assert "2 of 3 photo(s) used" in report
    assert "photo 3 of 3: rejected: it looks like another person" in report
    assert saved_identity.stat().st_size > 500_000


def test_running_a_workflow_again_runs_no_node_again(comfyui: ComfyServer) -> None:
    prompt = prompt_of(comfyui, "swap_a_face")
    comfyui.run(prompt)
    answer = comfyui.post("/prompt", {"prompt": prompt, "client_id": "again"})
    comfyui.wait(answer["prompt_id"])
    messages = dict(comfyui.get(f"/history/{answer['prompt_id']}")[answer["prompt_id"]]["status"]["messages"])
    assert set(messages["execution_cached"]["nodes"]) == set(prompt)


def test_the_page_is_offered_help_scripts_texts_and_templates(comfyui: ComfyServer) -> None:
    scripts = comfyui.get("/extensions")
    assert {"/extensions/ComfyUI-Likeness/report.js", "/extensions/ComfyUI-Likeness/wires.js"} <= set(scripts)
    for node_id in json.loads((ROOT / "tests" / "node_surface.json").read_text(encoding="utf-8")):
        assert comfyui.get_bytes(f"/extensions/ComfyUI-Likeness/docs/{node_id}.md").startswith(b"# ")
    assert comfyui.get("/i18n")["en"]["nodeDefs"]["LikenessSwapFaces"]["display_name"] == "Swap Faces"
    assert set(comfyui.get("/workflow_templates")["ComfyUI-Likeness"]) == {path.stem for path in WORKFLOWS}
    assert comfyui.get_bytes("/api/workflow_templates/ComfyUI-Likeness/swap_a_face.jpg")[:2] == b"\xff\xd8"


def test_every_node_is_in_an_example_workflow() -> None:
    surface = json.loads((ROOT / "tests" / "node_surface.json").read_text(encoding="utf-8"))
    used = {node["type"] for path in WORKFLOWS for node in read(path.stem)["nodes"]}
    assert set(surface) - used == set()


@pytest.mark.parametrize("name", [path.stem for path in WORKFLOWS])
def test_an_example_workflow_has_a_thumbnail_a_note_and_public_pictures(name: str) -> None:
    thumbnail = Image.open(FOLDER / f"{name}.jpg")
    assert thumbnail.width >= 400 and thumbnail.height >= 300
    assert (FOLDER / f"{name}.jpg").stat().st_size < 150_000
    nodes = read(name)["nodes"]
    assert [node for node in nodes if node["type"] == "MarkdownNote"]
    photos = {node["widgets_values"][0] for node in nodes if node["type"] == "LoadImage"}
    assert photos <= {f"likeness_{path.name}" for path in SAMPLES.iterdir()}
