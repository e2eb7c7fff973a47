"""DICE-Talk: a portrait that talks with an emotion, sampled by ComfyUI's own Stable Video Diffusion and samplers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_patcher
import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io
from torch import Tensor

from ..pipelines.audio.speech import Speech
from ..pipelines.errors import InputError, MissingWeightsError
from ..pipelines.face import Faces
from ..pipelines.lips.dicetalk.network import read_network
from ..pipelines.lips.dicetalk.priors import SUFFIXES, read_prior
from ..pipelines.lips.dicetalk.talker import (
    FPS,
    NETWORK_FILE,
    SIDE_PX,
    TalkTokens,
    face_place,
    load_talker,
    talking_size,
)
from . import sockets
from .attach import attach_talk, with_talk_weights
from .comfy_runtime import shared_registry
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
from .reports import SHOWS_REPORT, report_output, shown
from .sounds import Audio, audio_input, number_input, speech_in
from .speech import CATEGORY
from .talk_readers import LoadedTalker, TalkReaders

#: ComfyUI's name of the folder with emotion priors, which is models/dice_talk/emo.
PRIORS_FOLDER = "likeness_emotions"
NO_EMOTION = "none"
#: What the network was told during its training: rate, motion of the head and of the expression.
_TOLD = {"fps": FPS + 1, "motion_bucket_id": 8, "augmentation_level": 16}
#: Frames that the network was trained on at once.
FRAMES_AT_ONCE = 25


def register_priors_folder() -> None:
    """Tell ComfyUI where emotion priors are kept, keeping the user's own paths."""
    paths, _ = folder_paths.folder_names_and_paths.get(PRIORS_FOLDER, ([], set()))
    default = str(Path(folder_paths.models_dir, "dice_talk", "emo"))
    merged = paths if default in paths else [*paths, default]
    folder_paths.folder_names_and_paths[PRIORS_FOLDER] = (merged, set(SUFFIXES))


class LoadDiceTalk(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadDiceTalk",
            display_name="Load DICE-Talk",
            category=CATEGORY,
            description="Loads DICE-Talk from the files you have onto Stable Video Diffusion: a portrait talks with an "
            "emotion that is not the person's. For non-commercial use only.",
            search_aliases=["dice-talk", "dicetalk", "emotional talking head", "sonic", "svd talking portrait"],
            **SHOWS_REPORT,
            inputs=[
                io.Model.Input(
                    "model", tooltip="svd_xt or svd_xt_1_1, from Image Only Checkpoint Loader. It is not changed."
                )
            ],
            outputs=[
                sockets.Talker.Output("talker", display_name="talker", tooltip="For Prepare Talking Head."),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, model: comfy.model_patcher.ModelPatcher) -> io.NodeOutput:
        registry = shared_registry()
        talker = load_talker(registry)
        path = registry.find(NETWORK_FILE)
        if path is None:
            raise MissingWeightsError(f"{NETWORK_FILE} has gone while DICE-Talk was being loaded: put it back.")
        network = read_network(path)
        changed, held = with_talk_weights(model, network, path.name)
        report = (
            f"DICE-Talk: {len(network.weights)} weights of the video model, {len(network.readers)} attentions that "
            f"read sound and emotion.\nLicence {talker.licence}: not for commercial use."
        )
        return io.NodeOutput(LoadedTalker(talker, changed, network.readers, held), report, ui=shown(report))


class PrepareTalkingHead(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessPrepareTalkingHead",
            display_name="Prepare Talking Head",
            category=CATEGORY,
            description="Turns a portrait, a speech and an emotion into model, prompts and latent for Dual CFG Guider "
            "and Sampler Custom (Advanced): 12.5 frames per second.",
            search_aliases=["dice-talk", "talking head", "emotion bank", "audio to video", "svd"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                sockets.Talker.Input("talker", tooltip="From Load DICE-Talk."),
                io.ClipVision.Input(
                    "clip_vision", tooltip="Of the same checkpoint, from Image Only Checkpoint Loader."
                ),
                io.Vae.Input("vae", tooltip="Of the same checkpoint."),
                io.Image.Input("image", tooltip="The portrait; of a batch, the first picture with a face."),
                sockets.Faces.Input("faces", tooltip="From Detect Faces on the same picture; the first face talks."),
                audio_input("What is said, at any rate. Two seconds are 25 frames."),
                io.Combo.Input(
                    "emotion",
                    options=[NO_EMOTION, *folder_paths.get_filename_list(PRIORS_FOLDER)],
                    default=NO_EMOTION,
                    tooltip="A prior in models/dice_talk/emo: happy.npy, sad.npy and so on of DICE-Talk's examples. "
                    "none leaves the emotion to the sound.",
                ),
                fraction("sound_scale", 1.0, "How much of the sound comes in. Lower mumbles.", high=2.0, advanced=True),
                fraction("emotion_scale", 1.0, "How much of the emotion comes in.", high=2.0, advanced=True),
                io.Boolean.Input(
                    "retrieval",
                    default=False,
                    advanced=True,
                    tooltip="Off, as published: the emotion reads the whole bank of learned entries. On: only the "
                    "nearest one, which is stronger and coarser.",
                ),
                io.Int.Input(
                    "size",
                    default=SIDE_PX,
                    min=64,
                    max=1024,
                    step=64,
                    advanced=True,
                    tooltip="Shorter side of the frames in px; 512 as trained. Less is faster and takes less memory.",
                ),
                number_input(),
            ],
            outputs=[
                io.Model.Output("model", display_name="model", tooltip="For the guider, or through Context Windows."),
                io.Conditioning.Output("said", display_name="said", tooltip="Sound and emotion: cond1 of the guider."),
                io.Conditioning.Output("silent", display_name="silent", tooltip="The portrait alone: cond2."),
                io.Conditioning.Output("negative", display_name="negative", tooltip="Nothing: negative."),
                io.Latent.Output("latent", display_name="latent", tooltip="As many frames as the sound needs."),
                report_output(),
            ],
        )

    @classmethod
    @concerns_faces("portrait made to talk with an emotion")
    def execute(
        cls,
        talker: LoadedTalker,
        clip_vision: Any,
        vae: Any,
        image: Tensor,
        faces: Faces,
        audio: Audio,
        emotion: str,
        sound_scale: float,
        emotion_scale: float,
        retrieval: bool,
        size: int,
        number: int,
    ) -> io.NodeOutput:
        faces.require_frames(len(image), "The portrait")
        faces.require_any("The portrait")
        index, face = next(iter(faces))
        speech, several = speech_in(audio, number)
        prior = None if emotion == NO_EMOTION else read_prior(_prior_path(emotion))
        tokens = talker.talker.tokens(speech, prior, retrieval)
        height, width = talking_size(*image.shape[1:3], size)
        place = face_place(face, *image.shape[1:3])
        mask = torch.nn.functional.interpolate(place, size=(height, width), mode="bilinear", antialias=True)
        guide = talker.talker.guided(mask)
        readers = TalkReaders(talker.readers, (sound_scale, emotion_scale), guide, mask, talker.patcher)
        portrait = comfy.utils.common_upscale(
            image[index : index + 1, ..., :3].movedim(-1, 1), width, height, "lanczos", "disabled"
        ).movedim(1, -1)
        said, silent, negative, latent = _conditioning(clip_vision, vae, portrait, tokens)
        report = "\n".join(line for line in (_report(tokens, height, width, emotion, speech), several) if line)
        model = attach_talk(talker.model, readers)
        return io.NodeOutput(model, said, silent, negative, latent, report, ui=shown(report))


def _conditioning(clip_vision: Any, vae: Any, portrait: Tensor, tokens: TalkTokens) -> tuple[Any, Any, Any, Any]:
    """Prompts with and without what is said, the negative one, and the latent."""
    seen = clip_vision.encode_image(portrait, crop=False).image_embeds.float().cpu()[:, None]
    if seen.shape[-1] != tokens.sound.shape[-1]:
        raise InputError(
            f"CLIP Vision gives {seen.shape[-1]} numbers, DICE-Talk reads {tokens.sound.shape[-1]}: connect the CLIP "
            "Vision of the video checkpoint."
        )
    encoded = vae.encode(portrait)
    count = len(tokens.sound)
    told = {**_TOLD, "concat_latent_image": encoded}
    nothing = {**_TOLD, "concat_latent_image": torch.zeros_like(encoded)}

    def prompt(picture: Tensor, says: bool, values: dict[str, Any]) -> list[Any]:
        return [[torch.cat([picture.expand(count, -1, -1), tokens.rows(says)], 1), dict(values)]]

    latent = {"samples": encoded.float().cpu().expand(count, -1, -1, -1).clone()}
    return (
        prompt(seen, True, told),
        prompt(seen, False, told),
        prompt(torch.zeros_like(seen), False, nothing),
        latent,
    )


def _prior_path(name: str) -> Path:
    found = folder_paths.get_full_path(PRIORS_FOLDER, name)
    if found is None:
        raise MissingWeightsError(
            f"There is no emotion prior {name!r} in models/dice_talk/emo. DICE-Talk's repository has them in "
            "examples/emo (CC BY-NC-SA 4.0); put them there and press R."
        )
    return Path(found)


def _report(tokens: TalkTokens, height: int, width: int, emotion: str, speech: Speech) -> str:
    count = len(tokens.sound)
    felt = "no emotion given" if emotion == NO_EMOTION else f"emotion {emotion}"
    lines = [f"{count} frame(s) of {width} × {height} px at {FPS} per second for {speech.duration_s:.2f} s; {felt}."]
    lines.append("Dual CFG Guider: cfg_conds 6, cfg_cond2_negative 3; 25 steps of euler on a karras schedule.")
    if count > FRAMES_AT_ONCE:
        lines.append(
            f"The network was trained on {FRAMES_AT_ONCE} frames: send the model through Context Windows (Manual) with "
            f"context_length {FRAMES_AT_ONCE}, context_overlap 7, dim 0 and causal_window_fix off."
        )
    return "\n".join(lines)
