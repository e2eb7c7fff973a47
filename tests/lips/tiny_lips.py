"""MuseTalk's and DICE-Talk's files in their true layout with small random weights, and a VAE whose result is known."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open

#: Inside ComfyUI the pack has the name of its folder.
PACK = next((name.removesuffix(".nodes") for name in sys.modules if name.endswith("Likeness.nodes")), "likeness")


def part(module):
    return importlib.import_module(f"{PACK}.pipelines.{module}")


WIDTHS = (32, 32, 32, 32)
V15, V1 = "musetalk/musetalkV15/unet.pth", "musetalk/musetalk/pytorch_model.bin"
WHISPER = "whisper/whisper-tiny/model.safetensors"


class MeansCoder:
    """A VAE whose latents are means of 8 x 8 pixels: colours, and a fourth channel of zeros."""

    def encode(self, pixels):
        means = F.avg_pool2d(pixels.movedim(-1, 1), 8)
        return torch.cat([means * 2 - 1, torch.zeros_like(means[:, :1])], 1)

    def decode(self, latents):
        colours = (latents[:, :3] / 2 + 0.5).clamp(0, 1)
        return F.interpolate(colours, scale_factor=8, mode="nearest").movedim(1, -1)


def random_state(module, seed=0):
    """Weights of a size that keeps activations near 1; norms near 1, biases near 0."""
    generator = torch.Generator().manual_seed(seed)
    return {name: _random(tensor.shape, name, generator) for name, tensor in module.state_dict().items()}


def _random(shape, name, generator):
    values = torch.randn(shape, generator=generator)
    if len(shape) > 1:
        return values * float(torch.tensor(shape[1:]).prod()) ** -0.5
    return 1 + 0.1 * values if name.endswith("weight") else 0.1 * values


def tiny_unet(inputs=8, context=384, seed=0):
    unet = part("lips.unet")
    sizes = unet.UNetSizes(inputs, 4, WIDTHS, (True, True, True, False), 2, context)
    network = unet.UNet(sizes)
    network.load_state_dict(random_state(network, seed))
    return network.eval().requires_grad_(False)


def tiny_whisper(width=384, layers=4, seed=0):
    network = part("lips.whisper").WhisperEncoder(80, width, 4 * width, layers)
    network.load_state_dict(random_state(network, seed))
    return network.eval().requires_grad_(False)


def whole_whisper(seed=0):
    """An encoder's tensors as a conversion of the whole model names them, with one of the decoder."""
    state = {f"model.encoder.{name}": tensor for name, tensor in tiny_whisper(seed=seed).state_dict().items()}
    return {**state, "model.decoder.layer_norm.weight": torch.ones(384)}


def adapter_state(network, rank=4, seed=0, queries=4):
    """UnAvgLip's tensors for a network: a small perceiver and the change of each of its attentions."""
    lips, perceiver = part("lips.attention_change"), part("adapters.perceiver")
    context = network.sizes.context
    resampler = perceiver.Resampler(queries, 64, 2, 128, 2, 512, context, 128)
    state = {f"image_proj_model.{name}": t for name, t in random_state(resampler, seed).items()}
    for attention in network.attentions:
        width, read = attention.to_q.in_features, attention.to_k.in_features
        change = lips.AttentionChange(width, read, rank, context if attention.number % 2 else 0)
        weights = random_state(change, seed + attention.number)
        state |= {f"adapter_modules.{attention.number}.{name}": t for name, t in weights.items()}
    return state


def write_lips(models: Path, seed=0):
    """The files below a models folder."""
    from safetensors.torch import save_file

    for name in (V15, WHISPER):
        (models / name).parent.mkdir(parents=True, exist_ok=True)
    torch.save(tiny_unet(seed=seed).state_dict(), models / V15)
    save_file(whole_whisper(seed), models / WHISPER)


FIXTURE = Path(__file__).parents[1] / "parity" / "fixtures" / "dice_talk_unet.safetensors"
#: Width of the tokens and how many of each kind; the widths of the network are those of the parity file.
WIDTH, TOKENS = 24, 5


def _shapes():
    with safe_open(FIXTURE, "pt") as file:
        return json.loads(file.metadata()["shapes"]), json.loads(file.metadata()["config"])


def network_config():
    """The same sizes for ComfyUI's own class."""
    return _shapes()[1]["comfy_unet_config"]


class _Tensors(torch.nn.Module):
    """Stands for a module with these shapes, so that they are filled like every other."""

    def __init__(self, shapes):
        super().__init__()
        self.shapes = shapes

    def state_dict(self):
        return {name: torch.empty(shape) for name, shape in self.shapes.items()}


def network_state(seed=0):
    return random_state(_Tensors(_shapes()[0]), seed)


def sound_state(seed=1):
    emotion = part("lips.dicetalk.emotion")
    return random_state(emotion.TokenProjection(10 * 5 * 384, 16, TOKENS, WIDTH), seed)


def emotion_state(seed=2):
    shapes = {
        "classifier.fc1.weight": (512, 40), "classifier.fc1.bias": (512,), "classifier.fc2.weight": (256, 512),
        "classifier.fc2.bias": (256,), "classifier.fc3.weight": (22, 256), "classifier.fc3.bias": (22,),
        "codebook.fc.weight": (WIDTH, 256), "codebook.fc.bias": (WIDTH,), "codebook.codebook.weight": (7, WIDTH),
    }  # fmt: skip
    for name, inputs in (("emo_linear", 256), ("kv_tokens_linear", WIDTH)):
        sizes = {"proj1": (16, inputs), "proj2": (16, 16), "proj3": (TOKENS * WIDTH, 16)}
        for layer, shape in sizes.items():
            shapes |= {f"{name}.{layer}.weight": shape, f"{name}.{layer}.bias": shape[:1]}
        shapes |= {f"{name}.norm.weight": (WIDTH,), f"{name}.norm.bias": (WIDTH,)}
    for layer in ("fc_q", "fc_k", "fc_v"):
        shapes |= {f"attention.{layer}.weight": (WIDTH, WIDTH), f"attention.{layer}.bias": (WIDTH,)}
    return random_state(_Tensors(shapes), seed)


def guide_state(seed=3):
    network = part("lips.dicetalk.network")
    return random_state(network.FaceGuide((4, 8, 8, 8), network_config()["model_channels"]), seed)


def write_dice(models: Path):
    """The four files below a models folder, and a prior as a plain array."""
    folder = models / "dice_talk"
    folder.mkdir(parents=True, exist_ok=True)
    files = {"unet": network_state, "pose_guider": guide_state, "audio_linear": sound_state, "emo_model": emotion_state}
    for name, state in files.items():
        torch.save(state(), folder / f"{name}.pth")
    (folder / "emo").mkdir(exist_ok=True)
    np.save(folder / "emo" / "happy.npy", np.linspace(-3, 3, 256, dtype=np.float32))
