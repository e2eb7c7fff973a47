"""Trains a speech head: what hears phones in the features of one of ComfyUI's audio encoders.

    python tools/train_speech_head.py ENCODER SOUNDS NAME [--licence TEXT] [--consent TEXT] [--layers 2] [--seed 0]

ENCODER: a file of models/audio_encoders, wav2vec2 or whisper, by its name or as a path. SOUNDS: a folder of speech, any
format that ComfyUI reads; an hour of clear speech of several people is a good start, ten minutes are enough to try. A
text of the same name (hello.wav, hello.txt) with the words that are said makes the labels far better. NAME: of the
head, written to models/likeness/speech_heads/NAME.safetensors, which Load Speech Head lists.

The phones to learn are found by the pack's own listener `phonemes` (English; pip install pocketsphinx). A fifth of the
files is not learned from: it decides when to stop, and how often the head is right on it is printed at the end and kept
in the file, with the licence and the consent that you state for the speech. Runs on a CPU; the same seed gives the same
head. Run it with the Python of your ComfyUI.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from checkout import map_package

#: Endings of files that are looked at as sounds.
SOUNDS = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".mp4", ".webm", ".mkv"}
MAX_TEXT_BYTES = 1 << 20


def main(arguments: Sequence[str]) -> int:
    """Run the tool; 0 when a head was trained and written."""
    map_package()
    from likeness.cli.errors import CommandError
    from likeness.pipelines.errors import LikenessError

    try:
        say(train(_options(arguments)))
    except (LikenessError, CommandError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def train(options: argparse.Namespace) -> str:
    """Label, encode, train and write; returns the last line for the reader."""
    from likeness.pipelines.audio.head_lessons import Plan, teach
    from likeness.pipelines.audio.speech_head_file import FOLDER, save_speech_head

    models, comfyui = _places(options.models)
    _require_name(models / FOLDER, options.name, options.if_exists)
    lessons = [lesson_of(path) for path in sound_files(options.sounds)]
    for lesson in lessons:
        say(f"{lesson.name}: {lesson.speech.duration_s:.1f} s, {len(lesson.phones)} phones")
    encode = load_encoder(encoder_file(options.encoder, models), comfyui, options.device)
    plan = Plan(options.layers, options.held_out, options.seed, options.steps, "en", options.licence, options.consent)
    with tempfile.TemporaryDirectory(prefix="speech-head-") as scratch:
        taught = teach(lessons, encode, Path(scratch), plan, _Dots)
    say(describe(taught))
    path = save_speech_head(taught.head, models / FOLDER, options.name, options.if_exists)
    return f"Written to {path}. Load Speech Head lists it after pressing R."


def describe(taught: Any) -> str:
    """What came out: the layers, and how often the head is right on speech that it has never heard."""
    card = taught.head.card
    shares = [f"{index}: {share:.0%}" for index, share in enumerate(taught.layer_shares)]
    return "\n".join(
        [
            f"Learned from {taught.learned_s:.1f} s, checked with {taught.held_out_s:.1f} s: "
            f"{', '.join(taught.held_out)}.",
            f"Frames heard right by a straight line through each layer: {', '.join(shares)}.",
            f"Taken: {', '.join(map(str, card.layers))} of {card.encoder}, {card.width} numbers each.",
            f"Held out frames heard right: {card.accuracy:.1%} (always the commonest phone: {taught.chance:.1%}).",
        ]
    )


def sound_files(folder: Path) -> list[Path]:
    """The sounds of a folder and the folders in it, in order of their names."""
    from likeness.pipelines.errors import InputError

    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS) if folder.is_dir() else []
    if not found:
        raise InputError(f"{folder} holds no sounds ({', '.join(sorted(SOUNDS))}): give a folder of recorded speech.")
    return found


def lesson_of(path: Path) -> Any:
    """A sound with its phones: aligned with the words of its text where there is one, else heard freely."""
    from likeness.pipelines.audio.backends import listen
    from likeness.pipelines.audio.head_lessons import Lesson
    from likeness.pipelines.audio.speech import speech_of

    waveform, rate_hz = read_sound(path)
    speech = speech_of(waveform, rate_hz)
    heard = listen(speech, "phonemes", transcript_of(path), "en")
    for line in heard.said[1:]:
        say(f"{path.name}: {line}")
    return Lesson(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), speech, heard.phones)


def transcript_of(path: Path) -> str:
    """The words beside a sound, "" without a text."""
    from likeness.pipelines.errors import InputError

    text = path.with_suffix(".txt")
    if not text.is_file():
        return ""
    if text.stat().st_size > MAX_TEXT_BYTES:
        raise InputError(f"{text} has {text.stat().st_size} bytes, words of at most {MAX_TEXT_BYTES} are read.")
    try:
        return text.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{text} is no UTF-8 text ({error.reason} at byte {error.start}).") from error


def read_sound(path: Path) -> tuple[Any, int]:
    """(channels, samples) float32 in [-1, 1] and their rate: the first sound of a file."""
    import av
    import numpy as np

    from likeness.pipelines.errors import InputError

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(f"{path} has no sound.")
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp", layout="mono" if stream.channels == 1 else "stereo")
            parts = [out.to_ndarray() for frame in container.decode(stream) for out in resampler.resample(frame)]
            parts += [out.to_ndarray() for out in resampler.resample(None)]
            rate_hz = int(stream.rate or 0)
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{path} cannot be read as sound: {error}.") from error
    if not parts:
        raise InputError(f"{path} has no samples.")
    return np.concatenate(parts, 1), rate_hz


def encoder_file(name: str, models: Path) -> Path:
    """The encoder's file: a path, or a name in models/audio_encoders."""
    from likeness.pipelines.errors import MissingWeightsError

    for path in (Path(name), models / "audio_encoders" / name):
        if path.is_file():
            return path
    folder = models / "audio_encoders"
    present = ", ".join(sorted(path.name for path in folder.glob("*.safetensors"))) if folder.is_dir() else ""
    raise MissingWeightsError(
        f"There is no audio encoder {name!r}. In {folder}: {present or 'nothing yet'}. Put a wav2vec2 or whisper "
        "file of ComfyUI's there, such as wav2vec2_large_english_fp16.safetensors (Wan 2.2 repackaged, audio_encoders)."
    )


def load_encoder(path: Path, comfyui: Path, device: str) -> Any:
    """A function from samples (N,) at 16 kHz to features, by ComfyUI's own code."""
    import torch

    sys.path.insert(0, str(comfyui))
    import comfy.cli_args

    comfy.cli_args.args.cpu = device == "cpu" or not torch.accelerator.is_available()
    import comfy.model_patcher  # the encoder's own code counts on somebody having imported it
    import comfy.utils
    from comfy.audio_encoders.audio_encoders import load_audio_encoder_from_sd

    from likeness.pipelines.audio.encoder_features import features_of
    from likeness.pipelines.audio.speech import RATE_HZ
    from likeness.pipelines.errors import WrongWeightsError

    try:
        encoder = load_audio_encoder_from_sd(comfy.utils.load_torch_file(str(path), safe_load=True))
    except RuntimeError as error:
        raise WrongWeightsError(f"{path} is no audio encoder that ComfyUI knows: {error}") from error

    def encode(samples: Any) -> Any:
        with torch.inference_mode():
            return features_of(encoder.encode_audio(torch.from_numpy(samples.copy())[None, None], RATE_HZ))

    return encode


class _Dots:
    """A progress bar for a terminal: a dot per sound and pass."""

    def __init__(self, total: int) -> None:
        self._left = total
        sys.stdout.write(f"Encoding in {total} steps: ")

    def update(self, steps: int = 1) -> None:
        """Steps are done."""
        self._left -= steps
        sys.stdout.write("." * steps + ("" if self._left else "\n"))
        sys.stdout.flush()


def say(text: str) -> None:
    """A line for the reader of the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _require_name(folder: Path, name: str, if_exists: str) -> None:
    """Refuse a name that could not be written in the end before hours go into it."""
    from likeness.pipelines.errors import UnsafeFileError
    from likeness.pipelines.files.names import file_in_folder

    path = file_in_folder(folder, name)
    if if_exists == "error" and path.exists():
        raise UnsafeFileError(f"{path} exists. Choose another name, or allow overwriting a file.")


def _places(models: Path | None) -> tuple[Path, Path]:
    """The models folder and ComfyUI's own folder."""
    from likeness.cli.comfyui import find
    from likeness.cli.errors import CommandError

    found = find()
    if found is None:
        raise CommandError("No ComfyUI is found: set COMFYUI_DIR to the folder that holds its main.py.")
    return models or found.base / "models", found.folder


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="train_speech_head", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("encoder", help="file of models/audio_encoders, or a path")
    parser.add_argument("sounds", type=Path, help="folder of speech, with .txt of the same name where known")
    parser.add_argument("name", help="of the head, without folder")
    parser.add_argument("--licence", default="", help="of the speech, such as 'public domain (LibriVox)'")
    parser.add_argument("--consent", default="", help="who agreed to what, in words; kept in the file")
    parser.add_argument("--layers", type=int, default=2, help="layers of the encoder to take (2): more is larger")
    parser.add_argument("--held-out", type=float, default=0.2, help="share of the files to check with (0.2)")
    parser.add_argument("--steps", type=int, default=1500, help="of the optimiser at most (1500)")
    parser.add_argument("--seed", type=int, default=0, help="the same one gives the same head (0)")
    parser.add_argument("--device", choices=["auto", "cpu"], default="auto", help="where the encoder runs")
    parser.add_argument("--models", type=Path, help="ComfyUI's models folder; that of the ComfyUI found otherwise")
    parser.add_argument(
        "--if-exists", choices=["number", "overwrite", "error"], default="number", help="when the name is taken"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
