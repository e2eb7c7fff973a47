"""Restored faces in their pictures: what changes, and what must not."""

from dataclasses import replace

import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Faces, TrackedFrame
from likeness.pipelines.restore import RestoreOptions, describe_restored, restore_faces, restore_frames
from likeness.pipelines.restore.restorer import LoadedRestorer


class Greener:
    """Makes crops greener and remembers how many it got at once."""

    def __init__(self):
        self.batches = []

    def restore(self, crops, fidelity):
        self.batches.append(len(crops))
        return crops * torch.tensor([1.0, 0.0, 1.0]) + torch.tensor([0.0, fidelity, 0.0])


@pytest.fixture
def restorer():
    return LoadedRestorer("greener", "ffhq_512", 128, True, Greener())


@pytest.mark.parametrize("area", ["face", "box"])
def test_only_the_faces_given_change_and_everything_else_stays_bit_for_bit(scene, restorer, area):
    images, faces = scene
    result, used = restore_faces(restorer, images, faces, RestoreOptions(fidelity=0.9, area=area))
    assert torch.equal(result[used == 0], images[used == 0])
    for index, face in faces:
        x, y = face.center.round().astype(int)
        assert used[index, y, x] > 0.999 and result[index, y, x, 1] == pytest.approx(0.9, abs=0.01)
    assert restorer.network.batches == [3]
    one = faces.with_frames((faces.frames[0][1:], ()))
    result, used = restore_faces(restorer, images, one, RestoreOptions(area=area))
    assert torch.equal(result[1], images[1]) and used[0, 120, 110] == 0 and float(used[0].max()) > 0.999


def test_the_box_reaches_further_than_the_face(scene, restorer):
    images, faces = scene
    used = {area: restore_faces(restorer, images, faces, RestoreOptions(area=area))[1] for area in ("face", "box")}
    assert float(used["box"].sum()) > 1.5 * float(used["face"].sum())


def test_strength_mixes_and_zero_changes_no_bit(scene, restorer):
    images, faces = scene
    assert torch.equal(restore_faces(restorer, images, faces, RestoreOptions(strength=0.0))[0], images)
    full, used = restore_faces(restorer, images, faces)
    half, half_used = restore_faces(restorer, images, faces, RestoreOptions(strength=0.5))
    core = used > 0.9999
    assert torch.allclose(half[core], ((full + images) / 2)[core], atol=2e-3)
    assert float(half_used.max()) == pytest.approx(0.5)


def test_a_mask_limits_and_alpha_stays(scene, restorer):
    images, faces = scene
    alpha = torch.rand(2, 241, 317, 1)
    limit = torch.zeros(2, 241, 317)
    limit[:, :110] = 1
    result, used = restore_faces(restorer, torch.cat([images, alpha], -1), faces, limit=limit)
    assert torch.equal(result[..., 3:], alpha) and torch.equal(result[:, 110:, :, :3], images[:, 110:])
    assert float(used[:, 110:].max()) == 0 and float(used.max()) > 0.999


def test_a_face_half_outside_and_pictures_without_faces_are_ordinary(scene, restorer, make):
    images, _ = scene
    outside = Faces(((make.face(5, 100, 90),), ()), 241, 317)
    result, used = restore_faces(restorer, images, outside)
    assert bool(torch.isfinite(result).all()) and torch.equal(result[1], images[1]) and float(used[0].max()) > 0.9
    nobody = Faces(((), ()), 241, 317)
    result, _ = restore_faces(restorer, images, nobody)
    assert torch.equal(result, images)
    assert "picture 0, 1: passed unchanged" in describe_restored(restorer, nobody)


def test_a_batch_equals_its_members(scene, restorer):
    images, faces = scene
    both = restore_faces(restorer, images, faces)[0]
    for index in range(2):
        alone = restore_faces(restorer, images[index : index + 1], faces.with_frames((faces.frames[index],)))[0]
        assert torch.equal(alone[0], both[index])


def test_a_restorer_that_gives_larger_crops_fits_all_the_same(scene, restorer):
    images, faces = scene

    class Doubling:
        def restore(self, crops, fidelity):
            return crops.repeat_interleave(2, 1).repeat_interleave(2, 2)

    result, _ = restore_faces(replace(restorer, network=Doubling()), images, faces)
    assert float((result - images).abs().mean()) < 0.002 and float((result - images).abs().max()) < 0.1


def test_five_points_need_the_box_and_numbers_out_of_range_are_refused(scene, restorer, make):
    images, _ = scene
    sparse = Faces(((make.face(110, 120, 100, dense=False),), ()), 241, 317)
    with pytest.raises(InputError, match="use 'box'"):
        restore_faces(restorer, images, sparse)
    assert float(restore_faces(restorer, images, sparse, RestoreOptions(area="box"))[1].max()) > 0.999
    for wrong in ({"strength": 1.5}, {"fidelity": -0.1}, {"area": "head"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            RestoreOptions(**wrong)
    with pytest.raises(InputError, match="317"):
        restore_faces(restorer, images[:, :100], sparse)


def test_the_report_warns_where_the_picture_is_finer_than_the_restorer(restorer, make):
    faces = Faces(((make.face(900, 900, 700), make.face(110, 120, 30)),), 2000, 2000)
    lines = describe_restored(restorer, faces).splitlines()
    assert "times coarser" in lines[1] and "coarser" not in lines[2]


def test_frames_of_a_video_are_restored_together_and_only_who_is_asked_for(scene, restorer):
    images, faces = scene
    frames = [
        TrackedFrame(images[0], faces.frames[0], (-1, 0), 0, 0.0),
        TrackedFrame(images[1], faces.frames[1], (0,), 1, 0.04),
    ]
    changed = restore_frames(restorer, frames, RestoreOptions(fidelity=0.9))
    meant = faces.with_frames((faces.frames[0][1:], faces.frames[1]))
    expected = restore_faces(restorer, images, meant, RestoreOptions(fidelity=0.9))[0]
    assert restorer.network.batches[0] == 2
    assert all(torch.equal(*pair) for pair in zip(changed, expected, strict=True))
    assert torch.equal(restore_frames(restorer, frames[1:], RestoreOptions(fidelity=0.9))[0], expected[1])
