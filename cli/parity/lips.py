"""MuseTalk, UnAvgLip and DICE-Talk against their published implementations."""

from __future__ import annotations

import math
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from ...pipelines.adapters.checkpoint import load_into
from ...pipelines.adapters.perceiver import PerceiverAttention, build_resampler
from ...pipelines.lips.attention_change import change_of
from ...pipelines.lips.dicetalk.emotion import build_emotion_model, build_sound_projection
from ...pipelines.lips.dicetalk.sites import readers_of
from ...pipelines.lips.hearing import LEAD, sound_tokens, window_starts, windows_of
from ...pipelines.lips.mouth_crop import without_lower_half
from ...pipelines.lips.unet import Attention, attend, build_unet
from ...pipelines.lips.whisper import FEATURES_HZ
from .check import Check
from .fixture import Error, Fixture

#: Agreement asked of a whole UNet in float32.
UNET_TOLERANCE = 1e-4


@torch.no_grad()
def musetalk_unet(path: Path) -> list[Error]:
    f = Fixture(path)
    unet = build_unet(f.weights(), path.name, f.config["heads"])
    masked, reference, sound = f["in.masked_latents"], f["in.ref_latents"], f["in.audio"]
    tokens, silence = (sound_tokens(x.unflatten(1, (-1, 5))) for x in (sound, torch.zeros_like(sound)))
    timestep = int(f["in.timestep"])

    def predict(first: Tensor, second: Tensor, read: Tensor) -> Tensor:
        return unet(torch.cat([first, second], 1), read, timestep=timestep)

    predictions = {
        "pred": predict(masked, reference, tokens),
        "pred_silence": predict(masked, reference, silence),
        "pred_without_pe": predict(masked, reference, sound),
        "pred_channels_swapped": predict(reference, masked, tokens),
    }
    return [*f.compare({"audio_pe": tokens}), *f.compare(predictions, UNET_TOLERANCE)]


@torch.no_grad()
def musetalk_inputs(path: Path) -> list[Error]:
    """Windows at several rates, as published: whole rates, and a lead that grows with the duration of a frame."""
    f = Fixture(path)
    outputs: dict[str, Tensor] = {}
    for name in (key.removeprefix("out.") for key in f.tensors if key.startswith("out.chunks_")):
        rate, seconds = (float(part) for part in re.findall(r"[\d.]+", name))
        duration, whole = int(16000 * seconds) / 16000, int(rate)
        times = [number / whole for number in range(math.floor(duration * whole))]
        features = f["in.whisper_hidden"][0, : math.floor(duration * FEATURES_HZ)]
        lead = LEAD // 2 * math.ceil(FEATURES_HZ / whole)
        outputs[name] = windows_of(features, window_starts(times, lead)).flatten(1, 2)
    crop = f["in.crop_bgr"].flip(-1)[None].float() / 255
    outputs["pixels_ref"] = crop.movedim(-1, 1) * 2 - 1
    outputs["pixels_masked"] = without_lower_half(crop).movedim(-1, 1) * 2 - 1
    return f.compare(outputs)


@torch.no_grad()
def unavglip_identity_perceiver(path: Path) -> list[Error]:
    f = Fixture(path)
    state = f.part("image_proj_model.")
    perceiver = build_resampler(state, head_width=f.config["dim_head"])
    load_into(perceiver, state, path.name)
    return f.compare({"tokens": perceiver(f["in.face"]), "tokens_3faces": perceiver(f["in.faces"])})


class _WithDecoder(nn.Module):
    """The perceiver of a file that does not parse, repaired by one word: a decoder stands in for the feed-forward.

    It reads the faces for the latents and the latents for the faces, so that it runs for one face only, and it cannot
    be built at the published size. No file of weights can have this layout; it is here so that the difference is known.
    """

    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        dim, heads = config["dim"], config["heads"]
        self.latents = nn.Parameter(torch.zeros(1, config["num_queries"], dim))
        self.proj_in = nn.Linear(config["embedding_dim"], dim)
        self.proj_out = nn.Linear(dim, config["output_dim"])
        self.norm_out = nn.LayerNorm(config["output_dim"])
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PerceiverAttention(dim, heads * config["dim_head"], heads),
                    nn.TransformerDecoderLayer(dim, heads, batch_first=True),
                ]
            )
            for _ in range(config["depth"])
        )

    def forward(self, faces: Tensor) -> Tensor:
        latents, x = self.latents.expand(len(faces), -1, -1), self.proj_in(faces)
        for attention, decoder in self.layers:  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
            latents = attention(x, latents) + latents
            latents = decoder(x, latents) + latents
        return self.norm_out(self.proj_out(latents))


@torch.no_grad()
def unavglip_identity_perceiver_decoder(path: Path) -> list[Error]:
    f = Fixture(path)
    perceiver = _WithDecoder(f.config)
    load_into(perceiver, f.part("image_proj_model."), path.name)
    return f.compare({"tokens": perceiver(f["in.face"])})


def _attention(f: Fixture, name: str, number: int, context: int) -> Attention:
    attention = Attention(f.config["query_dim"], context, f.config["heads"])
    load_into(attention, f.part(f"{name}."), name)
    attention.number = number
    return attention


@torch.no_grad()
def unavglip_attention(path: Path) -> list[Error]:
    f = Fixture(path)
    hidden, sound, tokens = f["in.hidden"], f["in.audio"], f["in.tokens"]
    itself = _attention(f, "attn1", 0, f.config["query_dim"])
    cross = _attention(f, "attn2", 1, f.config["cross_attention_dim"])
    weights = []
    for number in (0, 1):
        state = f.part(f"adapter_modules.{number}.", "adapter_shapes")
        weights.append(change_of(state))
        load_into(weights[-1], state, path.name)
    outputs = {
        "attn1_plain": itself(hidden, None, {}),
        "attn1_lora": itself(hidden, None, {0: weights[0].bound(tokens, 1.0)}),
        "attn2_plain": cross(hidden, sound, {}),
    }
    for name in (key.removeprefix("out.") for key in f.tensors if key.startswith("out.attn2_scale_")):
        scale = float(name.removeprefix("attn2_scale_"))
        outputs[name] = cross(hidden, sound, {1: weights[1].bound(tokens, scale)})
    return f.compare(outputs)


@torch.no_grad()
def dice_talk_emotion(path: Path) -> list[Error]:
    f = Fixture(path)
    model = build_emotion_model(f.weights(), path.name)
    priors, masked = f["in.prior"].reshape(-1, f.config["prior"]), f["in.mask"].flatten().bool()
    zeros = torch.zeros_like(priors)
    nearest = model.codebook.nearest(priors)
    outputs = {
        "tokens": model(priors)[None],
        "tokens_uncond": model(zeros)[None],
        "tokens_retrieval": model(priors, retrieval=True)[None],
        "tokens_retrieval_uncond": model(zeros, retrieval=True)[None],
        "tokens_retrieval_masked": model(priors, retrieval=True, masked=masked)[None],
        "vq_loss": nearest.loss[None],
        "logits": model.classifier(f["in.feature"]),
    }
    return [*f.compare(outputs), *f.compare({"code_index": nearest.index}, 0.0)]


@torch.no_grad()
def dice_talk_attention(path: Path) -> list[Error]:
    f = Fixture(path)
    projection = build_sound_projection(f.part("audio_linear."), path.name)
    sound = f["in.audio"][0].flatten(1)
    tokens, uncond = projection(sound)[None], projection(torch.zeros_like(sound))[None]
    outputs = {"audio_tokens": tokens, "audio_tokens_uncond": uncond}
    state = f.part("attn2.processor.", "adapter_shapes")
    readers, attention = readers_of(state), _attention(f, "attn2", 0, f.config["cross_attention_dim"])
    load_into(readers, state, path.name)
    hidden, picture, heads = f["in.hidden"], f["in.image_embed"], f.config["heads"]
    q = attention.to_q(hidden)
    plain = attend(q, attention.to_k(picture), attention.to_v(picture), heads)
    outputs["attn_plain"] = attention(hidden, picture, {})
    for name in (key.removeprefix("out.") for key in f.tensors if key.startswith("out.attn_audio_")):
        scales = [float(part) for part in re.findall(r"[\d.]+", name)]
        added = readers.increment(q, (tokens[0], f["in.emotion_tokens"]), scales, heads)
        outputs[name] = attention.to_out[0](plain + added)
    return f.compare(outputs)


CHECKS: tuple[Check, ...] = (
    Check("musetalk_unet", "MuseTalk's UNet: latents in their order, positions of the sound", musetalk_unet),
    Check("musetalk_inputs", "MuseTalk's windows of sound at four rates, its masked pixels", musetalk_inputs),
    Check("unavglip_identity_perceiver", "UnAvgLip's tokens of one and three faces", unavglip_identity_perceiver),
    Check(
        "unavglip_identity_perceiver_decoder",
        "the published perceiver that cannot be used, repaired",
        unavglip_identity_perceiver_decoder,
    ),
    Check("unavglip_attention", "UnAvgLip's attention with and without identity", unavglip_attention),
    Check("dice_talk_emotion", "DICE-Talk's emotion bank", dice_talk_emotion),
    Check("dice_talk_attention", "DICE-Talk's sound tokens and attention with two adapters", dice_talk_attention),
)
