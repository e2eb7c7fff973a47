"""Who is refused by the graphs of an installation with protected people, in the real ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from likeness.benchmarks.pictures import read_picture
from likeness.pipelines.identity.analysis import load_embedded_analysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.storage import save_identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.comfyui_server import ComfyServer, PromptFailed
from likeness.tests.workflows.test_provenance_nodes import cropped, of_kind
from likeness.tests.workflows.test_speech_nodes import DUB, LISTEN, PORTRAIT
from likeness.tests.workflows.test_workflows import SAMPLES, prompt_of, titled


@pytest.fixture
def prompt(comfyui: ComfyServer) -> dict[str, Any]:
    return prompt_of(comfyui, "save_with_provenance")


#: Eileen Collins is among the protected people.
@pytest.fixture(autouse=True)
def listed(comfyui: ComfyServer) -> Iterator[None]:
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    eileen = build_identity(analysis, [read_picture(SAMPLES / "astronaut.png")], name="E. Collins")[0]
    path = save_identity(eileen, comfyui.base / "models" / "likeness" / "protected")
    yield
    path.unlink()


def test_building_her_identity_is_refused(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    prompt[titled(prompt, "Source person")]["inputs"]["name"] = "a new name"
    with pytest.raises(PromptFailed, match=r"'E\. Collins' \(distance 0\.00, limit 0\.5\).*protected"):
        comfyui.run(prompt)


def test_changing_her_face_is_refused(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    source, target = titled(prompt, "Source photo"), titled(prompt, "Target photo")
    inputs = json.loads(json.dumps([prompt[target]["inputs"], prompt[source]["inputs"]]))
    prompt[source]["inputs"], prompt[target]["inputs"] = inputs
    prompt[titled(prompt, "Source person")]["inputs"]["name"] = "Grace Hopper"
    with pytest.raises(PromptFailed, match=r"A face of picture 0 of the input is 'E\. Collins'"):
        comfyui.run(prompt)


def test_changing_her_face_in_its_crop_is_refused_and_putting_it_back_as_it_was_is_not(
    comfyui: ComfyServer, prompt: dict[str, Any]
) -> None:
    photo, found = titled(prompt, "Source photo"), of_kind(prompt, "DetectFaces")
    prompt[found]["inputs"]["image"] = [photo, 0]
    kept = {key: prompt[key] for key in (photo, found, of_kind(prompt, "LoadFaceAnalysis"))} | cropped(photo, found)
    kept["out"] = {"class_type": "PreviewImage", "inputs": {"images": ["put back", 0]}}
    with pytest.raises(PromptFailed, match=r"A face of picture 0 of the input is 'E\. Collins'.*protected"):
        comfyui.run(kept)
    kept["put back"]["inputs"]["changed"] = ["crop", 1]
    assert comfyui.run(kept)["put back"]["text"][0] == "Put 1 face(s) back into 1 picture(s)."


def test_moving_her_face_is_refused_and_making_it_crisp_is_not(comfyui: ComfyServer, prompt: dict[str, Any]) -> None:
    photo, found = titled(prompt, "Source photo"), of_kind(prompt, "DetectFaces")
    prompt[found]["inputs"]["image"] = [photo, 0]
    given = {"image": [photo, 0], "faces": [found, 0], "strength": 1.0}
    motion = {"emotion": "happiness", "intensity": 0.5, "seconds": 0.0, "rise_s": 0.0, "fall_s": 0.0, "fps": 25.0}
    kept = {key: prompt[key] for key in (photo, found, of_kind(prompt, "LoadFaceAnalysis"))} | {
        "happy": {"class_type": "LikenessEmotion", "inputs": motion},
        "out": {"class_type": "PreviewImage", "inputs": {"images": ["act", 0]}},
        "restorer": {"class_type": "LikenessLoadFaceRestorer", "inputs": {"restorer": "sharpen"}},
    }
    moves = {"motion": ["happy", 0], "renderer": "mesh"}
    with pytest.raises(PromptFailed, match=r"A face of picture 0 of the input is 'E\. Collins'"):
        comfyui.run(kept | {"act": {"class_type": "LikenessAnimatePortrait", "inputs": given | moves}})
    crisp = {"restorer": ["restorer", 0], "fidelity": 0.5, "area": "face"}
    outputs = comfyui.run(kept | {"act": {"class_type": "LikenessRestoreFaces", "inputs": given | crisp}})
    assert outputs["act"]["text"][0].startswith("1 face(s) restored with sharpen.")


@pytest.fixture
def her_motion(comfyui: ComfyServer, prompt: dict[str, Any]) -> dict[str, Any]:
    """Her photo and a motion, with a node that is to bring both together."""
    photo, loader = titled(prompt, "Source photo"), of_kind(prompt, "LoadFaceAnalysis")
    motion = {"emotion": "happiness", "intensity": 0.5, "seconds": 0.2, "rise_s": 0.0, "fall_s": 0.0, "fps": 10.0}
    saving = {"video": ["made", 0], "filename_prefix": "her", "format": "auto", "codec": "auto"}
    sound = {"duration": 0.2, "sample_rate": 16000, "channels": 1}
    return {
        "photo": prompt[photo],
        "analysis": prompt[loader],
        "happy": {"class_type": "LikenessEmotion", "inputs": motion},
        "sound": {"class_type": "EmptyAudio", "inputs": sound},
        "save": {"class_type": "SaveVideo", "inputs": saving},
    }


def test_a_video_of_her_photo_is_refused(comfyui: ComfyServer, her_motion: dict[str, Any]) -> None:
    found = {"image": ["photo", 0], "analysis": ["analysis", 0], "threshold": 0.5, "max_faces": 0, "min_size_px": 0}
    moved = PORTRAIT | {"image": ["photo", 0], "faces": ["faces", 0], "motions.motion0": ["happy", 0]}
    her_motion["faces"] = {"class_type": "LikenessDetectFaces", "inputs": found}
    her_motion["made"] = {"class_type": "LikenessAnimatePortraitToVideo", "inputs": moved}
    with pytest.raises(PromptFailed, match=r"A face of picture 0 of the input is 'E\. Collins'.*protected"):
        comfyui.run(her_motion)
    assert not list((comfyui.base / "output" / "likeness_unfinished").glob("*"))


def test_dubbing_a_video_of_her_is_refused_when_she_appears(comfyui: ComfyServer, her_motion: dict[str, Any]) -> None:
    given = {"video": ["film", 0], "audio": ["sound", 0], "analysis": ["analysis", 0], "motion": ["happy", 0]}
    her_motion |= {
        "frames": {"class_type": "RepeatImageBatch", "inputs": {"image": ["photo", 0], "amount": 2}},
        "film": {"class_type": "CreateVideo", "inputs": {"images": ["frames", 0], "fps": 10.0}},
        "made": {"class_type": "LikenessDubVideo", "inputs": LISTEN | DUB | given},
    }
    with pytest.raises(PromptFailed, match=r"the video, at 0\.00 s is 'E\. Collins'.*protected"):
        comfyui.run(her_motion)
    assert not list((comfyui.base / "output" / "likeness_unfinished").glob("*"))


def test_changing_her_face_in_a_video_is_refused_when_she_appears(comfyui: ComfyServer) -> None:
    prompt = prompt_of(comfyui, "swap_in_video")
    photo = titled(prompt, "Who is replaced")
    swap = next(node for node in prompt.values() if node["class_type"] == "LikenessSwapFacesInVideo")
    source, her = prompt[titled(prompt, "Source photo")]["inputs"], prompt[photo]["inputs"]
    source["image"], her["image"] = her["image"], source["image"]
    prompt["frames"] = {"class_type": "RepeatImageBatch", "inputs": {"image": [photo, 0], "amount": 2}}
    prompt["made"] = {"class_type": "CreateVideo", "inputs": {"images": ["frames", 0], "fps": 10.0}}
    swap["inputs"]["video"] = ["made", 0]
    swap["inputs"].pop("people.person0")
    with pytest.raises(PromptFailed, match=r"the video, at 0\.00 s is 'E\. Collins'"):
        comfyui.run(prompt)
    assert not list((comfyui.base / "output" / "likeness_unfinished").glob("*"))
