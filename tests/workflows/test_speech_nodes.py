"""Speech in the real ComfyUI: what comes out, and what the artist reads when a sound cannot be used."""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from likeness.tests.comfyui_server import ComfyServer, PromptFailed
from likeness.tests.video.drawn import samples, shown
from likeness.tests.video.test_sound_and_watch import heard

Prompt = dict[str, dict[str, Any]]

LISTEN = {"transcript": "", "language": "auto", "backend": "auto"}
ACT = {
    "mouth": 1.0, "clarity": 1.0, "emotion": "none", "emotion_strength": 0.7, "head": 1.0, "brows": 1.0, "gaze": 1.0,
    "breath": 1.0, "blink_every_s": 4.0, "seed": 1, "fps": 25.0, "number": 0,
}  # fmt: skip
PORTRAIT = {
    "length": "sound", "afterwards": "rest", "strength": 1.0, "fps": 0.0, "renderer": "mesh", "crf": 23, "number": 0,
}  # fmt: skip
DUB = {
    "sound_shorter": "lips closed", "sound_longer": "end with the video", "strength": 1.0, "own_sound": 0.0, "crf": 23,
    "number": 0, "min_probability": 0.5, "threshold": 0.5,
}  # fmt: skip


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def voice(kind: str = "") -> Prompt:
    loaded = {"audio": node("LoadAudio", audio="likeness_austen_read.flac")}
    if not kind:
        return loaded | {"voice": node("TrimAudioDuration", audio=["audio", 0], start_index=0.0, duration=0.9)}
    return loaded | {"voice": node("LikenessTestSound", audio=["audio", 0], kind=kind)}


def speech(kind: str = "", **inputs: Any) -> Prompt:
    said = node("LikenessSpeechToMotion", audio=["voice", 0], **(LISTEN | ACT | inputs))
    return voice(kind) | {"speech": said, "result": node("PreviewAny", source=["speech", 1])}


def text(server: ComfyServer, prompt: Prompt) -> str:
    return server.run(prompt)["result"]["text"][0]


def message(server: ComfyServer, prompt: Prompt) -> str:
    with pytest.raises(PromptFailed) as failed:
        server.run(prompt)
    return str(failed.value)


def portrait(kind: str = "", **inputs: Any) -> Prompt:
    """A small face that talks."""
    prompt = speech(kind)
    prompt.pop("result")
    return prompt | {
        "photo": node("LoadImage", image="likeness_grace_hopper.jpg"),
        "part": node("ImageCrop", image=["photo", 0], width=240, height=260, x=140, y=100),
        "analysis": node("LikenessLoadFaceAnalysis", backend="embedded"),
        "faces": node(
            "LikenessDetectFaces", image=["part", 0], analysis=["analysis", 0], threshold=0.5, max_faces=0,
            min_size_px=0,
        ),
        "video": node(
            "LikenessAnimatePortraitToVideo", image=["part", 0], faces=["faces", 0],
            **({"motions.motion0": ["speech", 0], "audio": ["voice", 0]} | PORTRAIT | inputs),
        ),
        "save": node("SaveVideo", video=["video", 0], filename_prefix="talk", format="auto", codec="auto"),
    }  # fmt: skip


def film(server: ComfyServer, prompt: Prompt) -> tuple[Path, str]:
    """The saved video and the report of the node that made it."""
    outputs = server.run(prompt)
    saved = outputs["save"]["images"][0]
    return server.base / "output" / saved["subfolder"] / saved["filename"], outputs["video"]["text"][0]


def test_a_portrait_talks_as_long_as_the_sound_and_the_sound_is_in_step(comfyui: ComfyServer) -> None:
    path, report = film(comfyui, portrait())
    assert len(shown(path)) == 23  # 0.9 s at 25 per second, to the next whole frame
    assert "As long as the sound: 0.90 s." in report and "makes the motion: 0.92 s" in report
    with av.open(str(path)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, sound.codec_context.name) == ("h264", "aac")
    given, rate = heard(comfyui.base / "input" / "likeness_austen_read.flac")
    written, coded = heard(path)
    assert coded == rate
    a, b = given[0, : round(0.9 * rate)] / 32768, written[0, : round(0.9 * rate)]
    offsets = range(-80, 81)
    alike = [np.dot(a[200:-200], b[200 + k : len(a) - 200 + k]) for k in offsets]
    assert abs(offsets[int(np.argmax(alike))]) <= 0.002 * rate  # s


def test_more_sound_than_motion_rests_and_more_motion_than_sound_is_a_choice(comfyui: ComfyServer) -> None:
    emotion = node("LikenessEmotion", emotion="happiness", intensity=1.0, seconds=0.4, rise_s=0.1, fall_s=0.1, fps=12.5)
    prompt = portrait(**{"motions.motion0": ["other", 0]}) | {"other": emotion}
    path, report = film(comfyui, prompt)
    assert len(shown(path)) == 12 and "As long as the sound: 0.90 s" in report
    prompt["video"]["inputs"]["length"] = "motion"
    path, report = film(comfyui, prompt)
    assert len(shown(path)) == 5 and "the sound of 0.90 s is cut off or ends earlier there" in report
    del prompt["video"]["inputs"]["audio"]
    path, report = film(comfyui, prompt)
    assert len(shown(path)) == 5 and "sound: none" in report


def stirred(path: Path) -> float:
    """By how much the pixel that changes most does so in a video, 0 to 1."""
    return float(np.ptp(np.stack([samples(frame) for _, frame in shown(path)]), axis=0).max())


def test_a_loaded_renderer_draws_the_video(comfyui: ComfyServer) -> None:
    """LivePortrait without its files: the head's square follows its keypoints as a whole."""
    prompt = portrait(loaded=["renderer", 0]) | {"renderer": node("LikenessTestLivePortrait")}
    path, report = film(comfyui, prompt)
    assert report.startswith("LivePortrait") and len(shown(path)) == 23
    moves = stirred(path)
    prompt["video"]["inputs"]["strength"] = 0.0
    rests = stirred(film(comfyui, prompt)[0])
    assert moves > 0.2 and rests < 0.02


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("5.1", r"2\.99 s, 2\.\d+ s of it spoken"),
        ("96 kHz", r"2\.99 s, 2\.\d+ s of it spoken"),
        ("8 kHz", r"2\.99 s, 2\.\d+ s of it spoken"),
        ("clipping", r"2\.99 s, [12]\.\d+ s of it spoken"),
        ("three channels", r"2\.99 s, 2\.\d+ s of it spoken"),
        ("music", r"2\.99 s"),
    ],
)
def test_sounds_of_every_kind_are_heard(comfyui: ComfyServer, kind: str, said: str) -> None:
    report = text(comfyui, speech(kind))
    assert re.search(said, report), report
    assert "75 frame(s) at 25 per second, 3.00 s" in report


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("no samples", "The sound has no samples"),
        ("nan", "NaN or infinite in channel 1 at 0.250 s"),
        ("none", "There is no sound: the AUDIO is empty"),
    ],
)
def test_a_sound_that_is_none_is_refused_and_says_why(comfyui: ComfyServer, kind: str, why: str) -> None:
    assert why in message(comfyui, speech(kind))


def test_silence_gives_a_face_at_rest(comfyui: ComfyServer) -> None:
    prompt = speech() | {"voice": node("EmptyAudio", duration=2.0, sample_rate=44100, channels=2)}
    report = text(comfyui, prompt)
    assert "50 frame(s) at 25 per second, 2.00 s" in report and "jawOpen" not in report


def test_of_a_batch_of_sounds_one_is_taken_and_it_is_said(comfyui: ComfyServer) -> None:
    assert "The AUDIO holds 2 sounds; number 0 was taken" in text(comfyui, speech("batch of two"))
    second = text(comfyui, speech("batch of two", number=1))
    assert "number 1 was taken" in second and "without a sound of speech" in second
    assert "holds 2 sound(s), numbered from 0; there is no number 2" in message(
        comfyui, speech("batch of two", number=2)
    )


def test_of_a_batch_of_portraits_the_first_with_a_face_talks(comfyui: ComfyServer) -> None:
    prompt = portrait()
    prompt["both"] = node("LikenessTestPicture", image=["part", 0], kind="batch with one face")
    prompt["faces"]["inputs"]["image"] = prompt["video"]["inputs"]["image"] = ["both", 0]
    assert "1 face(s) of picture 1." in film(comfyui, prompt)[1]


def test_two_motions_for_one_face_are_refused_with_the_way_out(comfyui: ComfyServer) -> None:
    said = message(comfyui, portrait(**{"motions.motion1": ["speech", 0]}))
    assert "2 motions and 1 face(s)" in said and "Select Faces" in said


def test_a_transcript_that_does_not_fit_is_reported_and_the_sound_is_heard(comfyui: ComfyServer) -> None:
    words = "Completely different words about the weather in the mountains of Norway tomorrow afternoon"
    fits = text(comfyui, speech("three channels", transcript="He was not an ill-disposed young man"))
    assert "Followed the transcript" in fits
    other = text(comfyui, speech("three channels", transcript=words))
    assert "Followed the transcript" not in other and "transcript" in other and "of it spoken" in other


def test_a_voice_without_feeling_and_a_chosen_one(comfyui: ComfyServer) -> None:
    prompt = speech("three channels")
    feel = {"audio": ["voice", 0], "strength": 1.0, "fps": 25.0, "number": 0}
    prompt["feel"] = node("LikenessSpeechEmotion", emotion="happiness", motion=["speech", 0], **feel)
    prompt["result"] = node("PreviewAny", source=["feel", 1])
    chosen = text(comfyui, prompt)
    assert "Chosen: happiness" in chosen and "mouthSmileLeft" in chosen and "mouthClose 0.00 to 1.00" in chosen
    prompt["feel"]["inputs"] |= {"emotion": "from the voice"}
    assert "Voice: arousal" in text(comfyui, prompt)


def split(track: str, order: str = "") -> Prompt:
    return voice() | {
        "split": node("LikenessSplitSpeakers", audio=["voice", 0], track=track, order=order, number=0),
        "result": node("PreviewAny", source=["split", 4]),
        "heard": node("PreviewAudio", audio=["split", 0]),
    }


def test_speakers_are_split_and_a_bad_line_is_named(comfyui: ComfyServer) -> None:
    said = text(comfyui, split("0.0-0.5 Anna\n0.5-0.9 Ben", "Ben"))
    assert said == "first: Ben, 1 turn(s), 0.40 s."
    assert "Line 2 of the speaker track cannot be used" in message(comfyui, split("0-1 Anna\nwho?"))
    assert "Anna speaks from 5 s to 6 s, but the sound ends at 0.90 s" in message(comfyui, split("5-6 Anna"))
    assert "The track knows no Carl; it has Anna" in message(comfyui, split("0-1 Anna", "Carl"))


def dubbed(**inputs: Any) -> Prompt:
    return voice() | {
        "film": node("LoadVideo", file="likeness_grace_hopper_pan.mp4"),
        "analysis": node("LikenessLoadFaceAnalysis", backend="embedded"),
        "video": node(
            "LikenessDubVideo", video=["film", 0], audio=["voice", 0], analysis=["analysis", 0],
            **(LISTEN | DUB | inputs),
        ),
        "save": node("SaveVideo", video=["video", 0], filename_prefix="dub", format="auto", codec="auto"),
    }  # fmt: skip


def test_a_dubbed_video_has_the_new_sound_and_its_lengths_are_chosen(comfyui: ComfyServer) -> None:
    path, report = film(comfyui, dubbed())
    assert "mouth(s) dubbed" in report and "1 person(s) tracked" in report
    assert len(shown(path)) == 24 and "afterwards the lips are closed" in report
    assert abs(heard(path)[0].shape[1] / heard(path)[1] - 0.9) < 0.07
    path, report = film(comfyui, dubbed(sound_shorter="end with the sound"))
    assert len(shown(path)) == 22 and "it ends with the sound" in report
    longer = dubbed(sound_longer="play back and forth")
    longer["voice"]["inputs"]["duration"] = 1.5
    path, report = film(comfyui, longer)
    assert len(shown(path)) == 36 and "it plays back and forth until the sound ends" in report


def test_the_own_sound_stays_under_the_new_one(comfyui: ComfyServer) -> None:
    path, _ = film(comfyui, dubbed(own_sound=1.0))
    alone, _ = film(comfyui, dubbed())
    with_it, without = (float(np.square(heard(one)[0][0, :3000].astype(float)).mean()) for one in (path, alone))
    assert with_it > 2 * without  # the film's tone, before the voice begins


def test_a_cancel_in_the_middle_leaves_no_video_and_the_next_run_goes_on(comfyui: ComfyServer) -> None:
    prompt = portrait(fps=120.0)
    prompt["voice"]["inputs"]["duration"] = 2.9
    unfinished = comfyui.base / "output" / "likeness_unfinished"
    queued = comfyui.post("/prompt", {"prompt": prompt, "client_id": uuid.uuid4().hex})["prompt_id"]
    end = time.monotonic() + 120
    while not any('"chunk"' in path.read_text() for path in unfinished.glob("*/journal.jsonl")):
        assert time.monotonic() < end
        time.sleep(0.02)
    comfyui.post("/interrupt", {})
    with pytest.raises(PromptFailed, match="execution_interrupted"):
        comfyui.wait(queued)
    assert len(list(unfinished.iterdir())) == 1
    path, report = film(comfyui, prompt)
    assert re.search(r"The first \d+ frame\(s\) were finished before an interrupt", report)
    assert len(shown(path)) == 348 and not list(unfinished.iterdir())
