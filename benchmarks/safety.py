"""How surely a protected person is told from others: the rates that SECURITY.md and the refusals state."""

from __future__ import annotations

import torch

from ..pipelines.identity.analysis import load_embedded_analysis
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from ..pipelines.safety.protected import MATCH_DISTANCE, false_match_rate, impostor_pairs, rate_that_counting_allows
from .figure import Figure
from .pictures import read_picture
from .swap_quality import SAMPLES


def measure() -> list[Figure]:
    """The false-match rates, extrapolated and by counting, and how far changed photos of one person are apart."""
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    figures = [
        Figure("people of one group photo taken for one protected, extrapolated", 100 * false_match_rate("look_alikes"),
               0.5, unit="%"),
        Figure("people at all taken for one protected, extrapolated", 100 * false_match_rate("everybody"), 0.05,
               unit="%"),
        Figure("pairs of different people that were measured", len(impostor_pairs("everybody")), 200, at_most=False),
        Figure("smallest distance of them", impostor_pairs("everybody")[0], MATCH_DISTANCE, at_most=False),
        Figure("people taken for one protected: what counting these pairs allows (95 %)",
               100 * rate_that_counting_allows("everybody"), 1.5, unit="%"),
        Figure("the same of the pairs within group photos alone", 100 * rate_that_counting_allows("look_alikes"),
               unit="%"),
    ]  # fmt: skip
    for name in ("astronaut.png", "grace_hopper.jpg"):
        photo = read_picture(SAMPLES / name)
        small = torch.nn.functional.interpolate(photo.movedim(3, 1), scale_factor=0.5, mode="area").movedim(1, 3)
        (own,) = _vectors(analysis, photo)
        for what, changed in (("mirrored", photo.flip(2)), ("half as bright", photo * 0.5), ("half as large", small)):
            distance = analysis.recogniser.distance(own, _vectors(analysis, changed)[0])
            figures.append(Figure(f"{name} {what}: distance to the person", distance, MATCH_DISTANCE))
    first, second = (
        _vectors(analysis, read_picture(SAMPLES / name))[0] for name in ("astronaut.png", "grace_hopper.jpg")
    )
    apart = analysis.recogniser.distance(first, second)
    return [*figures, Figure("distance of the two sample people", apart, MATCH_DISTANCE, at_most=False)]


def _vectors(analysis, picture):
    faces = analysis.detect(picture)
    return analysis.recogniser.embed(picture, [(0, faces.frames[0][0])])
