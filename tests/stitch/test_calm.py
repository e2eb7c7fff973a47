"""Changes of the faces of a video: what trembles is calmed, what happens is followed at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.face import Face, TrackedFrame, as_float_array, five_points
from likeness.pipelines.geometry.mesh import canonical_mesh
from likeness.pipelines.stitch.calm import CalmChange

SIZE = 160


def frame(index: int, x: float = 80.0, cut: bool = False, track: int = 3) -> TrackedFrame:
    """A face 70 px wide in a soft picture."""
    points = canonical_mesh().points * np.array([1, -1, -1])
    mesh = as_float_array(points / np.ptp(points[:, 0]) * 70 + np.array([x, 80, 0]))
    box = as_float_array([*mesh[:, :2].min(0), *mesh[:, :2].max(0)])
    picture = torch.linspace(0.3, 0.6, SIZE)[None, :, None].expand(SIZE, SIZE, 3).clone()
    face = Face(box, 0.9, five_points(mesh), mesh, track=track)
    return TrackedFrame(picture, (face,), (0,), index, 0.04 * index, cut)


def changed(given: TrackedFrame, grown_px: float, amount: float) -> Tensor:
    """The picture with another tone inside the box's ellipse, grown by so many px, with a soft edge of 6 px."""
    face = given.faces[0]
    rows, columns = torch.meshgrid(torch.arange(float(SIZE)), torch.arange(float(SIZE)), indexing="ij")
    x, y = (float(value) for value in face.center)
    radius = torch.hypot((columns - x) / face.width_px, (rows - y) / face.height_px) * 2
    inside = (1 - radius) * face.width_px / 2 + grown_px
    return given.picture + amount * (inside / 6 + 0.5).clamp(0, 1)[..., None]


def trembling(pictures: list[Tensor]) -> float:
    clip = torch.stack(pictures)
    return float((clip[1:-1] - (clip[:-2] + clip[2:]) / 2).abs().mean())


def test_an_edge_that_trembles_is_calmed_and_nothing_far_from_it_changes() -> None:
    growths = np.random.default_rng(0).normal(size=20)
    frames = [frame(k) for k in range(20)]
    raw = [changed(given, float(grown), 0.12) for given, grown in zip(frames, growths, strict=True)]
    calm = CalmChange()
    done = [calm.calm(given, picture.clone()) for given, picture in zip(frames, raw, strict=True)]
    assert trembling(done) < 0.6 * trembling(raw)
    apart = torch.stack([(a - b).abs().amax(-1) for a, b in zip(done, raw, strict=True)]).amax(0)
    assert apart[:20].max() == 0 and apart[:, :15].max() == 0
    assert float((torch.stack(done) - torch.stack(raw)).mean().abs()) < 1e-3


def test_a_tone_that_trembles_is_calmed_inside_the_face_too() -> None:
    amounts = 0.2 + np.random.default_rng(1).normal(size=20) * 0.01
    frames = [frame(k) for k in range(20)]
    raw = [changed(given, 0, float(amount)) for given, amount in zip(frames, amounts, strict=True)]
    calm = CalmChange()
    done = [calm.calm(given, picture.clone()) for given, picture in zip(frames, raw, strict=True)]
    inside = [[picture[70:90, 70:90] for picture in pictures] for pictures in (done, raw)]
    assert trembling(inside[0]) < 0.5 * trembling(inside[1])


def test_what_changes_in_earnest_is_followed_at_once() -> None:
    calm = CalmChange()
    for k in range(5):
        calm.calm(frame(k), changed(frame(k), 0, 0.1))
    for k, amount in ((5, 0.45), (6, -0.25)):
        expected = changed(frame(k), 0, amount)
        assert (calm.calm(frame(k), expected.clone()) - expected)[70:90, 70:90].abs().max() < 2e-3


def test_a_face_that_moves_takes_its_steadiness_along() -> None:
    calm = CalmChange()
    for k in range(6):
        given = frame(k, 60 + 6.0 * k)
        picture = changed(given, 0, 0.1)
        assert (calm.calm(given, picture.clone()) - picture).abs().mean() < 4e-4


@pytest.mark.parametrize("what", ["cut", "gone", "another track", "first frame"])
def test_nothing_is_remembered_across_a_cut_a_gap_or_another_face(what: str) -> None:
    calm = CalmChange()
    calm.calm(frame(0), changed(frame(0), 0, 0.1))
    if what == "gone":
        nobody = replace(frame(1), faces=(), who=())
        calm.calm(nobody, nobody.picture)
    given = frame(0 if what == "first frame" else 2, cut=what == "cut", track=4 if what == "another track" else 3)
    expected = changed(given, 0, 0.12)
    assert torch.equal(calm.calm(given, expected.clone()), expected)


def test_what_is_remembered_survives_an_interrupt() -> None:
    calm, later = CalmChange(), CalmChange()
    calm.calm(frame(0), changed(frame(0), 0, 0.1))
    later.restore(calm.state())
    following = changed(frame(1), 0, 0.11)
    first, second = calm.calm(frame(1), following.clone()), later.calm(frame(1), following.clone())
    assert torch.equal(first, second) and not torch.equal(first, following)
    assert {name: value.shape for name, value in later.state().items()} == {"change.3": (160, 160, 3)}
