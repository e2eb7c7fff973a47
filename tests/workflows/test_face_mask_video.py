"""Face Mask in Video in the real ComfyUI: what its mattes show, of whom, and of videos that are broken or odd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.tests.comfyui_server import ComfyServer, PromptFailed
from likeness.tests.video.drawn import packets, samples, shown, write_video
from likeness.tests.workflows.test_video_trouble import portrait_clip
from likeness.tests.workflows.test_workflows import SAMPLES, prompt_of, titled

CLIP = SAMPLES / "grace_hopper_acts.mp4"


def matte_only(server: ComfyServer, file: str = "", seconds: float = 0.0, **inputs: Any) -> dict[str, Any]:
    """The workflow's first matte and its file, of another video or of its first seconds."""
    prompt = prompt_of(server, "face_mask_in_video")
    saved, mask = titled(prompt, "Matte"), titled(prompt, "The face")
    loader = prompt[mask]["inputs"]["video"][0]
    kept = {key: prompt[key] for key in (saved, mask, loader, prompt[mask]["inputs"]["analysis"][0])}
    if file:
        kept[loader]["inputs"]["file"] = file
    if seconds:
        cut = {"video": [loader, 0], "start_time": 0.0, "duration": seconds, "strict_duration": False}
        kept["part"] = {"class_type": "Video Slice", "inputs": cut}
        kept[mask]["inputs"]["video"] = ["part", 0]
    kept[mask]["inputs"] |= inputs
    return kept


def run(server: ComfyServer, prompt: dict[str, Any]) -> tuple[Path, str]:
    """The file and the report."""
    outputs = server.run(prompt)
    found = outputs[titled(prompt, "Matte")]["images"][0]
    report = outputs[titled(prompt, "The face")]["text"][0]
    return server.base / "output" / found["subfolder"] / found["filename"], report


def test_a_matte_has_the_frames_of_the_video_and_is_white_on_the_face_and_black_elsewhere(comfyui: ComfyServer) -> None:
    matte, report = run(comfyui, matte_only(comfyui))
    frames = shown(matte)
    assert [time for time, _ in frames] == [time for time, _ in shown(CLIP)]
    assert "track 0, 33 frame(s): masked" in report and "410 × 480 px" in report
    for _, frame in frames:
        colours = samples(frame)
        assert colours.shape == (480, 410, 3)
        assert colours[150:230, 190:240].min() > 0.95 and np.ptp(colours, axis=2).max() < 0.02
        assert colours[:80].max() < 0.03 and colours[290:].max() < 0.03 and colours[:, :115].max() < 0.03
    shares = np.array([(samples(frame)[..., 0] > 0.5).mean() for _, frame in frames])
    assert 0.08 < shares.min() and shares.max() < 0.16
    assert np.abs(np.diff(shares)).max() < 0.01, "the mask jumps"


@pytest.mark.parametrize(("shows", "ground"), [("matte", (0, 0, 0)), ("on_green", (0, 1, 0))])
def test_of_a_person_who_is_not_in_the_video_there_is_the_ground_alone(
    comfyui: ComfyServer, shows: str, ground: tuple[int, int, int]
) -> None:
    prompt = matte_only(comfyui, seconds=0.3, shows=shows, person=["person", 0])
    analysis = prompt[titled(prompt, "The face")]["inputs"]["analysis"]
    prompt["photo"] = {"class_type": "LoadImage", "inputs": {"image": "likeness_astronaut.png"}}
    dials = {"pick": "agreement", "threshold": 0.5, "min_probability": 0.5, "name": "Eileen", "consent": ""}
    inputs = {"analysis": analysis, "photos.photo0": ["photo", 0], **dials}
    prompt["person"] = {"class_type": "LikenessBuildIdentity", "inputs": inputs}
    matte, report = run(comfyui, prompt)
    assert "track 0, 4 frame(s): left out" in report
    assert all(np.abs(samples(frame) - ground).max() < 0.03 for _, frame in shown(matte))


def test_nothing_to_mask_and_parts_that_need_a_parser_are_refused_before_anything_is_written(
    comfyui: ComfyServer,
) -> None:
    for inputs, message in (
        ({"face": False}, "turn on at least one"),
        ({"hair": True}, "do not show hair: connect Load Face Parser"),
        ({"per_part": "lips 0.1 0.1"}, "lips, which is not on"),
        ({"per_part": "lips"}, "Line 1 of per_part"),
    ):
        with pytest.raises(PromptFailed, match=message):
            comfyui.run(matte_only(comfyui, **inputs))
    cut = comfyui.base / "input" / "likeness_cut_matte.mp4"
    whole = write_video(cut, [frame[:, 1:] for frame in portrait_clip(3)]).read_bytes()
    cut.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(PromptFailed, match=r"likeness_cut_matte.mp4 cannot be opened as a video"):
        comfyui.run(matte_only(comfyui, file="likeness_cut_matte.mp4"))
    assert not list((comfyui.base / "output").glob("likeness_unfinished/*"))


def test_odd_width_no_face_half_a_face_and_something_in_front_are_ordinary(comfyui: ComfyServer) -> None:
    frames = portrait_clip(9)
    write_video(comfyui.base / "input" / "likeness_odd_matte.mkv", frames, codec="ffv1", sound="flac")
    prompt = matte_only(comfyui, file="likeness_odd_matte.mkv", occluder=["occluder", 0], teeth=True)
    prompt["occluder"] = {"class_type": "LikenessLoadOccluder", "inputs": {"occluder": "guess"}}
    matte, report = run(comfyui, prompt)
    assert "frame(s) without a face are empty" in report and "Written as 400 × 360 px" in report
    found = shown(matte)
    assert len(found) == 9 and samples(found[0][1]).max() < 0.02 and samples(found[8][1]).max() > 0.97
    assert packets(matte, "audio") == packets(comfyui.base / "input" / "likeness_odd_matte.mkv", "audio")
