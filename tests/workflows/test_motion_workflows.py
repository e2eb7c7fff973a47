"""Motion in the real ComfyUI: curves, files, and what the artist reads when a motion cannot be made."""

from __future__ import annotations

from typing import Any

import pytest

from likeness.tests.comfyui_server import ComfyServer, PromptFailed

Prompt = dict[str, dict[str, Any]]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def emotion(name: str = "surprise", seconds: float = 1.0, fps: float = 25.0) -> dict[str, Any]:
    return node("LikenessEmotion", emotion=name, intensity=1.0, seconds=seconds, rise_s=0.2, fall_s=0.2, fps=fps)


def text(prompt: Prompt, source: str, slot: int) -> Prompt:
    return prompt | {"result": node("PreviewAny", source=[source, slot])}


def message(server: ComfyServer, prompt: Prompt) -> str:
    with pytest.raises(PromptFailed) as failed:
        server.run(prompt)
    return str(failed.value)


def keyframes(**inputs: Any) -> Prompt:
    poses = {"poses.pose0": ["a", 0], "poses.pose1": ["b", 0]}
    curve = {"points": [[0, 0], [0.5, 1], [1, 1]], "interpolation": "linear"}
    wanted = {"times_s": "0, 0.4", "fps": 10.0, "easing": "curve", "curve": curve} | inputs
    return text(
        {"a": emotion("neutral"), "b": emotion(seconds=0), "keys": node("LikenessKeyframes", **poses, **wanted)},
        "keys",
        1,
    )


def test_a_drawn_curve_eases_between_poses(comfyui: ComfyServer) -> None:
    prompt = keyframes()
    prompt["cut"] = node(
        "LikenessRetimeMotion",
        motion=["keys", 0],
        start_s=0.2,
        end_s=0.3,
        speed=1.0,
        backwards=False,
        times=1,
        again="from the start",
        blend_s=0.0,
        fps=0.0,
    )
    said = comfyui.run(text(prompt, "cut", 1))["result"]["text"][0]
    assert "1 frame(s) at 10 per second" in said and "browInnerUp 0.80" in said


def test_times_that_fit_no_poses_are_refused_with_their_numbers(comfyui: ComfyServer) -> None:
    assert "There are 2 pose(s) but 3 time(s)" in message(comfyui, keyframes(times_s="0, 1, 2"))
    assert "each after the one before" in message(comfyui, keyframes(times_s="1, 0"))


def test_a_saved_motion_is_offered_and_read_again(comfyui: ComfyServer) -> None:
    saved = {
        "a": emotion(),
        "save": node("LikenessSaveMotion", motion=["a", 0], name="take", format="csv", if_exists="overwrite"),
    }
    comfyui.run(saved)
    options = comfyui.get("/object_info/LikenessMotionFromFile")["LikenessMotionFromFile"]["input"]["required"]["file"]
    assert "likeness/motions/take.csv [output]" in str(options) and "likeness_live_capture.csv" in str(options)
    load = node("LikenessMotionFromFile", file="likeness/motions/take.csv [output]", fps=0.0, flip_head=False)
    said = comfyui.run(text({"load": load}, "load", 1))["result"]["text"][0]
    assert "25 frame(s) at 25 per second" in said and "browInnerUp 0.00 to 0.80" in said


@pytest.mark.parametrize("name", ["../evil", "a/b", "nul"])
def test_a_motion_is_saved_in_its_folder_only(comfyui: ComfyServer, name: str) -> None:
    save = node("LikenessSaveMotion", motion=["a", 0], name=name, format="json", if_exists="number")
    assert "cannot be used for a file" in message(comfyui, {"a": emotion(), "save": save})
    assert not list(comfyui.base.rglob("evil*"))


@pytest.mark.parametrize("file", ["nothing.csv", "../../secret.csv", "/etc/passwd"])
def test_only_listed_files_are_read(comfyui: ComfyServer, file: str) -> None:
    load = node("LikenessMotionFromFile", file=file, fps=0.0, flip_head=False)
    assert "There is no motion file" in message(comfyui, text({"load": load}, "load", 1))


def test_a_file_that_is_no_recording_is_refused_by_name(comfyui: ComfyServer) -> None:
    (comfyui.base / "input" / "shopping.csv").write_text("milk,eggs\n1,12\n")
    load = node("LikenessMotionFromFile", file="shopping.csv", fps=0.0, flip_head=False)
    said = message(comfyui, text({"load": load}, "load", 1))
    assert "shopping.csv: No column is a channel of ARKit" in said


def test_motions_of_other_rates_are_brought_together_and_it_is_said(comfyui: ComfyServer) -> None:
    mix = node(
        "LikenessMixMotions",
        **{"motions.motion0": ["a", 0], "motions.motion1": ["b", 0]},
        mode="mix",
        weights="",
        length="longest",
    )
    said = comfyui.run(text({"a": emotion(), "b": emotion("anger", fps=60.0), "mix": mix}, "mix", 1))
    assert said["result"]["text"][0].startswith("Brought from 60 to 25 frames per second.")


def acting(**inputs: Any) -> Prompt:
    dials = {
        "how": "add", "part": "expression", "strength": 1.0, "after_end": "hold", "renderer": "mesh", "crf": 23,
        "min_probability": 0.5, "threshold": 0.5,
    }  # fmt: skip
    return {
        "film": node("LoadVideo", file="likeness_grace_hopper_pan.mp4"),
        "part": node("Video Slice", video=["film", 0], start_time=0.0, duration=0.25, strict_duration=False),
        "analysis": node("LikenessLoadFaceAnalysis", backend="embedded"),
        "a": emotion("happiness", fps=60.0),
        "act": node("LikenessAnimateInVideo", video=["part", 0], analysis=["analysis", 0], **(dials | inputs)),
        "save": node("SaveVideo", video=["act", 0], filename_prefix="acting", format="auto", codec="auto"),
    }


def test_a_motion_of_another_rate_is_put_onto_the_frames_of_a_video(comfyui: ComfyServer) -> None:
    said = comfyui.run(acting(motion=["a", 0]))["act"]["text"][0]
    assert "(1.00 s at 60 per second) was taken at each frame's own time; 6 face(s) moved" in said
    assert "6 frame(s), 320 × 360 px, 24 per second" in said and "sound: aac, copied" in said


def test_a_driving_video_replaces_the_expression(comfyui: ComfyServer) -> None:
    said = comfyui.run(acting(driving=["part", 0], how="replace", part="mouth"))["act"]["text"][0]
    assert "(0.25 s at 24 per second)" in said and "6 face(s) moved" in said


def test_a_motion_and_a_driving_video_or_neither_are_refused(comfyui: ComfyServer) -> None:
    assert "neither is connected" in message(comfyui, acting())
    assert "both are connected" in message(comfyui, acting(motion=["a", 0], driving=["part", 0]))
