"""What Swap Faces in Video makes of videos that are broken or odd, and of a user who cancels, in the real ComfyUI."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import pytest
from torch import Tensor

from likeness.benchmarks.clips import Placed, clip_of
from likeness.tests.comfyui_server import ComfyServer, PromptFailed
from likeness.tests.video.drawn import shown, write_video
from likeness.tests.workflows.test_video_workflow import reduced, saved, swap_node


def with_video(server: ComfyServer, name: str) -> dict[str, Any]:
    """The workflow on another file of the input folder, with nobody named."""
    prompt = reduced(server)
    loader = next(node for node in prompt.values() if node["class_type"] == "LoadVideo")
    loader["inputs"]["file"] = name
    return prompt


def everybody(prompt: dict[str, Any]) -> dict[str, Any]:
    prompt[swap_node(prompt)]["inputs"].pop("people.person0")
    return prompt


def portrait_clip(count: int) -> list[Tensor]:
    """Nobody, then a face that comes in from the side and stays half outside."""
    places = [() if k < 3 else (Placed("hopper", max(700 - 30 * k, 600), 180, 150),) for k in range(count)]
    return [frame[:, 241:] for frame in clip_of(list(places), [4] * count, noise=0.0).frames]


@pytest.mark.parametrize(("part", "name"), [(0.0, "likeness_empty.mp4"), (0.4, "likeness_cut.mp4")])
def test_a_file_without_content_or_index_is_named_in_the_message(comfyui: ComfyServer, part: float, name: str) -> None:
    even = [frame[:, 1:] for frame in portrait_clip(4)]
    whole = write_video(comfyui.base / "input" / name, even, options={"preset": "ultrafast"}).read_bytes()
    (comfyui.base / "input" / name).write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(PromptFailed, match=f"{name} cannot be opened as a video.*convert it or copy it again"):
        comfyui.run(with_video(comfyui, name))
    assert not list((comfyui.base / "output").glob("likeness_unfinished/*"))


def test_sound_without_a_picture_is_refused_before_anything_is_written(comfyui: ComfyServer) -> None:
    (comfyui.base / "input" / "likeness_text.mp4").write_text("no video at all")
    with pytest.raises(PromptFailed, match="likeness_text.mp4 cannot be opened as a video"):
        comfyui.run(with_video(comfyui, "likeness_text.mp4"))


def test_odd_width_no_sound_a_face_half_outside_and_frames_without_one_are_ordinary(comfyui: ComfyServer) -> None:
    frames = portrait_clip(9)
    write_video(comfyui.base / "input" / "likeness_odd.mkv", frames, codec="ffv1", pixel_format="yuv420p", sound=None)
    prompt = everybody(with_video(comfyui, "likeness_odd.mkv"))
    outputs = comfyui.run(prompt)
    report = outputs[swap_node(prompt)]["text"][0]
    assert "frame(s) without a face passed unchanged" in report and "1 person(s) tracked; 0" not in report
    assert "sound: none" in report and "Written as 400 × 360 px" in report
    result = shown(saved(comfyui, outputs, prompt))
    assert len(result) == 9 and (result[0][1].width, result[0][1].height) == (400, 360)


def test_a_cancelled_video_leaves_no_result_and_the_next_run_goes_on(comfyui: ComfyServer) -> None:
    empty = clip_of([()], [7], noise=0.0).frames[0, :96, :160]
    frames = [empty.roll(k, 1) for k in range(40)] * 10
    write_video(comfyui.base / "input" / "likeness_long.mp4", frames, options={"preset": "ultrafast"})
    prompt = everybody(with_video(comfyui, "likeness_long.mp4"))
    unfinished = comfyui.base / "output" / "likeness_unfinished"
    queued = comfyui.post("/prompt", {"prompt": prompt, "client_id": uuid.uuid4().hex})["prompt_id"]
    end = time.monotonic() + 120
    while not any('"chunk"' in path.read_text() for path in unfinished.glob("*/journal.jsonl")):
        assert time.monotonic() < end
        time.sleep(0.02)
    comfyui.post("/interrupt", {})
    with pytest.raises(PromptFailed, match="execution_interrupted"):
        comfyui.wait(queued)
    (parts,) = unfinished.iterdir()
    assert not list(comfyui.base.rglob(f"*{parts.name}*.mp4")), "nothing lies under the final name"
    outputs = comfyui.run(prompt)
    report = outputs[swap_node(prompt)]["text"][0]
    assert "0 person(s) tracked; 400 frame(s) without a face" in report
    found = re.search(r"The first (\d+) frame\(s\) were finished before an interrupt", report)
    assert found is not None and 120 <= int(found[1]) < 400, report
    assert len(shown(saved(comfyui, outputs, prompt))) == 400 and not list(unfinished.iterdir())
