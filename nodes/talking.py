"""Nodes that make videos of a picture: portraits that talk, for as long as anybody wants."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.face import Face, Faces
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.storage import motion_hash
from ..pipelines.render import Renderer
from ..pipelines.render.animate import faces_to_animate, load_renderer
from ..pipelines.render.performance import AFTERWARDS, Afterwards, Performance
from ..pipelines.video.footage import Still
from ..pipelines.video.processing import AtEachTime
from ..pipelines.video.sound import Sound
from . import sockets
from .comfy_runtime import shared_registry
from .inputs import crf_input, fraction
from .operations import CONCERNS_FACES, concerns_faces
from .render import loaded_input, picture_inputs, renderer_input
from .reports import SHOWS_REPORT, report_output, shown
from .sounds import Audio, audio_input, number_input, sound_in
from .streaming import send_still
from .witness import took_part

#: How long the video is. sound: as the sound where there is one, else as the longest motion. motion: as that.
LENGTHS = ("sound", "motion")


def _motions() -> io.Autogrow.Input:
    return io.Autogrow.Input(
        "motions",
        template=io.Autogrow.TemplatePrefix(sockets.Motion.Input("motion"), prefix="motion", min=1, max=32),
        tooltip="From Speech To Motion or any other source: one for all faces, or one for each face in the order of "
        "`faces`. They may have any frame rates.",
    )


class AnimatePortraitToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessAnimatePortraitToVideo",
            display_name="Animate Portrait To Video",
            category="Likeness/render",
            description="Makes the faces of a picture perform motions, in a video with sound of any length: memory "
            "does not grow, an interrupted run goes on.",
            search_aliases=["talking portrait", "talking head", "lip sync", "sadtalker", "liveportrait", "avatar"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                *picture_inputs(),
                _motions(),
                audio_input("What is heard from the first frame on, at any rate, up to 7.1.", optional=True),
                io.Combo.Input(
                    "length",
                    options=list(LENGTHS),
                    default=LENGTHS[0],
                    tooltip="sound: the video is as long as the sound (to the next whole frame), or as the longest "
                    "motion where there is no sound. motion: as long as the longest motion; more sound is cut off.",
                ),
                io.Combo.Input(
                    "afterwards",
                    options=list(AFTERWARDS),
                    default=AFTERWARDS[0],
                    tooltip="When a motion is over and the video goes on: back to rest in 0.4 s, hold the last pose, "
                    "or loop.",
                ),
                fraction("strength", 1.0, "Of all that is done. 0 shows the picture as it is.", high=1.5),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=120.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Frames per second of the video; motions are taken at each frame's own time. 0: as the "
                    "first motion.",
                ),
                renderer_input(),
                crf_input(),
                number_input(),
                loaded_input(),
            ],
            outputs=[io.Video.Output("video", display_name="video"), report_output()],
        )

    @classmethod
    @concerns_faces("face made to move in a video")
    def execute(
        cls,
        image: Tensor,
        faces: Faces,
        motions: dict[str, Motion],
        length: str,
        afterwards: Afterwards,
        strength: float,
        fps: float,
        renderer: str,
        crf: int,
        number: int,
        audio: Audio | None = None,
        loaded: Renderer | None = None,
    ) -> io.NodeOutput:
        faces.require_frames(len(image), "The picture")
        index, found = faces_to_animate(faces)
        used, which = load_renderer(shared_registry(), renderer) if loaded is None else (loaded, loaded.text)
        took_part(used)
        acted, picture = list(motions.values()), image[index, :, :, :3].float()
        shows = Performance(used, picture, found, acted, strength, BLENDSHAPE_NAMES, afterwards)
        sound, several = (None, "") if audio is None else sound_in(audio, number)
        rate = Fraction(fps or acted[0].fps).limit_denominator(1001)
        frames, how_long = _frames(length, sound, shows.longest_s, rate)
        settings = ["portrait", *map(motion_hash, acted), strength, afterwards, which, _known_as(found)]
        video, done = send_still(Still(picture, frames, rate), AtEachTime(shows.at), settings, crf, sound)
        lines = [which, f"{len(found)} face(s) of picture {index}.", shows.text, several, how_long, done]
        report = "\n".join(line for line in lines if line)
        return io.NodeOutput(video, report, ui=shown(report))


def _frames(length: str, sound: Sound | None, longest_s: float, rate: Fraction) -> tuple[int, str]:
    """How many frames the video has, and why."""
    by_sound = sound is not None and length == "sound"
    seconds = sound.seconds if sound is not None and by_sound else longest_s
    frames = max(ceil(seconds * float(rate) - 1e-3), 1)
    heard = (
        "" if sound is None or by_sound else f"; the sound of {sound.seconds:.2f} s is cut off or ends earlier there"
    )
    return frames, f"As long as the {'sound' if by_sound else 'longest motion'}: {seconds:.2f} s{heard}."


def _known_as(faces: Sequence[Face]) -> list[str]:
    """What tells these faces from others of the same picture."""
    return [
        hashlib.sha256((face.landmarks5 if face.landmarks is None else face.landmarks).tobytes()).hexdigest()
        for face in faces
    ]
