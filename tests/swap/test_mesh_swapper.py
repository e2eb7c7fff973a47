"""The embedded swapper on the demo pair."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.benchmarks.swap_quality import grown_hull, measure_pair
from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face
from likeness.pipelines.stitch import stitch_faces
from likeness.pipelines.swap import SWAPPERS, SwapOptions, swap_faces, swapper_named


def swapped(demo, options=None, picture=None, faces=None):
    picture = demo.hopper if picture is None else picture
    assignments = faces or [(0, demo.hopper_face, demo.astronaut_identity)]
    return stitch_faces(picture, swap_faces(demo.swapper, picture, assignments, options))


def shifted(face, x, y):
    move = np.array([x, y], dtype=np.float32)
    return replace(
        face,
        bbox_xyxy=face.bbox_xyxy + np.tile(move, 2),
        landmarks5=face.landmarks5 + move,
        landmarks=face.landmarks + np.array([x, y, 0], dtype=np.float32),
    )


def test_every_figure_of_the_demo_pair_is_reached(demo):
    result, mask = swapped(demo)
    short = [
        figure for figure in measure_pair(demo.analysis, demo.astronaut, demo.hopper, result, mask) if not figure.ok
    ]
    assert short == []


def test_the_other_direction_is_taken_for_the_source_too(demo):
    result, mask = swapped(demo, None, demo.astronaut, [(0, demo.astronaut_face, demo.hopper_identity)])
    figures = measure_pair(demo.analysis, demo.hopper, demo.astronaut, result, mask)
    assert figures[0].value < 0.42 and figures[1].value > 0.15
    assert [figure.name for figure in figures[2:] if not figure.ok] == []


def test_strength_zero_returns_the_input_bit_for_bit(demo):
    result, mask = swapped(demo, SwapOptions(strength=0.0))
    assert torch.equal(result, demo.hopper) and float(mask.max()) == 0


def test_half_strength_lies_between_the_input_and_the_full_swap(demo):
    full, half = swapped(demo)[0], swapped(demo, SwapOptions(strength=0.5))[0]
    assert 0.2 < float((half - demo.hopper).abs().mean() / (full - demo.hopper).abs().mean()) < 0.9


def test_nothing_changes_outside_the_hull_grown_by_a_quarter_nor_outside_the_mask(demo):
    result, mask = swapped(demo)
    changed = (result != demo.hopper).any(-1)[0].numpy()
    hull = grown_hull(demo.hopper_face.landmarks, demo.hopper.shape[1:3], 1.25)
    assert changed.sum() > 20_000
    assert not (changed & ~hull).any() and not (changed & (mask[0].numpy() == 0)).any()


def test_keep_mouth_and_keep_eyes_leave_the_targets_own_without_shape_transfer(demo):
    result, _ = swapped(demo, SwapOptions(shape=0.0, keep_mouth=True, keep_eyes=True))
    everything, _ = swapped(demo, SwapOptions(shape=0.0))
    points = demo.hopper_face.landmarks
    for index in (17, 468, 473):  # lower lip and both irises
        x, y = np.round(points[index, :2]).astype(int)
        before = demo.hopper[0, y - 1 : y + 2, x - 1 : x + 2]
        kept, taken = result[0, y - 1 : y + 2, x - 1 : x + 2], everything[0, y - 1 : y + 2, x - 1 : x + 2]
        assert float((kept - before).abs().mean()) < 0.5 * float((taken - before).abs().mean())


def test_a_user_mask_bounds_the_change(demo):
    mask = torch.zeros(demo.hopper.shape[:3])
    mask[:, :, :250] = 1
    result, used = swapped(demo, SwapOptions(mask=mask))
    assert torch.equal(result[:, :, 250:], demo.hopper[:, :, 250:])
    assert float(used[:, :, 250:].max()) == 0 and not torch.equal(result, demo.hopper)


def test_two_faces_in_one_picture_get_two_identities_as_if_alone(demo):
    both = torch.zeros(1, 600, 1024, 3)
    both[:, :512, :512], both[:, :, 512:] = demo.astronaut, demo.hopper
    right = shifted(demo.hopper_face, 512, 0)
    jobs = [(0, demo.astronaut_face, demo.hopper_identity), (0, right, demo.astronaut_identity)]
    together, _ = swapped(demo, None, both, jobs)
    alone, _ = swapped(demo)
    assert torch.allclose(together[:, :, 512:], alone, atol=2e-3)
    assert float((together[:, :512, :512] - demo.astronaut).abs().max()) > 0.1


def test_a_batch_equals_its_members_one_by_one(demo):
    batch = torch.cat([demo.hopper, demo.hopper.flip(0) * 0.8])
    jobs = [(index, demo.hopper_face, demo.astronaut_identity) for index in (0, 1)]
    together, _ = swapped(demo, None, batch, jobs)
    for index in (0, 1):
        alone, _ = swapped(demo, None, batch[index : index + 1], [(0, *jobs[0][1:])])
        assert torch.equal(together[index : index + 1], alone)


@pytest.mark.parametrize(
    "cut", [(slice(None), slice(250, None)), (slice(0, 200), slice(None)), (slice(220, None), slice(None))]
)
def test_a_face_partly_outside_the_picture_is_swapped_where_it_is_visible(demo, cut):
    part = demo.hopper[:, cut[0], cut[1]].contiguous()
    face = shifted(demo.hopper_face, -(cut[1].start or 0), -(cut[0].start or 0))
    result, mask = swapped(demo, None, part, [(0, face, demo.astronaut_identity)])
    assert result.shape == part.shape and bool(torch.isfinite(result).all())
    assert float(mask.max()) == 1 and float((result - part).abs().max()) > 0.1


@pytest.mark.parametrize("face_px", [14, 40])
def test_a_small_face_is_swapped_without_a_trace_outside_its_hull(demo, face_px):
    scale = face_px / demo.hopper_face.width_px
    height, width = (round(side * scale) for side in demo.hopper.shape[1:3])
    small = torch.nn.functional.interpolate(demo.hopper.permute(0, 3, 1, 2), size=(height, width), mode="area")
    small = small.permute(0, 2, 3, 1).contiguous()
    points = demo.hopper_face.landmarks * np.float32(scale)
    face = replace(demo.hopper_face, landmarks=points, bbox_xyxy=demo.hopper_face.bbox_xyxy * np.float32(scale))
    result, _ = swapped(demo, None, small, [(0, face, demo.astronaut_identity)])
    changed = (result != small).any(-1)[0].numpy()
    assert changed.any() and not (changed & ~grown_hull(points, (height, width), 1.25)).any()


def test_swapping_a_person_with_themselves_hardly_changes_the_picture(demo):
    result, _ = swapped(demo, None, demo.hopper, [(0, demo.hopper_face, demo.hopper_identity)])
    assert float((result - demo.hopper).abs().mean()) < 0.01


def test_the_picture_given_is_not_written_to(demo):
    before = demo.hopper.clone()
    swapped(demo)
    assert torch.equal(before, demo.hopper)


def test_a_face_with_five_points_is_refused_by_name_of_what_it_lacks(demo):
    face = Face(demo.hopper_face.bbox_xyxy, 1.0, demo.hopper_face.landmarks5)
    with pytest.raises(InputError, match="478 landmarks"):
        swapped(demo, None, demo.hopper, [(0, face, demo.astronaut_identity)])


def test_a_face_outside_the_picture_is_refused(demo):
    face = shifted(demo.hopper_face, 3000, 0)
    with pytest.raises(InputError, match="outside the picture of 512 × 600"):
        swapped(demo, None, demo.hopper, [(0, face, demo.astronaut_identity)])


def test_wrong_pictures_frames_masks_and_options_are_refused_with_their_numbers(demo):
    job = [(0, demo.hopper_face, demo.astronaut_identity)]
    with pytest.raises(InputError, match="only 1"):
        swap_faces(demo.swapper, demo.hopper, [(3, *job[0][1:])])
    with pytest.raises(InputError, match=r"\(2, 5, 5\)"):
        swap_faces(demo.swapper, demo.hopper, job, SwapOptions(mask=torch.ones(2, 5, 5)))
    with pytest.raises(InputError, match="shape"):
        swap_faces(demo.swapper, demo.hopper[0], job)
    with pytest.raises(InputError, match="between 0 and 1"):
        SwapOptions(strength=1.5)
    with pytest.raises(InputError, match="ears"):
        SwapOptions(regions=("ears",))
    with pytest.raises(InputError, match="there are mesh"):
        swapper_named("unknown")


def test_no_assignment_gives_no_crop_and_the_picture_back(demo):
    result, mask = stitch_faces(demo.hopper, swap_faces(demo.swapper, demo.hopper, []))
    assert torch.equal(result, demo.hopper) and float(mask.max()) == 0


@pytest.mark.parametrize("entry", SWAPPERS, ids=lambda entry: entry.name)
def test_every_swapper_says_its_name_licence_and_weights(entry):
    assert entry.name.isidentifier() and entry.title and entry.licence
    assert all(isinstance(weights_id, str) for weights_id in entry.requires)
    assert swapper_named(entry.name) is entry
