"""The video workflow in the real ComfyUI: what comes out of VIDEO inputs of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from likeness.tests.comfyui_server import ComfyServer, PromptFailed
from likeness.tests.video.drawn import packets, shown
from likeness.tests.workflows.test_workflows import SAMPLES, prompt_of, titled

CLIP = SAMPLES / "grace_hopper_pan.mp4"


def reduced(server: ComfyServer) -> dict[str, Any]:
    """The workflow without its row of tracked frames and without the preview of the result."""
    prompt = prompt_of(server, "swap_in_video")
    batch = {"LikenessTrackFaces", "LikenessDetectFaces", "GetVideoComponents", "PreviewImage"}
    return {key: node for key, node in prompt.items() if node["class_type"] not in batch}


def swap_node(prompt: dict[str, Any]) -> str:
    return next(key for key, node in prompt.items() if node["class_type"] == "LikenessSwapFacesInVideo")


def saved(server: ComfyServer, outputs: dict[str, Any], prompt: dict[str, Any]) -> Path:
    found = outputs[titled(prompt, "Swapped video")]["images"][0]
    return server.base / "output" / found["subfolder"] / found["filename"]


def test_the_swapped_video_has_the_times_and_the_sound_of_the_source(comfyui: ComfyServer) -> None:
    prompt = reduced(comfyui)
    outputs = comfyui.run(prompt)
    video = saved(comfyui, outputs, prompt)
    assert [time for time, _ in shown(video)] == [time for time, _ in shown(CLIP)]
    assert [content for _, content in packets(video, "audio")] == [content for _, content in packets(CLIP, "audio")]
    report = outputs[swap_node(prompt)]["text"][0]
    assert "1 person(s) tracked; 0 frame(s) without a face" in report
    assert "track 0, 24 frame(s): Eileen Collins" in report
    assert not list((comfyui.base / "output" / "likeness_unfinished").iterdir())


def test_a_trimmed_video_gives_its_part_and_who_is_not_meant_stays(comfyui: ComfyServer) -> None:
    prompt = reduced(comfyui)
    node = swap_node(prompt)
    slice_inputs = {"start_time": 0.25, "duration": 0.5, "strict_duration": False}
    prompt["part"] = {
        "class_type": "Video Slice",
        "inputs": {"video": prompt[node]["inputs"]["video"], **slice_inputs},
    }
    prompt[node]["inputs"]["video"] = ["part", 0]
    prompt[node]["inputs"]["people.person0"] = prompt[node]["inputs"]["identities.identity0"]
    outputs = comfyui.run(prompt)
    assert len(shown(saved(comfyui, outputs, prompt))) == 12
    assert "track 0, 12 frame(s): unchanged" in outputs[node]["text"][0]


def test_a_video_made_of_pictures_is_taken_and_everybody_is_swapped_when_nobody_is_named(comfyui: ComfyServer) -> None:
    prompt = reduced(comfyui)
    node = swap_node(prompt)
    photo = titled(prompt, "Who is replaced")
    prompt["frames"] = {"class_type": "RepeatImageBatch", "inputs": {"image": [photo, 0], "amount": 3}}
    prompt["made"] = {"class_type": "CreateVideo", "inputs": {"images": ["frames", 0], "fps": 10.0}}
    prompt[node]["inputs"]["video"] = ["made", 0]
    del prompt[node]["inputs"]["people.person0"]
    outputs = comfyui.run(prompt)
    report = outputs[node]["text"][0]
    assert "track 0, 3 frame(s): Eileen Collins" in report and "sound: none" in report


def test_two_identities_without_people_are_refused_with_the_way_out(comfyui: ComfyServer) -> None:
    prompt = reduced(comfyui)
    inputs = prompt[swap_node(prompt)]["inputs"]
    inputs["identities.identity1"] = inputs.pop("people.person0")
    with pytest.raises(PromptFailed, match="2 identities and 0 people of the video"):
        comfyui.run(prompt)
