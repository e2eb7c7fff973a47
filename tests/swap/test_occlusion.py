"""What lies in front of a face stays in front."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from likeness.benchmarks.occluders import OCCLUDERS, with_occluder
from likeness.benchmarks.occlusion import LEAST, MOST_CHANGED, MOST_KEPT, TONES, changed_of, kept_skin, overlap
from likeness.pipelines.errors import InputError, MissingWeightsError, WrongWeightsError
from likeness.pipelines.face import Face, Faces
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.stitch import face_masks, stitch_faces
from likeness.pipelines.stitch.connected import narrowed, widened
from likeness.pipelines.stitch.guess import guess_hidden
from likeness.pipelines.stitch.occlusion import Occluder, hidden_masks, hidden_part
from likeness.pipelines.swap import SwapOptions, swap_faces
from likeness.pipelines.swap.occluders import load_occluder, occluder_names
from likeness.pipelines.weights import Manifest

GUESS = Occluder("guess", "", guess_hidden)


@pytest.mark.parametrize("name", OCCLUDERS)
def test_the_guess_sees_what_is_drawn_in_front_of_two_people(demo, name):
    found = [
        overlap(demo.analysis, picture, face, name)
        for picture, face in ((demo.astronaut, demo.astronaut_face), (demo.hopper, demo.hopper_face))
    ]
    assert np.mean(found) >= LEAST[name], found


def test_the_guess_sees_the_fringe_and_the_frames_of_glasses_and_leaves_free_skin(demo):
    masks = {
        "astronaut": hidden_masks(GUESS, demo.astronaut, Faces(((demo.astronaut_face,),), 512, 512))[0],
        "hopper": hidden_masks(GUESS, demo.hopper, Faces(((demo.hopper_face,),), *demo.hopper.shape[1:3]))[0],
    }

    def at(name, face, points):
        x, y = np.round(face.landmarks[points, :2].mean(0)).astype(int)
        return float(masks[name][y, x])

    for points in ([50], [280], [199]):  # cheeks and chin
        found = at("astronaut", demo.astronaut_face, points), at("hopper", demo.hopper_face, points)
        assert max(found) < 0.05, (points, found)
    assert at("astronaut", demo.astronaut_face, [10]) > 0.3
    assert all(float(mask.mean()) < 0.05 for mask in masks.values())


def test_a_swap_with_an_occluder_keeps_the_hand_and_still_changes_the_rest(demo):
    covered, hand = with_occluder(demo.hopper, demo.hopper_face, "hand")
    face = demo.analysis.detect(covered).frames[0][0]
    results = [
        stitch_faces(covered, swap_faces(demo.swapper, covered, [(0, face, demo.astronaut_identity)], options))[0]
        for options in (SwapOptions(), SwapOptions(occluder=GUESS))
    ]
    over, kept = (float((result - covered)[0][hand > 0.99].abs().mean()) for result in results)
    seen = hidden_masks(GUESS, covered, Faces(((face,),), *covered.shape[1:3]))[0]
    inside = (hand > 0.99) & (seen > 0.9)
    assert int(inside.sum()) > 0.2 * int((hand > 0.99).sum())
    assert kept < 0.15 * over and float((results[1] - covered)[0][inside].abs().max()) < 0.1
    free = swap_faces(demo.swapper, demo.hopper, [(0, demo.hopper_face, demo.astronaut_identity)])
    bare = stitch_faces(demo.hopper, free)[0]
    x, y = np.round(face.landmarks[346, :2]).astype(int)
    cheek = [part[0, y - 5 : y + 6, x - 5 : x + 6].mean((0, 1)) for part in (bare, *results)]
    # the hand must not colour the face
    assert float((cheek[2] - cheek[0]).abs().max()) < 0.6 * float((cheek[1] - cheek[0]).abs().max())


@pytest.mark.parametrize("name", OCCLUDERS)
def test_a_swap_leaves_all_but_a_few_pixels_of_what_is_drawn_in_front(demo, name):
    astronaut = demo.astronaut, demo.astronaut_face, demo.hopper_identity
    hopper = demo.hopper, demo.hopper_face, demo.astronaut_identity
    person = hopper if name.startswith("hand") else astronaut
    assert changed_of(demo.analysis, demo.swapper, *person, name) < MOST_CHANGED


@pytest.mark.parametrize("name", ["hand", "hand over the eye"])
def test_no_pale_rim_is_painted_around_a_hand_or_onto_its_border(demo, name):
    covered, hand = with_occluder(demo.astronaut, demo.astronaut_face, name)
    face = demo.analysis.detect(covered).frames[0][0]
    swapped, bare = (
        stitch_faces(picture, swap_faces(demo.swapper, picture, [(0, seen, demo.hopper_identity)], options))[0]
        for picture, seen, options in (
            (covered, face, SwapOptions(occluder=GUESS)),
            (demo.astronaut, demo.astronaut_face, SwapOptions()),
        )
    )
    hull = face_masks(Faces(((face,),), 512, 512), feather=0.0)[0] > 0.5
    border = hull & (hand > 0.9) & (narrowed((hand > 0.9).float(), 3) == 0)
    ring = hull & (hand < 0.01) & (widened((hand > 0.01).float(), 4) > 0)
    given, result = covered[0].mean(-1), swapped[0].mean(-1)
    assert int(border.sum()) > 300 and int(ring.sum()) > 80
    assert float((result - given > 0.05)[border].float().mean()) < 0.03
    # beside it, nothing is brighter than both the picture and the same face swapped without a hand
    brightest = widened(torch.maximum(given, bare[0].mean(-1)), 3)
    assert float((result - brightest)[ring].max()) < 0.05


def test_free_skin_of_any_tone_is_swapped(demo):
    people = (demo.astronaut, demo.astronaut_face), (demo.hopper, demo.hopper_face)
    kept = [kept_skin(*person, tone) for person in people for tone in TONES]
    assert np.mean(kept) < MOST_KEPT and max(kept) < 0.03, kept


def test_grain_hardly_moves_the_border_of_what_is_in_front(demo):
    covered, _ = with_occluder(demo.astronaut, demo.astronaut_face, "hand")
    faces = Faces(((demo.astronaut_face,),), 512, 512)
    hull = face_masks(faces, feather=0.0)[0] > 0.5
    generator = torch.Generator().manual_seed(3)
    masks = [
        hidden_masks(GUESS, covered + 0.01 * torch.randn(covered.shape, generator=generator), faces)[0][hull]
        for _ in range(3)
    ]
    moved = [float((one - other).abs().mean()) for one, other in zip(masks, masks[1:], strict=False)]
    assert max(moved) < 0.03, moved


def test_hidden_parts_of_any_window_are_cut_from_the_same_mask(demo):
    covered, _ = with_occluder(demo.hopper, demo.hopper_face, "microphone")
    whole = hidden_masks(GUESS, covered, Faces(((demo.hopper_face,),), *covered.shape[1:3]))[0]
    x0, y0, x1, y1 = np.round(demo.hopper_face.bbox_xyxy).astype(int)
    part = hidden_part(GUESS, covered[0], demo.hopper_face, (x0, y0 + 20, x1, y1))
    assert float(part.max()) > 0.9 and torch.allclose(part, whole[y0 + 20 : y1, x0:x1], atol=1e-6)
    assert float(hidden_part(GUESS, covered[0], demo.hopper_face, (0, 0, 3, 3)).max()) == 0


def test_a_guess_without_dense_landmarks_and_foreign_pictures_are_refused(demo):
    five = Face(demo.hopper_face.bbox_xyxy, 1.0, demo.hopper_face.landmarks5)
    with pytest.raises(InputError, match="dense landmarks"):
        guess_hidden(demo.hopper[0], five)
    with pytest.raises(InputError, match="same pictures"):
        hidden_masks(GUESS, demo.astronaut, Faces(((demo.hopper_face,),), 100, 100))


def test_a_face_of_one_colour_has_nothing_in_front(demo):
    picture = torch.full((512, 512, 3), 0.5)
    hidden, _ = guess_hidden(picture, demo.astronaut_face)
    assert float(hidden.max()) == 0


def save_xseg(path, shape=("batch", 256, 256, 3), channel=0):
    """A network of XSeg's layout that takes the first channel for visible."""
    helper = onnx.helper
    node = helper.make_node("Gather", ["input:0", "channel"], ["out"], axis=3)
    graph = helper.make_graph(
        [node],
        "xseg",
        [helper.make_tensor_value_info("input:0", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.array([channel]), "channel")],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))


def registry_in(models):
    kept = tuple(
        part if part.embedded else replace(part, size_bytes=None, sha256=None) for part in Manifest.load().entries
    )
    return Registry(TorchRuntime(model_folders={"": models}), Manifest(kept))


def test_a_network_of_xsegs_layout_sees_blue_first_and_its_newest_file_is_taken(tmp_path, demo):
    assert load_occluder(registry_in(tmp_path)).name == "guess"
    save_xseg(tmp_path / "facefusion" / "xseg_1.onnx")
    save_xseg(tmp_path / "facefusion" / "xseg_3.onnx")
    occluder = load_occluder(registry_in(tmp_path))
    assert occluder.name == "xseg_3" and "GPL" in occluder.licence
    picture = torch.zeros(1, 512, 512, 3)
    picture[..., 2] = 1  # all blue: all visible
    x = int(demo.astronaut_face.center[0])
    picture[:, :, x:, 2] = 0
    hidden = hidden_masks(occluder, picture, Faces(((demo.astronaut_face,),), 512, 512))[0]
    y = int(demo.astronaut_face.center[1])
    assert float(hidden[y, x - 30]) == 0 and float(hidden[y, x + 30]) == 1
    assert float(hidden[0, 0]) == 0  # beyond the crop nothing is said


def test_missing_and_foreign_networks_are_told(tmp_path):
    with pytest.raises(MissingWeightsError, match="xseg_2"):
        load_occluder(registry_in(tmp_path), "xseg_2")
    save_xseg(tmp_path / "facefusion" / "xseg_2.onnx", (1, 3, 256, 256))
    with pytest.raises(WrongWeightsError, match="256"):
        load_occluder(registry_in(tmp_path), "xseg_2")
    with pytest.raises(InputError, match="guess"):
        load_occluder(registry_in(tmp_path), "nothing")
    assert occluder_names() == ("auto", "guess", "xseg_1", "xseg_2", "xseg_3")
