"""The node that reads a speech head, what hears phones in the features of ComfyUI's audio encoders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from comfy_api.latest import io
from numpy.typing import NDArray

from ..pipelines.audio.encoder import EncodedSpeech
from ..pipelines.audio.encoder_features import EncoderFeatures, features_of
from ..pipelines.audio.speech import RATE_HZ
from ..pipelines.audio.speech_head import Encode, SpeechHead
from ..pipelines.audio.speech_head_file import FOLDER as BELOW_MODELS
from ..pipelines.audio.speech_head_file import load_speech_head
from ..pipelines.errors import InputError
from . import sockets
from .reports import SHOWS_REPORT, report_output, shown

#: ComfyUI's name of the folder that holds speech heads.
FOLDER = "likeness_speech_heads"


def register_speech_head_folder() -> None:
    """Tell ComfyUI where heads are kept: the user's own path for it first, else models/likeness/speech_heads."""
    paths, _ = folder_paths.folder_names_and_paths.get(FOLDER, ([], set()))
    default = str(Path(folder_paths.models_dir) / BELOW_MODELS)
    merged = paths if default in paths else [*paths, default]
    folder_paths.folder_names_and_paths[FOLDER] = (merged, {".safetensors"})


def encoding_with(audio_encoder: Any) -> Encode:
    """What an AUDIO_ENCODER of ComfyUI makes of samples at 16 kHz; its memory manager moves the model."""

    def encode(samples: NDArray[np.float32]) -> EncoderFeatures:
        waveform = torch.from_numpy(samples.copy())[None, None]
        return features_of(audio_encoder.encode_audio(waveform, RATE_HZ))

    return encode


def encoder_inputs() -> list[io.Input]:
    """What a node that listens needs to hear with an audio encoder."""
    return [
        sockets.SpeechHead.Input(
            "speech_head",
            optional=True,
            tooltip="From Load Speech Head: the speech is heard with an audio encoder of ComfyUI, in the language that "
            "the head was trained on. Without, with what comes along.",
        ),
        io.AudioEncoderOutput.Input(
            "audio_encoder_output",
            optional=True,
            tooltip="From Audio Encoder Encode with the same AUDIO, where Load Speech Head has no encoder connected. "
            "The whole sound at once: whisper hears 30 s.",
        ),
    ]


def encoded_speech(head: SpeechHead | None, output: Any, number: int) -> EncodedSpeech | None:
    """What the listeners are told of these inputs. number: of the sound in the AUDIO.

    Raises InputError when the encoder's output comes without a head, or is none.
    """
    if head is None:
        if output is not None:
            raise InputError(
                "An audio encoder's output is connected and nothing that reads it: connect Load Speech Head too."
            )
        return None
    return EncodedSpeech(head, None if output is None else features_of(output, number))


class LoadSpeechHead(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadSpeechHead",
            display_name="Load Speech Head",
            category="Likeness/speech",
            description="A small network that hears the sounds of speech in what ComfyUI's audio encoders (wav2vec2, "
            "whisper) make of it. tools/train_speech_head.py trains one for the encoder you have.",
            search_aliases=["wav2vec2", "whisper", "audio encoder", "phonemes", "lip sync"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folder_paths.get_filename_list(FOLDER),
                    tooltip="Files in models/likeness/speech_heads. A head fits the encoder that it was trained with "
                    "and no other one. Press R after training one.",
                ),
                io.AudioEncoder.Input(
                    "audio_encoder",
                    optional=True,
                    tooltip="From Load Audio Encoder. Connected here, a sound is encoded in pieces of 18 s, so any "
                    "length is heard in the same memory. Without it connect the output of Audio Encoder Encode where "
                    "the speech is heard: the whole sound at once, which whisper hears 30 s of.",
                ),
            ],
            outputs=[sockets.SpeechHead.Output("speech_head", display_name="speech_head"), report_output()],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        if folder_paths.get_full_path(FOLDER, file) is not None:
            return True
        present = ", ".join(folder_paths.get_filename_list(FOLDER)) or "none yet"
        return (
            f"There is no speech head {file!r}. Speech heads: {present}. Train one for your audio encoder with "
            "tools/train_speech_head.py in the pack's folder; speech is heard without one too."
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, **_others: object) -> str:
        path = Path(folder_paths.get_full_path_or_raise(FOLDER, file))
        return f"{path.stat().st_mtime_ns}:{path.stat().st_size}"

    @classmethod
    def execute(cls, file: str, audio_encoder: Any = None) -> io.NodeOutput:
        head = load_speech_head(Path(folder_paths.get_full_path_or_raise(FOLDER, file)))
        report = f"{file}: for {head.card.describe()}."
        if head.card.consent:
            report += f"\nConsent of those heard in training: {head.card.consent}"
        if audio_encoder is not None:
            head = replace(head, encode=encoding_with(audio_encoder))
        return io.NodeOutput(head, report, ui=shown(report))
