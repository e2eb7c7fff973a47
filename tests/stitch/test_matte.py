"""Mattes of tracked faces: what they show, whom, and that their edges do not step."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Faces, TrackedFrame
from likeness.pipelines.stitch.masked_parts import MaskedParts, Parser
from likeness.pipelines.stitch.matte import SHOWS, TrackedMatte
from likeness.pipelines.stitch.occlusion import Occluder
from likeness.pipelines.stitch.regions import face_masks, grown, soften


def frame_of(scene, faces, who, index=0):
    numbered = tuple(replace(face, track=track) for track, face in enumerate(faces))
    return TrackedFrame(scene.images[0], numbered, who, index, 0.04 * index)


def test_a_matte_is_white_where_the_parts_of_those_asked_for_are_and_black_elsewhere(scene):
    first, second = scene.faces.frames[0]
    mask = MaskedParts(("nose", "lips"), 0.02, 0.05)
    matte = TrackedMatte(mask).change([frame_of(scene, (first, second), (-1, 0))])[0]
    alone = face_masks(Faces(((second,),), 240, 320), ("nose", "lips"), 0.02, 0.05, fine=True)[0]
    assert matte.shape == (240, 320, 3)
    assert torch.equal(matte, alone[..., None].expand(-1, -1, 3))
    assert float(matte.max()) == 1.0 and float(matte[:, :180].max()) == 0.0


def test_colours_inside_stay_bit_for_bit_and_the_ground_is_black_or_green(scene):
    frame = frame_of(scene, scene.faces.frames[0], (0, 0))
    mask = MaskedParts(("face",), 0.0, 0.05)
    matte, black, green = (TrackedMatte(mask, shows).change([frame])[0] for shows in SHOWS)
    inside, outside = matte[..., 0] == 1, matte[..., 0] == 0
    assert inside.sum() > 3000 and outside.sum() > 50000
    for shown, ground in ((black, (0, 0, 0)), (green, (0, 1, 0))):
        assert torch.equal(shown[inside], frame.picture[inside])
        assert torch.equal(shown[outside], torch.tensor(ground).float().expand(int(outside.sum()), 3))
    torch.testing.assert_close(black, frame.picture * matte)
    torch.testing.assert_close(green - black, (1 - matte) * torch.tensor([0.0, 1.0, 0.0]))


@pytest.mark.parametrize(("shows", "ground"), zip(SHOWS, ((0, 0, 0), (0, 0, 0), (0, 1, 0)), strict=True))
def test_a_frame_without_anybody_is_the_ground_alone(scene, shows, ground):
    empty = TrackedMatte(MaskedParts(("face",)), shows).without(scene.images[0])
    assert torch.equal(empty, torch.tensor(ground).float().expand(240, 320, 3))


def test_the_edge_of_a_slowly_moving_face_follows_it_in_parts_of_a_pixel(scene):
    faces = tuple((scene.face(150 + 0.1 * step, 120, 140),) for step in range(21))
    fine, whole = (face_masks(Faces(faces, 240, 320), ("face",), feather=0.0, fine=fine) for fine in (True, False))
    steps = fine.diff(dim=0).abs()
    # a tenth of a pixel on is a tenth of an edge pixel at most; whole pixels switch at once
    assert float(steps.max()) <= 0.25 and float(whole.diff(dim=0).abs().max()) == 1.0
    places = fine[:, 120].cumsum(1).argmax(1), (fine[:, 120] * torch.arange(320)).sum(1) / fine[:, 120].sum(1)
    np.testing.assert_allclose(places[1] - places[1][0], 0.1 * np.arange(21), atol=0.06)
    assert float((fine.sum((1, 2)) / whole.sum((1, 2)) - 1).abs().max()) < 0.005


def test_growth_is_exact_to_parts_of_a_pixel():
    square = torch.zeros(1, 1, 40, 40)
    square[..., 10:30, 10:30] = 1
    for by_px in (-2.25, -0.5, 0.0, 0.5, 1.0, 3.75):
        widths = grown(square, by_px)[0, 0, 20].sum(), grown(square, by_px)[0, 0, :, 20].sum()
        assert [float(width) for width in widths] == [20 + 2 * by_px] * 2


def seen_in_front(scene, spots):
    """A still face, and a mask without what an occluder sees: at each time a soft square at (x, y) px, or nothing."""
    face = scene.face(160, 120, 140)
    times = iter(spots)

    def look(picture, one):
        hidden, spot = torch.zeros(240, 320), next(times)
        if spot is not None:
            hidden[spot[1] : spot[1] + 12, spot[0] : spot[0] + 12] = 1
        return soften(hidden[None, None], 8.0)[0, 0], np.eye(2, 3)

    mask = MaskedParts(("face",), 0.0, 0.05, occluder=Occluder("drawn", "", look))
    return mask, [frame_of(scene, (face,), (0,), index) for index in range(len(spots))]


def mattes_of(scene, spots):
    mask, frames = seen_in_front(scene, spots)
    work, done = TrackedMatte(mask), []
    for index in range(len(frames)):
        done += work.change(frames[index : index + 1 + work.ahead])
    return torch.stack(done)[..., 0]


def test_what_is_seen_in_front_in_one_frame_only_does_not_flicker_and_what_moves_is_not_late(scene):
    flips = [None, None, (150, 100), None, None, (170, 130), None, None]
    still = mattes_of(scene, flips)
    plain = face_masks(Faces(((scene.face(160, 120, 140),),), 240, 320), ("face",), feather=0.05, fine=True)
    assert float((still - plain).abs().max()) < 0.03
    moving = [(100 + 4 * step, 110) for step in range(12)]
    mattes = mattes_of(scene, moving)
    for step in range(1, 11):
        x, y = moving[step]
        hole = (plain[0] - mattes[step]) > 0.5
        assert int(hole.sum()) == pytest.approx(int((plain[0, y : y + 12, x : x + 12] > 0.5).sum()), abs=14), step
        assert bool(hole[y + 2 : y + 10, x + 2 : x + 10][plain[0, y + 2 : y + 10, x + 2 : x + 10] > 0.9].all()), step


def test_a_face_beyond_a_cut_or_missing_before_keeps_its_matte(scene):
    spots = [None, (150, 100), None, None]
    for change in ({"cut": True}, {"index": 5}):
        mask, frames = seen_in_front(scene, spots)
        frames[1] = replace(frames[1], **change)
        work = TrackedMatte(mask)
        work.change(frames[:1])
        assert float(work.change(frames[1:3])[0][106, 156, 0]) == 0.0


def test_what_a_matte_remembers_goes_through_arrays(scene):
    # the interrupted one looks at each frame twice: ahead, and when it is its turn
    spots = [(140, 100), (150, 104), None, (150, 108), (160, 90), (166, 92)]
    twice = [spots[0], *(spot for spot in spots[1:] for _ in range(2))]
    assert torch.equal(mattes_of(scene, spots), mattes_of_interrupted(scene, spots, twice))


def mattes_of_interrupted(scene, spots, looks):
    _, frames = seen_in_front(scene, spots)
    mask, _ = seen_in_front(scene, looks)
    work, done = TrackedMatte(mask), []
    for index in range(len(frames)):
        work, before = TrackedMatte(mask), work
        work.restore(before.state())
        done += work.change(frames[index : index + 1 + work.ahead])
    return torch.stack(done)[..., 0]


def test_a_mask_of_nothing_or_of_what_nobody_sees_is_refused_before_a_frame_is_read(scene):
    with pytest.raises(InputError, match="turn on at least one"):
        MaskedParts(())
    with pytest.raises(InputError, match="do not show hair: connect Load Face Parser"):
        MaskedParts(("face", "hair"))
    with pytest.raises(InputError, match="lips, which is not on"):
        MaskedParts(("nose",), own={"lips": (0.0, 0.0)})
    parser = Parser("drawn", ("hair",), lambda images, faces, parts: torch.full(images.shape[:3], 0.5))
    seen = MaskedParts(("hair",), feather=0.0, parser=parser)
    assert float(seen.draw(scene.faces, scene.images)[0].mean()) == 0.5
    for needs in (seen, MaskedParts((), teeth=True)):
        with pytest.raises(InputError, match="no picture to look at"):
            needs.draw(scene.faces)
