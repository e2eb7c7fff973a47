"""What a mouth that talks looks like on a portrait that is closed at rest and on one that smiles with its teeth."""

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import activations
from likeness.benchmarks.talking import CLOSED, lip_gap
from likeness.pipelines.render.lip_seam import draw_seam
from likeness.pipelines.render.mouth_lines import axes_of, lines_of
from likeness.pipelines.render.movement import move

STILL = np.zeros(3, dtype=np.float32)


def shown(sitter, **channels):
    """The picture with some channels, and the gap between its lips as the landmark network sees it."""
    blendshapes = sum(activations((name,), value) for name, value in channels.items())
    picture = sitter.portrait.frame(blendshapes, STILL, STILL)
    return picture, lip_gap(sitter.analysis.detect(picture[None]).frames[0][0].landmarks)


def between_the_lips(sitter, picture):
    """The pixels along the line where closed lips meet, the middle half of the mouth."""
    lips = lines_of(sitter.portrait.portrait, sitter.portrait.portrait.landmarks)
    right, down = axes_of(sitter.portrait.portrait)
    u = np.linspace(0.7 * lips.start + 0.3 * lips.end, 0.3 * lips.start + 0.7 * lips.end, 40)
    v = 0.65 * lips.top(u) + 0.35 * lips.bottom(u)
    x, y = (u[:, None] * right + v[:, None] * down + sitter.portrait.portrait.origin).T.round().astype(int)
    return picture[y, x]


@pytest.mark.parametrize("jaw", [0.0, 0.05, 0.1])
def test_lips_close_on_both_portraits(sitters, jaw):
    for sitter in sitters.both:
        _, gap = shown(sitter, jawOpen=jaw, mouthClose=1.0)
        assert gap <= CLOSED


def test_no_tooth_shows_between_closed_lips(sitters):
    astronaut = sitters.astronaut
    teeth = between_the_lips(astronaut, astronaut.picture[0])
    assert float(teeth.mean(1).median()) > 0.6
    closed, _ = shown(astronaut, mouthClose=1.0)
    lips = between_the_lips(astronaut, closed)
    # the red of lips or the shadow between them, nowhere the white of teeth
    redness = lips[:, 0] - lips[:, 1:].mean(1)
    assert float(lips.mean(1).max()) < 0.75 and float(redness.median()) > 0.1


def test_a_mouth_opens_and_closes_steadily(sitters):
    for sitter in sitters.both:
        closing = [shown(sitter, jawOpen=0.2, mouthClose=close)[1] for close in (0.0, 0.35, 0.7, 1.0)]
        assert all(later < earlier for earlier, later in zip(closing, closing[1:], strict=False))
        opening = [shown(sitter, jawOpen=jaw)[1] for jaw in (0.0, 0.12, 0.3, 0.6)]
        assert all(later > earlier for earlier, later in zip(opening, opening[1:], strict=False))


def test_a_portrait_that_shows_its_teeth_needs_less_of_a_small_opening_and_all_of_a_large_one(sitters):
    def turned(sitter, amount):
        portrait = sitter.portrait.portrait
        moved = move(portrait, activations(("jawOpen",), amount), STILL, STILL)
        return float(moved.expression[152] @ portrait.axes[:, 1]) / portrait.unit

    little, much = (turned(sitters.astronaut, a) / turned(sitters.hopper, a) for a in (0.1, 0.6))
    assert little < 0.75 * much


def test_the_tongue_comes_between_the_teeth_of_an_open_mouth_only(sitters):
    for sitter in sitters.both:
        without, _ = shown(sitter, jawOpen=0.15, mouthLowerDownLeft=0.2)
        with_it, _ = shown(sitter, jawOpen=0.15, mouthLowerDownLeft=0.2, tongueOut=0.5)
        change = (with_it - without).abs().amax(-1)
        assert float(change.max()) > 0.1
        y, x = (int(value) for value in np.unravel_index(int(change.argmax()), change.shape))
        assert with_it[y, x, 0] > with_it[y, x, 1] + 0.05
    closed, _ = shown(sitters.hopper, tongueOut=1.0)
    assert torch.equal(closed, sitters.hopper.picture[0])


def test_lips_that_are_closed_at_rest_are_not_drawn_anew(sitters):
    portrait = sitters.hopper.portrait
    moved = move(portrait.portrait, activations(("mouthClose",), 1.0), STILL, STILL)
    out = torch.full_like(portrait.portrait.pixels, 0.5)
    draw_seam(portrait.portrait, portrait.mouth, moved, out, (0, 0))
    assert torch.equal(out, torch.full_like(out, 0.5))
    assert not portrait.portrait.lip_inset.any()
