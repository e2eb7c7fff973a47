"""Nodes that only the tests have: core's FACE_LANDMARKS without its model, and pictures nobody should connect."""

from __future__ import annotations

import math

import numpy as np
import torch
from comfy_api.latest import ComfyExtension, io


class LandmarksFromFaces(io.ComfyNode):
    """Our faces as core's MediaPipe node would emit them."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LikenessTestLandmarksFromFaces",
            category="testing",
            inputs=[io.Custom("LIKENESS_FACES").Input("faces")],
            outputs=[io.Custom("FACE_LANDMARKS").Output("face_landmarks")],
        )

    @classmethod
    def execute(cls, faces):
        frames = [[_entry(face) for face in frame] for frame in faces.frames]
        return io.NodeOutput({"frames": frames, "image_size": (faces.height, faces.width), "connection_sets": {}})


def _entry(face):
    flat = face.landmarks[:, :2] + 0.5
    # the landmarker's own coordinates: a crop of 256 px whose pixels are larger than the picture's
    own = np.concatenate([flat, face.landmarks[:, 2:]], axis=1) / 1.7
    return {
        "bbox_xyxy": face.bbox_xyxy + 0.5,
        "landmarks_xy": flat,
        "landmarks_3d": own,
        "blendshapes": {"jawOpen": 0.25},
        "presence": 9.0,
        "score": face.score,
    }


KINDS = ("noise", "tiny", "empty", "nan", "alpha", "grey", "16k", "batch with one face")


class Picture(io.ComfyNode):
    """A picture made into a hard case."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LikenessTestPicture",
            category="testing",
            inputs=[io.Image.Input("image"), io.Combo.Input("kind", options=list(KINDS))],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image, kind):
        return io.NodeOutput(_hard_case(image, kind))


def _hard_case(image, kind):
    if kind == "noise":
        return torch.rand(image.shape, generator=torch.Generator().manual_seed(1))
    if kind == "tiny":
        return image[:, :48, :40]
    if kind == "empty":
        return image[:0]
    if kind == "nan":
        broken = image.clone()
        broken[0, 3, 4, 1] = math.nan
        return broken
    if kind == "alpha":
        return torch.cat([image, torch.ones_like(image[..., :1])], -1)
    if kind == "grey":
        return image.mean(-1, keepdim=True)
    if kind == "16k":
        wide = torch.zeros(image.shape[0], image.shape[1], 16384, 3)
        wide[:, :, 9000 : 9000 + image.shape[2]] = image
        return wide
    return torch.cat([torch.zeros_like(image), image])


SOUNDS = ("5.1", "96 kHz", "8 kHz", "batch of two", "no samples", "nan", "music", "clipping", "none", "three channels")


class SoundCase(io.ComfyNode):
    """A voice made into a hard case."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LikenessTestSound",
            category="testing",
            inputs=[io.Audio.Input("audio"), io.Combo.Input("kind", options=list(SOUNDS))],
            outputs=[io.Audio.Output()],
        )

    @classmethod
    def execute(cls, audio, kind):
        return io.NodeOutput(_hard_sound(audio["waveform"], audio["sample_rate"], kind))


def _hard_sound(wave, rate, kind):
    times = torch.arange(wave.shape[-1]) / rate
    chord = sum(torch.sin(2 * math.pi * hz * times) for hz in (220.0, 277.2, 329.6)) / 8
    cases = {
        # the voice in the centre, music in front
        "5.1": (torch.stack([chord, chord, wave[0, 0], 0 * chord, 0 * chord, 0 * chord])[None], rate),
        "96 kHz": (wave.repeat_interleave(6, -1), 6 * rate),
        "8 kHz": (wave[..., ::2], rate // 2),
        "batch of two": (torch.cat([wave, 0 * wave]), rate),
        "no samples": (wave[..., :0], rate),
        "nan": (torch.where(torch.arange(wave.shape[-1]) == 4000, math.nan, wave), rate),
        "music": (chord[None, None], rate),
        "clipping": (20 * wave, rate),
        "three channels": (wave.repeat(1, 3, 1), rate),
    }
    if kind == "none":
        return None
    waveform, sample_rate = cases[kind]
    return {"waveform": waveform, "sample_rate": sample_rate}


class TestNodes(ComfyExtension):
    async def get_node_list(self):
        return [LandmarksFromFaces, Picture, SoundCase]


async def comfy_entrypoint():
    return TestNodes()
