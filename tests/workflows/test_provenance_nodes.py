"""What saved files say about themselves, and who is refused, in the real ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.pipelines.safety.credentials import read_credentials
from likeness.pipelines.safety.picture_files import read_statement
from likeness.pipelines.safety.statement import Statement
from likeness.tests.comfyui_server import ComfyServer, PromptFailed
from likeness.tests.safety.certificates import write_certificate
from likeness.tests.workflows.test_workflows import prompt_of, titled


@pytest.fixture
def prompt(comfyui: ComfyServer) -> dict[str, Any]:
    return prompt_of(comfyui, "save_with_provenance")


def ran(server: ComfyServer, prompt: dict[str, Any]) -> tuple[Path, str, str]:
    """The saved file, the report of the node that saved it and that of the node that read it."""
    outputs = server.run(prompt)
    result = outputs[titled(prompt, "Result")]
    found = result["images"][0]
    read = outputs[titled(prompt, "What the file says")]["text"][0]
    return server.base / "output" / found["subfolder"] / found["filename"], result["text"][0], read


def of_kind(prompt: dict[str, Any], kind: str) -> str:
    (key,) = (key for key, node in prompt.items() if node["class_type"] == f"Likeness{kind}")
    return key


def statement(path: Path) -> Statement:
    found = read_statement(path)
    assert found is not None
    return found


def test_a_saved_swap_says_who_was_put_onto_which_face_by_what(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    path, report, read = ran(comfyui, prompt)
    build, swap = statement(path).operations
    assert (build.node, swap.node) == ("LikenessBuildIdentity", "LikenessSwapFaces")
    person = swap.people[0]
    assert (person.name, person.consent) == ("Eileen Collins", "public-domain portrait, NASA")
    assert len(person.sources_sha256) == 1 and len(person.sources_sha256[0]) == 64
    assert [model.name for model in swap.models] == ["mesh", "face_blendshapes_52"]
    assert (len(swap.models[1].sha256), swap.models[1].file) == (64, "face_blendshapes_52.safetensors")
    assert swap.settings["strength"] == 1.0
    (x0, y0, x1, y1), *others = swap.faces[0]
    assert not others and 100 < x1 - x0 < 300 and 100 < y1 - y0 < 300
    assert "Not signed: there is no certificate." in report
    assert "person 'Eileen Collins'" in read and "No content credentials." in read


def test_a_face_made_crisp_is_in_the_statement_with_what_made_it(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    saving, swap = prompt[titled(prompt, "Result")]["inputs"], of_kind(prompt, "SwapFaces")
    faces = prompt[swap]["inputs"]["faces"]
    prompt["restorer"] = {"class_type": "LikenessLoadFaceRestorer", "inputs": {"restorer": "sharpen"}}
    prompt["crisp"] = {
        "class_type": "LikenessRestoreFaces",
        "inputs": {"image": [swap, 0], "faces": faces, "restorer": ["restorer", 0], "strength": 0.5, "fidelity": 0.5,
                   "area": "face"},
    }  # fmt: skip
    saving["images"] = ["crisp", 0]
    path, _, read = ran(comfyui, prompt)
    crisp = statement(path).operations[-1]
    assert (crisp.node, crisp.settings["strength"], len(crisp.faces[0])) == ("LikenessRestoreFaces", 0.5, 1)
    assert [(model.name, model.licence) for model in crisp.models] == [("sharpen", "Apache-2.0 (this pack)")]
    assert "faces made crisp; 1 face(s) in 1 picture(s); by sharpen (Apache-2.0 (this pack))" in read


def test_the_statement_survives_nodes_of_others_and_results_from_the_cache(
    comfyui: ComfyServer, prompt: dict[str, Any]
) -> None:
    saving = prompt[titled(prompt, "Result")]["inputs"]
    prompt["turned"] = {
        "class_type": "ImageFlip",
        "inputs": {"image": saving["images"], "flip_method": "y-axis: horizontally"},
    }
    saving["images"] = ["turned", 0]
    for prefix in ("likeness/first", "likeness/second"):
        saving["filename_prefix"] = prefix
        path, _, _ = ran(comfyui, prompt)
        assert [part.node for part in statement(path).operations] == ["LikenessBuildIdentity", "LikenessSwapFaces"]


def test_a_branch_without_faces_changed_says_so_beside_one_with(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    photo = titled(prompt, "Target photo")
    prompt[titled(prompt, "Result")]["inputs"]["images"] = [photo, 0]
    path, report, _ = ran(comfyui, prompt)
    assert statement(path).operations == () and "was applied to a face" in report


def test_what_a_loaded_picture_says_goes_on_in_what_is_made_of_it(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    path, _, _ = ran(comfyui, prompt)
    photo = titled(prompt, "Target photo")
    (comfyui.base / "input" / "worked_on.png").write_bytes(path.read_bytes())
    prompt[photo]["inputs"]["image"] = "worked_on.png"
    prompt[titled(prompt, "Result")]["inputs"]["images"] = [photo, 0]
    again, _, _ = ran(comfyui, prompt)
    assert statement(again).operations == statement(path).operations


def test_provenance_can_be_turned_off_and_the_user_is_told(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    prompt[titled(prompt, "Result")]["inputs"]["provenance"] = False
    path, report, read = ran(comfyui, prompt)
    assert read_statement(path) is None
    assert "Provenance is off" in report and "carries no statement" in read


def test_a_video_says_it_too(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    result, read = titled(prompt, "Result"), titled(prompt, "What the file says")
    saving = prompt[result]["inputs"]
    prompt["clip"] = {"class_type": "CreateVideo", "inputs": {"images": saving.pop("images"), "fps": 5.0}}
    prompt[result] = {"class_type": "LikenessSaveVideo", "inputs": saving | {"video": ["clip", 0]}}
    outputs = comfyui.run(prompt)
    found = outputs[result]["images"][0]
    path = comfyui.base / "output" / found["subfolder"] / found["filename"]
    assert [part.node for part in statement(path).operations] == ["LikenessBuildIdentity", "LikenessSwapFaces"]
    assert "person 'Eileen Collins'" in outputs[read]["text"][0]
    assert [name.name for name in path.parent.iterdir() if name.name.startswith(".")] == []


def test_a_face_changed_in_its_crop_is_in_the_statement_and_one_put_back_as_it_was_is_not(
    comfyui: ComfyServer, prompt: dict[str, Any]
) -> None:
    photo, found = titled(prompt, "Target photo"), of_kind(prompt, "DetectFaces")
    prompt |= cropped(photo, found)
    prompt[titled(prompt, "Result")]["inputs"]["images"] = ["put back", 0]
    path, _, read = ran(comfyui, prompt)
    (put_back,) = statement(path).operations
    assert put_back.node == "LikenessStitchFaces" and [len(boxes) for boxes in put_back.faces] == [1]
    assert "face changed in its crop and put back; 1 face(s) in 1 picture(s)" in read
    prompt["put back"]["inputs"]["changed"] = ["crop", 1]
    assert statement(ran(comfyui, prompt)[0]).operations == ()


def cropped(photo: str, found: str) -> dict[str, Any]:
    """Crops of faces, inverted and put back."""
    cut = {"size": 512, "zoom": 1.0, "template": "ffhq_512", "mask": "box", "grow": 0.0, "feather": 0.06}
    given = {"blend": "alpha", "colour": "none", "grain": 0.0, "linear_light": False, "order": "as_given"}
    return {
        "crop": {"class_type": "LikenessCropFaces", "inputs": {"image": [photo, 0], "faces": [found, 0], **cut}},
        "other": {"class_type": "ImageInvert", "inputs": {"image": ["crop", 1]}},
        "put back": {
            "class_type": "LikenessStitchFaces",
            "inputs": {"image": [photo, 0], "crops": ["crop", 0], "changed": ["other", 0], **given},
        },
    }


def test_what_a_loaded_video_says_goes_on_with_the_people_who_were_worked_on(
    comfyui: ComfyServer, prompt: dict[str, Any]
) -> None:
    result, photo, analysis = (
        titled(prompt, "Result"), titled(prompt, "Target photo"), of_kind(prompt, "LoadFaceAnalysis")
    )  # fmt: skip
    saving = prompt[result]["inputs"]
    del saving["images"]
    common = {"analysis": [analysis, 0], "strength": 1.0, "threshold": 0.5, "smoothing": "none", "crf": 23}
    restoring = common | {"restorer": ["restorer", 0], "fidelity": 0.5, "area": "face"}
    prompt |= {
        "frames": {"class_type": "RepeatImageBatch", "inputs": {"image": [photo, 0], "amount": 3}},
        "film": {"class_type": "CreateVideo", "inputs": {"images": ["frames", 0], "fps": 5.0}},
        "restorer": {"class_type": "LikenessLoadFaceRestorer", "inputs": {"restorer": "sharpen"}},
        "crisp": {"class_type": "LikenessRestoreFacesInVideo", "inputs": restoring | {"video": ["film", 0]}},
        result: prompt[result] | {"class_type": "LikenessSaveVideo", "inputs": saving | {"video": ["crisp", 0]}},
    }
    first, _, read = ran(comfyui, prompt)
    (crisp,) = statement(first).operations
    (track,) = crisp.tracks
    assert (track.number, track.first_frame, track.last_frame) == (0, 0, 2)
    assert (
        all(100 < x1 - x0 < 300 for x0, _, x1, _ in track.boxes) and "1 person(s) in frames 0 to 2 of a video" in read
    )
    assert {"sharpen", "dlib_resnet_128"} <= {model.name for model in crisp.models}
    (comfyui.base / "input" / "worked_on.mp4").write_bytes(first.read_bytes())
    prompt["film"] = {"class_type": "LoadVideo", "inputs": {"file": "worked_on.mp4"}}
    prompt[result]["inputs"]["video"] = ["film", 0]
    assert statement(ran(comfyui, prompt)[0]).operations == (crisp,)
    prompt["crisp"]["inputs"]["strength"] = 0.5
    prompt[result]["inputs"]["video"] = ["crisp", 0]
    before, after = statement(ran(comfyui, prompt)[0]).operations
    assert before == crisp and (after.node, after.settings["strength"]) == ("LikenessRestoreFacesInVideo", 0.5)


@pytest.fixture
def certificate(comfyui: ComfyServer) -> Iterator[None]:
    pytest.importorskip("c2pa", reason="content credentials need c2pa-python")
    folder = comfyui.base / "user" / "__likeness"
    write_certificate(folder)
    yield
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.usefixtures("certificate")
def test_with_a_certificate_the_file_is_signed_and_a_later_change_shows(
    comfyui: ComfyServer, prompt: dict[str, Any]
) -> None:
    prompt[titled(prompt, "Result")]["inputs"]["filename_prefix"] = "likeness/signed"
    path, report, read = ran(comfyui, prompt)
    signature = read_credentials(path)
    assert signature is not None and signature.state == "Valid" and signature.statement == statement(path)
    assert "Signed with" in report and "Content credentials: Valid" in read
    path.write_bytes(path.read_bytes().replace(b"Eileen Collins", b"Somebody Elses"))
    changed = read_credentials(path)
    assert changed is not None and changed.state == "Invalid"


def test_the_certificate_s_folder_is_not_served(comfyui: ComfyServer) -> None:
    folder = comfyui.base / "user" / "__likeness"
    folder.mkdir(exist_ok=True)
    (folder / "private_key.pem").write_text("secret")
    try:
        for address in ("/userdata/..%2F__likeness%2Fprivate_key.pem", "/view?filename=private_key.pem&type=user"):
            with pytest.raises(Exception, match="40[034]"):
                comfyui.get(address)
    finally:
        (folder / "private_key.pem").unlink()


def test_a_file_outside_comfyui_s_folders_is_not_read(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    reading = prompt[titled(prompt, "What the file says")]["inputs"]
    prompt["name"] = {"class_type": "PrimitiveString", "inputs": {"value": "../models/../../secret.png"}}
    reading["saved"] = ["name", 0]
    with pytest.raises(PromptFailed, match=r"Invalid file path: '\.\./models"):
        comfyui.run(prompt)
