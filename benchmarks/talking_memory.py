"""Memory of a talking portrait: a short and a ten times longer one, each listened to, acted, drawn and written."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import torch

from ..pipelines.audio.backends import listen
from ..pipelines.audio.performance import Acting, speech_to_motion
from ..pipelines.audio.speech import RATE_HZ, Speech
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.registry import Registry
from ..pipelines.render.animate import load_renderer
from ..pipelines.render.performance import Performance
from ..pipelines.runtime import TorchRuntime
from ..pipelines.video.footage import Still
from ..pipelines.video.processing import AtEachTime
from ..pipelines.video.sound import Sound
from ..pipelines.video.stream import process_video
from ..pipelines.video.writer import Encoding
from .expression import Sitter
from .figure import Figure
from .librivox import spoken_clips
from .pictures import read_picture
from .swap_quality import SAMPLES

#: Seconds of the two videos.
SHORT_S, LONG_S = 30, 300
#: How far the long one may go beyond the short one.
LIMIT = 1.10
#: Frames per second, and the part of the portrait that is drawn: what both take does not depend on length, so a small
#: picture at a low rate says the same in less time.
FPS, _TOP, _BOTTOM, _LEFT, _RIGHT = 12.5, 90, 390, 110, 410


def figures() -> list[Figure]:
    """Peak memory of a talking portrait of 30 s and of 5 minutes."""
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "speech.npy")
        np.save(sound, np.concatenate([clip.speech.samples for clip in spoken_clips()]))
        short, long = (_peak_mb(folder, sound, seconds) for seconds in (SHORT_S, LONG_S))
    return [
        Figure(f"peak memory of a portrait that talks for {SHORT_S} s", short, None, unit="MB"),
        Figure(f"peak memory of one that talks for {LONG_S} s", long, None, unit="MB"),
        Figure(f"{LONG_S} s in memory of {SHORT_S} s", long / short, LIMIT, unit="x"),
    ]


def _peak_mb(folder: str, sound: Path, seconds: int) -> float:
    """Peak resident size of a process that makes a portrait talk for so long."""
    program = (
        "import importlib.util, sys\n"
        "root, name, folder, sound, seconds = sys.argv[1:]\n"
        "file = root + '/__init__.py'\n"
        "spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[root])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules[name] = module\n"
        "spec.loader.exec_module(module)\n"
        "importlib.import_module(name + '.benchmarks.talking_memory').talk_in_child(folder, sound, int(seconds))\n"
    )
    root, name = str(Path(__file__).resolve().parents[1]), __name__.split(".")[0]
    command = [sys.executable, "-c", program, root, name, folder, str(sound), str(seconds)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(run.stdout.splitlines()[-1])["peak_mb"])


def talk_in_child(folder: str, sound: str, seconds: int) -> None:
    """Make a portrait talk for so many seconds in this process, and print its peak resident size."""
    import resource

    torch.set_num_threads(1)
    registry = Registry(TorchRuntime())
    picture = read_picture(SAMPLES / "grace_hopper.jpg")[:, _TOP:_BOTTOM, _LEFT:_RIGHT].contiguous()
    sitter = Sitter(load_embedded_analysis(registry), picture)
    speech = Speech(np.resize(np.load(sound), seconds * RATE_HZ))
    motion, _ = speech_to_motion(speech, listen(speech), Acting(fps=FPS))
    renderer, _ = load_renderer(registry, "mesh")
    shows = Performance(renderer, picture[0], [sitter.face], [motion], 1.0, BLENDSHAPE_NAMES)
    still = Still(picture[0], ceil(seconds * FPS), Fraction(FPS))
    target = Path(folder, f"talk{seconds}.mp4")
    heard = Sound(speech.samples[None], RATE_HZ)
    fast, progress = Encoding(23, "ultrafast"), TorchRuntime().progress
    process_video(still, target, AtEachTime(shows.at), progress, "talk", None, fast, sound=heard)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"peak_mb": peak}) + "\n")
