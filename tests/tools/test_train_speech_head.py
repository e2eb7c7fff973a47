"""The tool that trains speech heads: sounds and words are found and read, and in ComfyUI a head comes out of them."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from likeness.pipelines.audio.speech_head_file import load_speech_head
from likeness.pipelines.errors import InputError, MissingWeightsError
from likeness.tests.audio.encoder_files import write_wav2vec2_base
from likeness.tests.audio.sounds import CLIPS, FIXTURES, clip
from likeness.tests.comfyui_server import comfyui_folder

TOOL = Path(__file__).resolve().parents[2] / "tools" / "train_speech_head.py"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(TOOL.parent), *sys.path])
    return importlib.import_module("train_speech_head")


def write_wav(path: Path, channels: np.ndarray, rate_hz: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels)), file.setsampwidth(2), file.setframerate(rate_hz)
        file.writeframes((channels.T * 32767).astype("<i2").tobytes())
    return path


def test_a_sound_is_read_with_its_channels_and_rate(tool, tmp_path: Path) -> None:
    made = np.stack([np.linspace(-0.5, 0.5, 4800), np.linspace(0.5, 0, 4800)])
    waveform, rate_hz = tool.read_sound(write_wav(tmp_path / "a.wav", made, 48_000))
    assert rate_hz == 48_000 and np.allclose(waveform, made, atol=1e-3)


def test_sounds_are_found_in_folders_and_nothing_else_is(tool, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.wav", "deep/a.MP3", "b.txt", "notes.md"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in tool.sound_files(tmp_path)] == ["b.wav", "a.MP3"]
    for folder in (tmp_path / "nowhere", tmp_path / "b.txt"):
        with pytest.raises(InputError, match="holds no sounds"):
            tool.sound_files(folder)


def test_what_is_no_sound_and_words_that_are_no_text_are_named(tool, tmp_path: Path) -> None:
    broken = tmp_path / "a.wav"
    broken.write_bytes(b"RIFF nothing")
    with pytest.raises(InputError, match="a.wav cannot be read as sound"):
        tool.read_sound(broken)
    assert tool.transcript_of(broken) == ""
    broken.with_suffix(".txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="no UTF-8 text"):
        tool.transcript_of(broken)
    broken.with_suffix(".txt").write_text("\ufeffwell then", encoding="utf-8")
    assert tool.transcript_of(broken) == "well then"


def test_an_encoder_is_found_by_its_name_and_a_missing_one_says_what_there_is(tool, tmp_path: Path) -> None:
    there = tmp_path / "audio_encoders" / "wav2vec2.safetensors"
    there.parent.mkdir()
    there.write_bytes(b"")
    assert tool.encoder_file("wav2vec2.safetensors", tmp_path) == there == tool.encoder_file(str(there), tmp_path)
    with pytest.raises(MissingWeightsError, match=r"no audio encoder 'other'.*: wav2vec2\.safetensors\."):
        tool.encoder_file("other", tmp_path)


def test_a_lesson_has_the_phones_that_the_packs_listener_hears(tool) -> None:
    pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)
    lesson = tool.lesson_of(FIXTURES / f"{CLIPS[0]}.wav")
    assert lesson.speech.duration_s == clip(CLIPS[0]).speech.duration_s
    assert len(lesson.phones) > 20 and len(lesson.sha256) == 64


def run(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COMFYUI_DIR": str(comfyui_folder()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(TOOL), *map(str, arguments), "--models", str(tmp_path / "models"), "--device", "cpu"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)


def test_in_comfyui_a_head_for_wav2vec2_is_trained_and_says_how_good_it_is(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)
    write_wav2vec2_base(tmp_path / "models" / "audio_encoders" / "random.safetensors")
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for name in CLIPS:
        shutil.copy(FIXTURES / f"{name}.wav", sounds)
        (sounds / f"{name}.txt").write_text(clip(name).words, encoding="utf-8")
    done = run(tmp_path, "random.safetensors", sounds, "mine", "--licence", "public domain", "--steps", 50)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Encoding in \d+ steps: \.+\nLearned from ", done.stdout)
    assert "Taken: " in done.stdout and "of wav2vec2, 768 numbers each" in done.stdout
    assert "always the commonest phone" in done.stdout
    head = load_speech_head(tmp_path / "models" / "likeness" / "speech_heads" / "mine.safetensors")
    assert (head.card.width, head.card.depth, head.card.licence) == (768, 13, "public domain")
    assert len(head.card.layers) == 2 and 0 < head.card.accuracy < 1

    again = run(tmp_path, "random.safetensors", sounds / "..", "mine", "--if-exists", "error", "--steps", 50)
    assert again.returncode == 1 and "exists. Choose another name" in again.stderr


def test_a_file_that_is_no_encoder_ends_the_tool_with_its_name(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "no.safetensors")
    done = run(tmp_path, tmp_path / "no.safetensors", FIXTURES, "mine")
    assert done.returncode == 1 and "no.safetensors is no audio encoder that ComfyUI knows" in done.stderr
