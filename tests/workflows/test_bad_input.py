"""What the artist reads when a node is given something it cannot use, in the real ComfyUI."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from likeness.tests.comfyui_server import ComfyServer, PromptFailed

Prompt = dict[str, dict[str, Any]]

DETECT = {"threshold": 0.5, "max_faces": 0, "min_size_px": 0}
BUILD = {"pick": "agreement", "threshold": 0.5, "min_probability": 0.5, "name": "Ada", "consent": ""}
KEEP = {f"keep_{part}": False for part in ("mouth", "eyes", "brows", "nose", "jaw", "forehead")}
SWAP = {"strength": 1.0, "shape": 0.5, "blend": "alpha", **KEEP}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def graph(kind: str = "", **detect: Any) -> Prompt:
    """Photo (made into a hard case), its faces, and the astronaut as identity, ready to be swapped."""
    prompt: Prompt = {
        "photo": node("LoadImage", image="likeness_grace_hopper.jpg"),
        "source": node("LoadImage", image="likeness_astronaut.png"),
        "analysis": node("LikenessLoadFaceAnalysis", backend="embedded"),
        "swapper": node("LikenessLoadSwapper", swapper="mesh"),
    }
    if kind:
        prompt["case"] = node("LikenessTestPicture", image=["photo", 0], kind=kind)
    image = ["case" if kind else "photo", 0]
    prompt["faces"] = node("LikenessDetectFaces", image=image, analysis=["analysis", 0], **(DETECT | detect))
    prompt["person"] = node(
        "LikenessBuildIdentity", analysis=["analysis", 0], **{"photos.photo0": ["source", 0]}, **BUILD
    )
    swap = {"identities.identity0": ["person", 0], "swapper": ["swapper", 0], "faces": ["faces", 0]}
    prompt["swap"] = node("LikenessSwapFaces", image=image, **swap, **SWAP)
    prompt["result"] = node("PreviewImage", images=["swap", 0])
    return prompt


def text_of(prompt: Prompt, source: str, slot: int) -> Prompt:
    """The prompt with nothing but a text output to run."""
    prompt.pop("swap", None)
    prompt["result"] = node("PreviewAny", source=[source, slot])
    return prompt


def message(server: ComfyServer, prompt: Prompt) -> str:
    with pytest.raises(PromptFailed) as failed:
        server.run(prompt)
    return str(failed.value)


def report(server: ComfyServer, prompt: Prompt) -> str:
    return server.run(prompt)["result"]["text"][0]


def test_detect_faces_finds_nothing_without_an_error_and_swap_faces_says_so(comfyui: ComfyServer) -> None:
    found = report(comfyui, text_of(graph("noise"), "faces", 3))
    assert found.startswith("0 face(s) in 1 picture(s) of 512 × 600 px")

    said = message(comfyui, graph("noise"))
    assert "none of the 1 picture(s) (512 × 600 px) has a face" in said
    assert "Lower the threshold" in said


def test_a_face_below_the_threshold_is_reported_with_its_score(comfyui: ComfyServer) -> None:
    found = report(comfyui, text_of(graph(threshold=1.0), "faces", 3))
    assert "The best score below the threshold is 0.9" in found
    assert "The best candidate scored 0.9" in message(comfyui, graph(threshold=1.0))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("tiny", "40 × 48 px; faces can be found from 64 px per side on"),
        ("empty", "empty batch of 512 × 600 px"),
        ("nan", "1 pixel values that are NaN or infinite in frame 0"),
    ],
)
def test_a_picture_that_cannot_be_searched_is_refused_with_its_numbers(
    comfyui: ComfyServer, kind: str, expected: str
) -> None:
    assert expected in message(comfyui, graph(kind))


@pytest.mark.parametrize("kind", ["alpha", "grey", "16k"])
def test_alpha_grey_and_very_wide_pictures_are_searched_like_any_other(comfyui: ComfyServer, kind: str) -> None:
    assert report(comfyui, text_of(graph(kind), "faces", 3)).startswith("1 face(s) in 1 picture(s)")


def test_a_picture_without_a_face_passes_a_swap_when_another_one_has_a_face(comfyui: ComfyServer) -> None:
    prompt = graph("batch with one face")
    prompt["report"] = node("PreviewAny", source=["swap", 2])
    outputs = comfyui.run(prompt)
    assert len(outputs["result"]["images"]) == 2
    lines = outputs["report"]["text"][0].splitlines()
    assert lines[0] == "1 of 1 face(s) swapped."
    assert lines[1] == "picture 0: no face, passed unchanged"


def test_a_mask_of_another_size_is_refused_with_both_sizes(comfyui: ComfyServer) -> None:
    prompt = graph()
    prompt["mask"] = node("SolidMask", value=1.0, width=300, height=200)
    prompt["swap"]["inputs"]["mask"] = ["mask", 0]
    said = message(comfyui, prompt)
    assert "(1, 200, 300)" in said and "(1, 600, 512)" in said


def test_faces_of_another_picture_are_refused_with_both_sizes(comfyui: ComfyServer) -> None:
    prompt = graph()
    prompt["swap"]["inputs"]["image"] = ["source", 0]
    said = message(comfyui, prompt)
    assert "512 × 512 px" in said and "512 × 600 px" in said


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", "con", "C:\\x"])
def test_a_name_that_leaves_the_folder_is_refused(comfyui: ComfyServer, name: str) -> None:
    prompt = graph()
    prompt.pop("swap")
    prompt["result"] = node("LikenessSaveIdentity", identity=["person", 0], name=name, if_exists="number")
    assert "cannot be used for a file" in message(comfyui, prompt)
    assert not list(comfyui.base.rglob("*evil*"))


def identities(server: ComfyServer) -> Path:
    folder = server.base / "models" / "likeness" / "identities"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load(file: str, **inputs: Any) -> Prompt:
    return {
        "analysis": node("LikenessLoadFaceAnalysis", backend="embedded"),
        "person": node("LikenessLoadIdentity", file=file, **inputs),
        "result": node("PreviewAny", source=["person", 2]),
    }


def test_a_missing_file_is_refused_with_those_there_are(comfyui: ComfyServer) -> None:
    (identities(comfyui) / "other.safetensors").write_bytes(b"")
    said = message(comfyui, load("nobody.safetensors"))
    assert "There is no saved identity 'nobody.safetensors'" in said and "other.safetensors" in said


@pytest.mark.parametrize("file", ["../../../server.log", "/etc/passwd"])
def test_a_file_outside_the_folder_is_not_read(comfyui: ComfyServer, file: str) -> None:
    assert "There is no saved identity" in message(comfyui, load(file))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("truncated", struct.pack("<Q", 4000) + b'{"crops": {'),
        ("huge_header", struct.pack("<Q", 2**62) + b"{}"),
        ("no_identity", struct.pack("<Q", 2) + b"{}"),
        ("pickle", b"\x80\x04\x95cos\nsystem\n(S'true'\ntR."),
    ],
)
def test_a_hostile_identity_file_is_refused_by_name(comfyui: ComfyServer, name: str, content: bytes) -> None:
    (identities(comfyui) / f"{name}.safetensors").write_bytes(content)
    assert f"{name}.safetensors is refused" in message(comfyui, load(f"{name}.safetensors"))


def test_an_identity_of_another_recogniser_is_named_and_can_be_encoded_again(comfyui: ComfyServer) -> None:
    prompt = graph()
    prompt.pop("swap")
    prompt["result"] = node("LikenessSaveIdentity", identity=["person", 0], name="foreign", if_exists="overwrite")
    comfyui.run(prompt)
    rename_encoder(identities(comfyui) / "foreign.safetensors", "arcface_glintr100")

    compare: Prompt = load("foreign.safetensors")
    people = {"identities.identity0": ["person", 0], "identities.identity1": ["person", 0]}
    compare["result"] = node("LikenessCompareIdentities", analysis=["analysis", 0], **people)
    said = message(comfyui, compare)
    assert "no vector of the recogniser 'dlib_resnet_128', it has those of arcface_glintr100" in said
    assert "encode it again" in said

    compare["person"]["inputs"]["analysis"] = ["analysis", 0]
    assert "distance 0.000" in comfyui.run(compare)["result"]["text"][0]


def rename_encoder(path: Path, encoder: str) -> None:
    """Make a saved identity look as if another recogniser had encoded it."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    meta = json.loads(header["__metadata__"]["identity"])
    meta["encoders"][0]["name"] = encoder
    header["__metadata__"]["identity"] = json.dumps(meta)
    changed = json.dumps(header).encode()
    changed += b" " * (-len(changed) % 8)
    path.write_bytes(struct.pack("<Q", len(changed)) + changed + data[8 + length :])


def test_a_backend_whose_files_are_missing_says_which_and_where(comfyui: ComfyServer) -> None:
    prompt = text_of(graph(), "analysis", 1)
    prompt["analysis"]["inputs"]["backend"] = "buffalo_l"
    said = message(comfyui, {key: prompt[key] for key in ("analysis", "result")})
    assert ".onnx" in said and "insightface" in said and "./likeness fetch" in said
