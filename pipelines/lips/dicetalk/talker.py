"""DICE-Talk with its files: what a portrait, a speech and an emotion are to the denoising network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...audio.speech import RATE_HZ, Speech
from ...errors import InputError
from ...face import Face
from ...registry import Handle, Registry, Runtime
from ..files import WHISPER_FILES, load_whisper
from ..hearing import Hearing
from .emotion import PRIOR, EmotionModel, read_emotion_model, read_sound_projection
from .network import FACE_AREA, read_face_guide

NETWORK_FILE, SOUND_FILE = "dice_talk_unet", "dice_talk_audio_linear"
EMOTION_FILE, GUIDE_FILE = "dice_talk_emo_model", "dice_talk_pose_guider"
#: In the order in which they are missed.
FILES = (NETWORK_FILE, GUIDE_FILE, SOUND_FILE, EMOTION_FILE)
FPS = 12.5
#: How much sound a frame shows.
FRAME_SAMPLES = round(RATE_HZ / FPS)
#: Sides of a picture divide by this; the network was trained with a shorter one of `SIDE_PX`.
STEP_PX, SIDE_PX = 64, 512
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class TalkTokens:
    """What the network reads besides the picture. sound: (T, n, width), one row per frame. emotion: (1, n, width).
    no_sound, no_emotion: (1, n, width), the same of silence and of no emotion."""

    sound: Tensor
    emotion: Tensor
    no_sound: Tensor
    no_emotion: Tensor

    def rows(self, said: bool) -> Tensor:
        """(T, 2 n, width): sound, then emotion, of every frame; those of nothing unless `said`."""
        count = len(self.sound)
        parts = (self.sound, self.emotion) if said else (self.no_sound, self.no_emotion)
        return torch.cat([part.expand(count, -1, -1) for part in parts], 1)


@dataclass(frozen=True, eq=False)
class Talker:
    """The small networks around the denoising one, shared. licence: of their files."""

    sound: Handle
    emotion: Handle
    guide: Handle
    whisper: Handle
    runtime: Runtime
    licence: str

    def tokens(self, speech: Speech, prior: Tensor | None, retrieval: bool = False) -> TalkTokens:
        """speech: one frame every 80 ms. prior: (256,) or None for no emotion. retrieval: see `EmotionModel`.

        Raises InputError for a speech shorter than a frame.
        """
        count = len(speech.samples) // FRAME_SAMPLES
        if count == 0:
            raise InputError(f"The speech lasts {speech.duration_s:.3f} s, less than one frame of {1 / FPS:.2f} s.")
        hearing = Hearing(speech, self.whisper, self.runtime)
        sound = [
            self._projected(hearing.around([number / FPS for number in range(first, min(first + _AT_ONCE, count))]))
            for first in range(0, count, _AT_ONCE)
        ]
        silence = self._projected(torch.zeros_like(hearing.around([0.0])))
        felt, nothing = self._felt(prior, retrieval)
        return TalkTokens(torch.cat(sound), felt, silence, nothing)

    def _projected(self, windows: Tensor) -> Tensor:
        self.runtime.ready(self.sound)
        with torch.no_grad():
            return self.sound.module(windows.flatten(1).to(self.sound.device)).float().cpu()

    def _felt(self, prior: Tensor | None, retrieval: bool) -> tuple[Tensor, Tensor]:
        self.runtime.ready(self.emotion)
        model: EmotionModel = self.emotion.module
        with torch.no_grad():
            given = (torch.zeros(PRIOR) if prior is None else prior).to(self.emotion.device)
            felt, nothing = model.emotion(given, retrieval)
        return felt.float().cpu(), nothing.float().cpu()

    def guided(self, mask: Tensor) -> Tensor:
        """A face's place (1, 1, H, W), 1 inside → what is added to the network's first features."""
        self.runtime.ready(self.guide)
        with torch.no_grad():
            return self.guide.module(mask.expand(-1, 3, -1, -1).to(self.guide.device)).float().cpu()


def load_talker(registry: Registry) -> Talker:
    """Raises MissingWeightsError that lists all that is missing, WrongWeightsError for other files."""
    registry.require("DICE-Talk", [*([name] for name in FILES), WHISPER_FILES])
    return Talker(
        registry.load(SOUND_FILE, read_sound_projection),
        registry.load(EMOTION_FILE, read_emotion_model),
        registry.load(GUIDE_FILE, read_face_guide),
        load_whisper(registry)[0],
        registry.runtime,
        registry.manifest.entry(EMOTION_FILE).licence,
    )


def talking_size(height: int, width: int, side_px: int = SIDE_PX) -> tuple[int, int]:
    """(height, width) near the picture's shape, the shorter side about `side_px`, both dividing by 64."""
    scale = side_px / min(height, width)
    sides = (max(round(side * scale / STEP_PX), 1) * STEP_PX for side in (height, width))
    return next(sides), next(sides)


def face_place(face: Face, height: int, width: int) -> Tensor:
    """(1, 1, height, width) of a picture: 1 in the face's box, enlarged by a tenth."""
    half = FACE_AREA * (face.bbox_xyxy[2:] - face.bbox_xyxy[:2]) / 2
    (x0, y0), (x1, y1) = face.center - half, face.center + half
    mask = torch.zeros(1, 1, height, width)
    mask[..., max(int(y0), 0) : max(int(y1), 0), max(int(x0), 0) : max(int(x1), 0)] = 1
    return mask
