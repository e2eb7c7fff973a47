"""In the real ComfyUI its audio encoders are heard by a speech head, at once or in pieces, and errors say the way."""

from __future__ import annotations

import re
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.tests.audio.encoder_files import write_wav2vec2_base
from likeness.tests.audio.head_files import write_heads
from likeness.tests.audio.sounds import CLIPS, FIXTURES, clip
from likeness.tests.comfyui_server import ComfyServer, PromptFailed

Prompt = dict[str, dict[str, Any]]
SPEECH, LONG, MINUTES = "speech.wav", "long.wav", "ten_minutes.wav"


def repeated(seconds: int, to: Path) -> None:
    """The clip again and again."""
    samples = np.tile((clip(CLIPS[0]).speech.samples * 32767).astype("<i2"), seconds)[: seconds * 16_000]
    with wave.open(str(to), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(16_000)
        file.writeframes(samples.tobytes())


@pytest.fixture(scope="module")
def server(comfyui: ComfyServer) -> ComfyServer:
    """The server with heads and sounds."""
    write_heads(comfyui.base / "models")
    shutil.copy(FIXTURES / f"{CLIPS[0]}.wav", comfyui.base / "input" / SPEECH)
    repeated(35, comfyui.base / "input" / LONG)
    repeated(600, comfyui.base / "input" / MINUTES)
    return comfyui


def node(server: ComfyServer, kind: str, **inputs: Any) -> dict[str, Any]:
    """A node with the defaults of what is not given."""
    required = server.get("/object_info")[kind]["input"]["required"]
    defaults = {
        name: entry[1]["default"] for name, entry in required.items() if len(entry) > 1 and "default" in entry[1]
    }
    return {"class_type": kind, "inputs": defaults | inputs}


def graph(server: ComfyServer, kind: str, head: str, way: str, sound: str = SPEECH) -> Prompt:
    """Speech To Motion with a tiny encoder. way: of "output", "head", "both" and "neither", where it is connected."""
    prompt = {
        "sound": {"class_type": "LoadAudio", "inputs": {"audio": sound}},
        "encoder": {"class_type": "LikenessTestAudioEncoder", "inputs": {"kind": kind}},
        "encoded": node(server, "AudioEncoderEncode", audio_encoder=["encoder", 0], audio=["sound", 0]),
        "head": {"class_type": "LikenessLoadSpeechHead", "inputs": {"file": f"{head}.safetensors"}},
        "motion": node(server, "LikenessSpeechToMotion", audio=["sound", 0], speech_head=["head", 0]),
    }  # fmt: skip
    if way in ("output", "both"):
        prompt["motion"]["inputs"]["audio_encoder_output"] = ["encoded", 0]
    if way in ("head", "both"):
        prompt["head"]["inputs"]["audio_encoder"] = ["encoder", 0]
    prompt["plot"] = node(server, "LikenessPlotMotion", motion=["motion", 0])
    prompt["shown"] = {"class_type": "PreviewImage", "inputs": {"images": ["plot", 0]}}
    return prompt


def report(server: ComfyServer, prompt: Prompt) -> str:
    return server.run(prompt)["motion"]["text"][0]


def heard(text: str) -> str:
    return re.search(r"Heard: (.*)", text)[1]


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_an_encoder_is_heard_the_same_by_its_output_and_by_itself(server: ComfyServer, kind: str) -> None:
    whole = report(server, graph(server, kind, f"tiny_{kind}", "output"))
    assert whole.startswith("Listened by encoder: a speech head on ComfyUI's audio encoder")
    assert f"Speech head for {kind} of 3 layers of 96, taking 0, 1" in whole
    assert heard(whole) == heard(report(server, graph(server, kind, f"tiny_{kind}", "head")))


def test_a_sound_beyond_whispers_thirty_seconds_is_heard_in_pieces_only(server: ComfyServer) -> None:
    with pytest.raises(PromptFailed, match=r"hears the first 30 s only, the sound has 35\.0 s\. Connect the encoder"):
        server.run(graph(server, "whisper", "tiny_whisper", "output", LONG))
    assert "35.00 s" in report(server, graph(server, "whisper", "tiny_whisper", "head", LONG))


def test_ten_minutes_are_heard_to_their_end(server: ComfyServer) -> None:
    text = report(server, graph(server, "whisper", "tiny_whisper", "head", MINUTES))
    assert "600.00 s" in text and "15000 frame(s)" in text


def test_a_head_for_another_encoder_is_an_error_with_both_sizes(server: ComfyServer) -> None:
    says = "for wav2vec2 with 13 layers of 768 numbers; the audio encoder is wav2vec2 with 3 layers of 96.*train a head"
    for way in ("output", "head"):
        with pytest.raises(PromptFailed, match=says):
            server.run(graph(server, "wav2vec2", "base_wav2vec2", way))
    with pytest.raises(PromptFailed, match="for whisper .*; the audio encoder is wav2vec2"):
        server.run(graph(server, "wav2vec2", "tiny_whisper", "output"))


def test_what_is_not_connected_is_said(server: ComfyServer) -> None:
    with pytest.raises(PromptFailed, match="nothing to listen to: connect Load Audio Encoder to Load Speech Head"):
        server.run(graph(server, "wav2vec2", "tiny_wav2vec2", "neither"))
    alone = graph(server, "wav2vec2", "tiny_wav2vec2", "output")
    del alone["motion"]["inputs"]["speech_head"]
    with pytest.raises(PromptFailed, match="nothing that reads it: connect Load Speech Head too"):
        server.run(alone)
    without = graph(server, "wav2vec2", "tiny_wav2vec2", "neither")
    del without["motion"]["inputs"]["speech_head"]
    without["motion"]["inputs"]["backend"] = "encoder"
    with pytest.raises(PromptFailed, match="encoder cannot be used: no speech head is connected"):
        server.run(without)


def test_the_output_of_another_sound_is_refused(server: ComfyServer) -> None:
    prompt = graph(server, "wav2vec2", "tiny_wav2vec2", "output")
    prompt["other"] = {"class_type": "LoadAudio", "inputs": {"audio": LONG}}
    prompt["motion"]["inputs"]["audio"] = ["other", 0]
    with pytest.raises(PromptFailed, match=r"heard 2\.99 s, the sound has 35\.00 s: connect the same AUDIO"):
        server.run(prompt)


def test_a_file_that_is_no_head_and_one_that_is_not_there_are_refused(server: ComfyServer) -> None:
    folder = server.base / "models" / "likeness" / "speech_heads"
    (folder / "broken.safetensors").write_bytes(b"\x10" * 400)
    with pytest.raises(PromptFailed, match=r"broken\.safetensors is refused"):
        server.run(graph(server, "wav2vec2", "broken", "output"))
    with pytest.raises(PromptFailed, match=r"no speech head 'nowhere\.safetensors'.*tiny_whisper.*train_speech_head"):
        server.run(graph(server, "wav2vec2", "nowhere", "output"))


def test_comfyuis_own_loader_and_encoder_lead_to_a_motion(server: ComfyServer) -> None:
    name = "wav2vec2_base_random.safetensors"
    write_wav2vec2_base(server.base / "models" / "audio_encoders" / name)
    prompt = graph(server, "wav2vec2", "base_wav2vec2", "output")
    prompt["encoder"] = {"class_type": "AudioEncoderLoader", "inputs": {"audio_encoder_name": name}}
    assert "Speech head for wav2vec2 of 13 layers of 768" in report(server, prompt)
    log = server.log.read_text(encoding="utf-8", errors="replace")
    assert "missing audio encoder" not in log and "unexpected audio encoder" not in log
