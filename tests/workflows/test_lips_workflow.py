"""Neural lips in the real ComfyUI: files of the true layout, a dubbed video, and what is said when something lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from likeness.tests.comfyui_server import ComfyServer, PromptFailed
from likeness.tests.lips.tiny_lips import V1, adapter_state, tiny_unet

Prompt = dict[str, dict[str, Any]]
LIPS = {
    "version": "auto", "shift_px": 0.0, "batch": 4, "half_precision": True, "adapter": "none", "identity_scale": 1.0,
}  # fmt: skip


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def graph(dub: dict[str, Any] | None = None, seconds: float = 0.4, **lips: Any) -> Prompt:
    """Somebody filmed, dubbed with a short voice."""
    dials = {
        "transcript": "", "language": "auto", "backend": "auto", "sound_shorter": "lips closed",
        "sound_longer": "end with the video", "strength": 1.0, "own_sound": 0.0, "crf": 0, "number": 0,
        "min_probability": 0.5, "threshold": 0.5,
    } | (dub or {})  # fmt: skip
    return {
        "film": node("LoadVideo", file="likeness_grace_hopper_acts.mp4"),
        "part": node("Video Slice", video=["film", 0], start_time=0.0, duration=0.8, strict_duration=False),
        "voice": node("LoadAudio", audio="likeness_austen_read.flac"),
        "said": node("TrimAudioDuration", audio=["voice", 0], start_index=0.3, duration=seconds),
        "vae": node("LikenessTestVae"),
        "lips": node("LikenessLoadLipSync", vae=["vae", 0], **(LIPS | lips)),
        "analysis": node("LikenessLoadFaceAnalysis", backend="embedded"),
        "dub": node(
            "LikenessDubVideo", video=["part", 0], audio=["said", 0], analysis=["analysis", 0], lips=["lips", 0],
            **dials,
        ),
        "save": node("SaveVideo", video=["dub", 0], filename_prefix="lips", format="auto", codec="auto"),
        "plain": node("SaveVideo", video=["part", 0], filename_prefix="plain", format="auto", codec="auto"),
    }  # fmt: skip


def film(server: ComfyServer, outputs: dict[str, Any], name: str) -> np.ndarray[Any, Any]:
    """(T, H, W, 3) of a saved video."""
    found = outputs[name]["images"][0]
    with av.open(str(server.base / "output" / found["subfolder"] / found["filename"])) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(np.float32)


@pytest.fixture(scope="module")
def adapter(comfyui: ComfyServer, adapter_files: None) -> str:
    folder = comfyui.base / "models" / "unavglip"
    folder.mkdir(exist_ok=True)
    torch.save(adapter_state(tiny_unet()), folder / "adapter.pth")
    return "adapter.pth"


def test_the_mouth_is_drawn_and_the_rest_of_the_video_stays(comfyui: ComfyServer, adapter_files: None) -> None:
    outputs = comfyui.run(graph(seconds=1.5))
    said = outputs["dub"]["text"][0]
    assert "MuseTalk 1.5, 32 bit, 4 frame(s) at once" in said and "sound: the new one of 1.50 s" in said
    dubbed, plain = film(comfyui, outputs, "save"), film(comfyui, outputs, "plain")
    assert f"MuseTalk 1.5 drew {len(dubbed)} mouth(s) for 1.50 s of speech." in said
    assert dubbed.shape == plain.shape
    changed = np.abs(dubbed - plain).max(-1)
    assert changed[:, 185:230, 180:240].mean() > 10  # the mouth
    assert changed[:, :140].mean() < 3 and changed[:, 320:].mean() < 3  # what is left was encoded twice


def test_a_voice_that_is_shorter_leaves_closed_lips_or_the_film(comfyui: ComfyServer, adapter_files: None) -> None:
    silent = comfyui.run(graph())
    assert "frame(s) with a face heard silence" in silent["dub"]["text"][0]
    filmed = comfyui.run(graph({"sound_shorter": "as filmed"}))
    assert "frame(s) with a face stayed as filmed" in filmed["dub"]["text"][0]
    last = [film(comfyui, outputs, "save")[-1] for outputs in (silent, filmed)]
    plain = film(comfyui, filmed, "plain")[-1]
    mouth = (slice(185, 230), slice(180, 240))
    assert np.abs(last[0] - plain)[mouth].mean() > 10 > np.abs(last[1] - plain)[mouth].mean()


def test_a_video_without_a_face_passes_as_it_is(comfyui: ComfyServer, adapter_files: None) -> None:
    said = comfyui.run(graph({"threshold": 1.0}))["dub"]["text"][0]
    assert "MuseTalk 1.5 drew 0 mouth(s)" in said and "0 person(s) tracked" in said


def test_missing_files_are_named_with_the_command(comfyui: ComfyServer, adapter_files: None) -> None:
    with pytest.raises(PromptFailed) as failed:
        comfyui.run(graph(version="1.0"))
    said = str(failed.value)
    assert "MuseTalk 1.0 needs 1 file(s)" in said and "./likeness fetch musetalk_v1_unet" in said
    assert str(comfyui.base / "models" / "musetalk" / "musetalk") in said


def test_another_network_under_the_name_is_refused(comfyui: ComfyServer, adapter_files: None) -> None:
    path = comfyui.base / "models" / V1
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tiny_unet(inputs=9).state_dict(), path)
    try:
        with pytest.raises(PromptFailed, match="reads 9 channels"):
            comfyui.run(graph(version="1.0"))
    finally:
        path.unlink()


def test_an_adapter_needs_a_person_unless_its_identity_is_off(comfyui: ComfyServer, adapter: str) -> None:
    with pytest.raises(PromptFailed, match="whose: connect the person's identity"):
        comfyui.run(graph(adapter=adapter))
    said = comfyui.run(graph(adapter=adapter, identity_scale=0.0))["dub"]["text"][0]
    assert "MuseTalk 1.5 with UnAvgLip drew" in said


def test_a_file_that_is_no_adapter_is_refused_and_says_that_none_is_published(
    comfyui: ComfyServer, adapter: str
) -> None:
    other = Path(comfyui.base / "models" / "unavglip" / adapter).with_name("other.pth")
    torch.save({"x": torch.zeros(1)}, other)
    try:
        with pytest.raises(PromptFailed, match=r"other\.pth is no UnAvgLip adapter.*have not published theirs"):
            comfyui.run(graph(adapter="other.pth"))
    finally:
        other.unlink()
