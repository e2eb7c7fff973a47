"""Nodes that only the tests have: models of the true layout with random weights, where workflows name large files."""

from __future__ import annotations

import dataclasses
import math
import sys
import zlib
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from comfy_api.latest import ComfyExtension, io

sys.path.insert(0, str((Path(__file__).parent / "ComfyUI-Likeness" / "tests" / "adapters").resolve()))
sys.path.insert(0, str((Path(__file__).parent / "ComfyUI-Likeness" / "tests" / "render").resolve()))
sys.path.insert(0, str((Path(__file__).parent / "ComfyUI-Likeness" / "tests" / "lips").resolve()))
import tiny_models
from comfy.audio_encoders.audio_encoders import AudioEncoderModel
from tiny_text import TinyClip, clip_vision

KINDS = ("SD1.5", "SDXL", "FLUX")
#: Beginnings of the ids of weights that the tests have as files of their own.
OWN_FILES = ("eva02", "bisenet", "musetalk", "whisper_tiny", "dice_talk")


@cache
def model_of(kind):
    """One model per kind for the whole process, as a loader's cache would keep it."""
    return tiny_models.flux() if kind == "FLUX" else tiny_models.narrow_unet(kind)


class TinyVae:
    """Shows three channels of a latent, eight times as large; NaN stays NaN."""

    def decode(self, samples, **_others):
        return torch.sigmoid(samples[:, :3]).movedim(1, -1).repeat_interleave(8, 1).repeat_interleave(8, 2)

    def encode(self, pixels):
        """What `decode` shows as the means of 8 x 8 pixels, and a fourth channel of zeros."""
        means = torch.nn.functional.avg_pool2d(pixels[..., :3].movedim(-1, 1), 8)
        return torch.cat([torch.logit(means, 0.02), torch.zeros_like(means[:, :1])], 1)


def _output_types():
    return [io.Model.Output(), io.Clip.Output(), io.Vae.Output()]


class Checkpoint(io.ComfyNode):
    """Stands in for CheckpointLoaderSimple, UNETLoader (its first output) and the loaders of CLIP and VAE."""

    @classmethod
    def define_schema(cls):
        kind = io.Combo.Input("kind", options=list(KINDS))
        return io.Schema(node_id="LikenessTestCheckpoint", category="testing", inputs=[kind], outputs=_output_types())

    @classmethod
    def execute(cls, kind):
        return io.NodeOutput(model_of(kind), TinyClip(kind), TinyVae())


class Clip(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        kind = io.Combo.Input("kind", options=list(KINDS))
        return io.Schema(node_id="LikenessTestClip", category="testing", inputs=[kind], outputs=[io.Clip.Output()])

    @classmethod
    def execute(cls, kind):
        return io.NodeOutput(TinyClip(kind))


class Vae(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="LikenessTestVae", category="testing", inputs=[], outputs=[io.Vae.Output()])

    @classmethod
    def execute(cls):
        accept_tiny_files()
        return io.NodeOutput(TinyVae())


class VideoCheckpoint(io.ComfyNode):
    """Stands in for ImageOnlyCheckpointLoader."""

    @classmethod
    def define_schema(cls):
        outputs = [io.Model.Output(), io.ClipVision.Output(), io.Vae.Output()]
        return io.Schema(node_id="LikenessTestVideoCheckpoint", category="testing", inputs=[], outputs=outputs)

    @classmethod
    def execute(cls):
        # not before the pack is loaded
        from tiny_video import SeenColours, video_model

        accept_tiny_files()
        return io.NodeOutput(video_model(), SeenColours(), TinyVae())


class Control(io.ComfyNode):
    """IdentityNet's shape: a ControlNet of SDXL."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LikenessTestControlNet",
            category="testing",
            inputs=[io.Combo.Input("kind", options=["SD1.5", "SDXL"])],
            outputs=[io.ControlNet.Output()],
        )

    @classmethod
    def execute(cls, kind):
        return io.NodeOutput(tiny_models.narrow_controlnet(kind))


class ClipVision(io.ComfyNode):
    """ViT-H/14 or ViT-L/14 with two layers."""

    @classmethod
    def define_schema(cls):
        width = io.Int.Input("width", default=1280)
        return io.Schema(
            node_id="LikenessTestClipVision", category="testing", inputs=[width], outputs=[io.ClipVision.Output()]
        )

    @classmethod
    def execute(cls, width):
        return io.NodeOutput(clip_vision(width))


class OtherRecogniser:
    """Tells people apart like the recogniser it stands for would: one vector per picture of a face."""

    licence, commercial_use, dimension = "for tests", False, 512

    def __init__(self, name):
        self.name = name

    def embed(self, images, faces):
        mixer = torch.Generator().manual_seed(zlib.crc32(self.name.encode()))
        matrix = torch.randn(192, self.dimension, generator=mixer) / math.sqrt(192)
        rows = [self._seen(images[index], face.bbox_xyxy) for index, face in faces]
        return (20 * torch.stack(rows) @ matrix).numpy().astype(np.float32)

    @staticmethod
    def _seen(image, box):
        x0, y0, x1, y1 = (max(int(value), 0) for value in box)
        face = image[y0:y1, x0:x1].movedim(-1, 0)[None].float()
        small = torch.nn.functional.adaptive_avg_pool2d(face, 8).flatten()
        return small - small.mean()

    def distance(self, a, b):
        return float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    def probability(self, distance):
        return float(np.clip(1 - distance, 0, 1))


class Analysis(io.ComfyNode):
    """The given analysis with a recogniser whose weights a test has not. Its EVA02 tower is the tests' own file."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Custom("LIKENESS_ANALYSIS").Input("analysis"), io.String.Input("recogniser")]
        outputs = [io.Custom("LIKENESS_ANALYSIS").Output(), io.String.Output()]
        return io.Schema(node_id="LikenessTestAnalysis", category="testing", inputs=inputs, outputs=outputs)

    @classmethod
    def execute(cls, analysis, recogniser):
        accept_tiny_files()
        return io.NodeOutput(dataclasses.replace(analysis, recogniser=OtherRecogniser(recogniser)), recogniser)


def accept_tiny_files():
    """The pack's registry, taking the tests' own files, which have another size and content than the published."""
    name = next(name for name in sys.modules if name.endswith("Likeness.nodes.comfy_runtime"))
    registry = sys.modules[name].shared_registry()
    entries = tuple(
        dataclasses.replace(entry, size_bytes=None, sha256=None) if entry.id.startswith(OWN_FILES) else entry
        for entry in registry.manifest.entries
    )
    registry.manifest = dataclasses.replace(registry.manifest, entries=entries)
    return registry


class FaceParser(io.ComfyNode):
    """The pack's face parser with the tests' own file."""

    @classmethod
    def define_schema(cls):
        inputs, outputs = [io.String.Input("parser")], [io.Custom("LIKENESS_PARSER").Output()]
        return io.Schema(node_id="LikenessTestFaceParser", category="testing", inputs=inputs, outputs=outputs)

    @classmethod
    def execute(cls, parser):
        registry = accept_tiny_files()
        name = next(name for name in sys.modules if name.endswith("Likeness.pipelines.identity.parsing"))
        return io.NodeOutput(sys.modules[name].load_parser(registry, parser))


class AudioEncoder(io.ComfyNode):
    """ComfyUI's own wav2vec2 or whisper, small and with random numbers that are the same every time."""

    CONFIGS: ClassVar = {
        "wav2vec2": {
            **{"model_type": "wav2vec2", "embed_dim": 96, "num_heads": 4, "num_layers": 2},
            **{"conv_norm": False, "conv_bias": False, "do_normalize": False, "do_stable_layer_norm": False},
        },
        "whisper": {"model_type": "whisper3", "n_audio_state": 96, "n_audio_head": 4, "n_audio_layer": 2},
    }

    @classmethod
    def define_schema(cls):
        kind = io.Combo.Input("kind", options=list(cls.CONFIGS))
        return io.Schema(
            node_id="LikenessTestAudioEncoder", category="testing", inputs=[kind], outputs=[io.AudioEncoder.Output()]
        )

    @classmethod
    def execute(cls, kind):
        encoder = AudioEncoderModel(dict(cls.CONFIGS[kind]))
        random = torch.Generator().manual_seed(0)
        for name, parameter in encoder.model.named_parameters():
            scale = 1 / math.sqrt(max(parameter[0].numel(), 1)) if parameter.ndim > 1 else 0.0
            parameter.data = (torch.randn(parameter.shape, generator=random) * scale).to(parameter.dtype)
            if name.endswith("norm.weight"):
                parameter.data.fill_(1)
        return io.NodeOutput(encoder)


class LivePortrait(io.ComfyNode):
    """LivePortrait whose picture follows its keypoints, without its files."""

    @classmethod
    def define_schema(cls):
        outputs = [io.Custom("LIKENESS_RENDERER").Output(), io.String.Output()]
        return io.Schema(node_id="LikenessTestLivePortrait", category="testing", outputs=outputs)

    @classmethod
    def execute(cls):
        # not before the pack is loaded
        from liveportrait_parts import following

        renderer = following()
        return io.NodeOutput(renderer, renderer.text)


class TinyModels(ComfyExtension):
    async def get_node_list(self):
        nodes = [Checkpoint, Clip, Vae, VideoCheckpoint, Control, ClipVision, Analysis, FaceParser, AudioEncoder]
        return [*nodes, LivePortrait]


async def comfy_entrypoint():
    return TinyModels()
