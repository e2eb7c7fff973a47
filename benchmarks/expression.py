"""What the embedded renderer does to a face, as our own blendshape network sees it in the rendered pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ..pipelines.errors import FaceNotFoundError
from ..pipelines.face import Face, FloatArray, as_float_array
from ..pipelines.geometry.warp import crop_pictures
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.embedded_network import EmbeddedNetwork
from ..pipelines.identity.landmarking import region_of_mesh
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.identity.net_landmarks import INPUT_SIZE, LandmarkNetwork
from ..pipelines.motion.channels import ARKIT_NAMES, INDEX
from ..pipelines.registry import Registry
from ..pipelines.render import PreparedPortrait, renderer_named
from ..pipelines.runtime import TorchRuntime
from .figure import Figure
from .pictures import read_picture
from .swap import alternating
from .swap_quality import SAMPLES
from .threads import torch_threads

PORTRAITS = ("astronaut.png", "grace_hopper.jpg")

#: Slider -> its channels, the activation, and what the mean of the channels must change by at least.
SLIDERS: Mapping[str, tuple[tuple[str, ...], float, float]] = {
    "jaw open": (("jawOpen",), 0.5, 0.2),
    "brow raise": (("browInnerUp",), 1.0, 0.3),
    "blink": (("eyeBlinkLeft", "eyeBlinkRight"), 1.0, 0.5),
    "mouth pucker": (("mouthPucker",), 1.0, 0.15),
    "brow down": (("browDownLeft", "browDownRight"), 1.0, 0.15),
}
#: A portrait that shows more smile than this has no room for 0.6 more.
_SMILES = 0.4
SMILE = ("mouthSmileLeft", "mouthSmileRight")
_STILL = np.zeros(3, dtype=np.float32)


class Sitter:
    """One portrait with the means to measure what was done to it."""

    def __init__(self, analysis: FaceAnalysis, picture: Tensor) -> None:
        self.analysis, self.picture = analysis, picture
        faces = analysis.detect(picture)
        faces.require_any("The portrait")
        self.face = faces.frames[0][0]
        self.before = shown(self.face)
        self.vector = analysis.recogniser.embed(picture, [(0, self.face)])[0]
        entry = renderer_named("mesh")
        renderer = entry.load(Registry(TorchRuntime()))
        self.portrait: PreparedPortrait = renderer.prepare(picture[0], self.face, self.before)

    def measure(self, blendshapes: FloatArray) -> tuple[FloatArray, float]:
        """Change (52,) of the activations in the rendered picture, and the identity's distance to the portrait."""
        result = self.portrait.frame(blendshapes, _STILL, _STILL)[None]
        faces = self.analysis.detect(result)
        faces.require_any("The rendered picture")
        after = faces.frames[0][0]
        vector = self.analysis.recogniser.embed(result, [(0, after)])[0]
        return as_float_array(shown(after) - self.before), self.analysis.recogniser.distance(vector, self.vector)


@torch_threads(1)
def measure() -> list[Figure]:
    """The figures of every slider, the worse of the two portraits, and the time of one frame."""
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    sitters = [Sitter(analysis, read_picture(SAMPLES / name)) for name in PORTRAITS]
    return [*_slider_figures(sitters), *_all_channels(sitters), *_speed(sitters[-1])]


def activations(channels: tuple[str, ...], value: float) -> FloatArray:
    """(52,): the channels at a value, the rest at 0."""
    out = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
    out[[INDEX[name] for name in channels]] = value
    return out


def shown(face: Face) -> FloatArray:
    """(52,) activations of a face in the order of `ARKIT_NAMES`; what the network does not know is 0."""
    if face.blendshapes is None:
        raise FaceNotFoundError("Expressions are measured with blendshapes: use the embedded face analysis.")
    known = dict(zip(BLENDSHAPE_NAMES, face.blendshapes, strict=True))
    return np.array([known.get(name, 0.0) for name in ARKIT_NAMES], dtype=np.float32)


def bases() -> list[tuple[str, tuple[str, ...]]]:
    """Every slider: both sides of a channel together."""
    out: dict[str, tuple[str, ...]] = {}
    for name in ARKIT_NAMES:
        base = name.removesuffix("Left").removesuffix("Right")
        both = (f"{base}Left", f"{base}Right")
        sided = both[0] in INDEX and both[1] in INDEX and base not in ("mouth", "jaw")
        out[base if sided else name] = both if sided else (name,)
    return list(out.items())


def _slider_figures(sitters: list[Sitter]) -> list[Figure]:
    figures = [_smile(sitter) for sitter in sitters]
    for slider, (channels, value, target) in SLIDERS.items():
        changes = [_mean(sitter.measure(activations(channels, value))[0], channels) for sitter in sitters]
        figures.append(Figure(f"{slider} at {value:g}", min(changes), target, at_most=False))
    return figures


def _smile(sitter: Sitter) -> Figure:
    """How much a full smile adds: to the portrait, or, where that smiles already, to the portrait without its smile."""
    shows = _mean(sitter.before, SMILE)
    start = 0.0 if shows < _SMILES else -1.0
    rise = [_mean(sitter.measure(activations(SMILE, value))[0], SMILE) for value in (start, 1.0)]
    name = f"smile from {start:g} to 1 on the portrait that shows {shows:.2f} of it"
    return Figure(name, rise[1] - rise[0], 0.6, at_most=False)


def _all_channels(sitters: list[Sitter]) -> list[Figure]:
    unrelated: list[float] = []
    distances: dict[float, list[float]] = {0.5: [], 1.0: []}
    for _, channels in bases():
        for sitter in sitters:
            for value, row in distances.items():
                change, distance = sitter.measure(activations(channels, value))
                row.append(distance)
                others = [INDEX[name] for name in ARKIT_NAMES if name not in channels]
                unrelated.append(float(np.abs(change[others]).mean()))
    return [
        Figure("other channels, mean change of the worst slider", max(unrelated), 0.15),
        Figure("identity distance, worst slider at 1", max(distances[1.0]), 0.42),
        Figure("identity distance, worst slider at 0.5", max(distances[0.5]), 0.3),
    ]


def _speed(sitter: Sitter) -> list[Figure]:
    """One frame that moves everything against one pass of the landmark network."""
    blendshapes = activations(("jawOpen", *SMILE, "eyeBlinkLeft", "eyeBlinkRight"), 0.3)
    turn = np.array([0.05, 0.1, 0.03], dtype=np.float32)
    network = EmbeddedNetwork(Registry(TorchRuntime()), "face_landmarks_478", LandmarkNetwork)
    assert sitter.face.landmarks is not None
    region = region_of_mesh(sitter.face.landmarks)[None]
    crop = crop_pictures(sitter.picture, (0,), region, (INPUT_SIZE, INPUT_SIZE))
    pass_ms, frame_ms = alternating(
        lambda: None if network(crop) else None, lambda: _render(sitter.portrait, blendshapes, turn)
    )
    return [
        Figure("one pass of the landmark network", pass_ms, None, unit="ms"),
        Figure("one frame of a 512 px portrait", frame_ms, None, unit="ms"),
        Figure("one frame in passes of the landmark network", frame_ms / pass_ms, 1.0, unit="x"),
        Figure("frames per second on two idle cores", _frames_per_second(sitter, turn), 40, at_most=False),
    ]


@torch_threads(2)
def _frames_per_second(sitter: Sitter, turn: FloatArray) -> float:
    """Of a running motion, every frame of which differs from the one before; the median of five rounds."""
    rounds: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        for step in range(25):
            share = np.float32(0.2 + 0.02 * step)
            _render(sitter.portrait, activations(("jawOpen", *SMILE, "eyeBlinkLeft"), float(share)), share * turn)
        rounds.append(25 / (time.perf_counter() - began))
    return float(np.median(rounds))


def _render(portrait: PreparedPortrait, blendshapes: FloatArray, turn: FloatArray) -> None:
    portrait.frame(blendshapes, turn, _STILL)


def _mean(change: FloatArray, channels: tuple[str, ...]) -> float:
    return float(np.mean([change[INDEX[name]] for name in channels]))
