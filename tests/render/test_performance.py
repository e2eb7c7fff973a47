"""Faces of one picture that each make their own motion, at any time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import activations
from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from likeness.pipelines.motion.motion import Motion
from likeness.pipelines.registry import Registry
from likeness.pipelines.render import Renderer
from likeness.pipelines.render.animate import animated, load_renderer
from likeness.pipelines.render.performance import AFTERWARDS, Performance
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.render.liveportrait_parts import following

RENDERER, _ = load_renderer(Registry(TorchRuntime()), "mesh")


def opening(*amounts: float, fps: float = 25.0) -> Motion:
    rows = np.stack([activations(("jawOpen",), amount) for amount in amounts])
    nothing = np.zeros((len(amounts), 3), np.float32)
    return Motion(fps, rows, nothing, nothing)


def moved(face: Face, shift: float) -> Face:
    offset = np.array([shift, 0], np.float32)
    assert face.landmarks is not None
    return replace(
        face,
        bbox_xyxy=face.bbox_xyxy + np.tile(offset, 2),
        landmarks5=face.landmarks5 + offset,
        landmarks=face.landmarks + np.append(offset, 0).astype(np.float32),
    )


@pytest.fixture(scope="module")
def pair(sitters: SimpleNamespace) -> SimpleNamespace:
    """Two portraits side by side in one picture, the left face first."""
    left, right = sitters.astronaut, sitters.hopper
    width = left.picture.shape[2]
    room = max(left.picture.shape[1], right.picture.shape[1])
    pictures = [
        torch.nn.functional.pad(s.picture[0], (0, 0, 0, 0, 0, room - s.picture.shape[1])) for s in (left, right)
    ]
    return SimpleNamespace(
        picture=torch.cat(pictures, 1), faces=(left.face, moved(right.face, width)), width=width
    )  # fmt: skip


def perform(sitter: SimpleNamespace, *motions: Motion, renderer: Renderer = RENDERER, **more: Any) -> Performance:
    return Performance(renderer, sitter.picture, sitter.faces, motions, 1.0, BLENDSHAPE_NAMES, **more)


def alone(sitter: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(picture=sitter.picture[0], faces=(sitter.face,))


@pytest.mark.parametrize("renderer", [RENDERER, following()], ids=["mesh", "liveportrait"])
def test_a_time_shows_what_animate_portrait_shows_in_that_frame(sitters: SimpleNamespace, renderer: Renderer) -> None:
    motion = opening(0.0, 0.3, 0.6)
    one = alone(sitters.hopper)
    frames = list(
        animated(Registry(TorchRuntime()), renderer, one.picture, one.faces, motion, 1.0, BLENDSHAPE_NAMES)
    )  # fmt: skip
    shows = perform(one, motion, renderer=renderer)
    assert all(torch.equal(shows.at(k / 25), frame) for k, frame in enumerate(frames))
    assert (frames[2] - frames[0]).abs().max() > 0.1
    between = perform(one, opening(0.3, 0.6), renderer=renderer).at(0.5 / 25)
    assert torch.allclose(between, perform(one, opening(0.45), renderer=renderer).at(0.0), atol=1e-5)


def test_each_face_makes_its_own_motion_and_leaves_the_other_alone(pair: SimpleNamespace) -> None:
    shows = perform(pair, opening(0.6, 0.0), opening(0.0, 0.6))
    first, second = ((shows.at(k / 25) - pair.picture).abs().amax(-1) for k in (0, 1))
    assert first[:, : pair.width].max() > 0.2 and first[:, pair.width :].max() == 0
    assert second[:, pair.width :].max() > 0.2 and second[:, : pair.width].max() == 0
    assert "Face 0 at" in shows.text and "makes motion 1: 0.08 s at 25 per second" in shows.text


def test_one_motion_is_for_all_faces(pair: SimpleNamespace) -> None:
    shows = perform(pair, opening(0.6))
    changed = (shows.at(0) - pair.picture).abs().amax(-1)
    assert changed[:, : pair.width].max() > 0.2 and changed[:, pair.width :].max() > 0.2
    assert "Face 1 at" in shows.text and "makes the motion" in shows.text


def test_motions_that_fit_no_faces_are_refused_with_the_way_out(pair: SimpleNamespace) -> None:
    with pytest.raises(InputError, match=r"3 motions and 2 face\(s\).*Select Faces"):
        perform(pair, opening(0.1), opening(0.1), opening(0.1))
    with pytest.raises(InputError, match=r"0 motion\(s\) and 2 face"):
        perform(pair)
    with pytest.raises(InputError, match="afterwards is 'sleep', it must be one of rest, hold, loop"):
        perform(pair, opening(0.1), afterwards="sleep")


def test_when_a_motion_is_over_the_face_rests_holds_or_begins_again(sitters: SimpleNamespace) -> None:
    one, motion = alone(sitters.hopper), opening(0.2, 0.6, fps=2.0)
    open_wide, begun = perform(one, opening(0.6)).at(0.0), perform(one, opening(0.2)).at(0.0)
    assert AFTERWARDS == ("rest", "hold", "loop")
    assert torch.equal(perform(one, motion, afterwards="hold").at(7.0), open_wide)
    assert torch.allclose(perform(one, motion, afterwards="loop").at(6.0), begun)
    rests = perform(one, motion, afterwards="rest")
    assert torch.equal(rests.at(0.99), open_wide) and torch.equal(rests.at(1.4), one.picture)
    halfway = (rests.at(1.2) - perform(one, opening(0.3)).at(0.0)).abs().max()
    assert halfway < 1e-4, "half of the way back after half of the time"


def test_motions_of_several_rates_play_in_real_time_and_the_longest_is_known(pair: SimpleNamespace) -> None:
    shows = perform(pair, opening(*[0.0] * 12, 0.6, fps=12.0), opening(0.0, 0.6, fps=1.0))
    assert shows.longest_s == 2.0
    changed = (shows.at(1.0) - pair.picture).abs().amax(-1)
    assert changed[:, : pair.width].max() > 0.2 and changed[:, pair.width :].max() > 0.2
