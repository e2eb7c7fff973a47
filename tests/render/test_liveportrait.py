"""LivePortrait's files: what is read, and what is refused; the networks' results are in the parity fixtures."""

import pytest
import torch
from safetensors.torch import save_file

from likeness.pipelines.errors import MissingWeightsError, UnsafeFileError, WrongWeightsError
from likeness.pipelines.registry import Registry
from likeness.pipelines.render import renderer_named
from likeness.pipelines.render.liveportrait.appearance import AppearanceExtractor
from likeness.pipelines.render.liveportrait.files import (
    APPEARANCE,
    fill,
    load_network,
    missing_files,
    read_network,
    without_spectral_norm,
)
from likeness.pipelines.render.liveportrait.motion import degrees_from_bins, place_keypoints, rotation_matrix
from likeness.pipelines.render.liveportrait.retargeting import Retargeting
from likeness.pipelines.render.liveportrait.warping import unit_grid
from likeness.pipelines.runtime import TorchRuntime


def renamed(state, wrapper):
    return {key.replace(".mlp.", f"{wrapper}mlp."): value.contiguous() for key, value in state.items()}


@pytest.mark.parametrize("wrapper", ["_module.", ".module."])
def test_published_and_converted_names_of_the_retargeting_networks_are_read(tmp_path, wrapper):
    network = Retargeting()
    save_file(renamed(network.state_dict(), wrapper), tmp_path / "stitching.safetensors")
    read = read_network(Retargeting(), tmp_path / "stitching.safetensors")
    values = torch.randn(2, 65)
    assert torch.equal(read.retarget_mouth(values), network.retarget_mouth(values))
    assert not any(weight.requires_grad for weight in read.parameters())


def test_a_file_with_other_keys_is_refused_with_names_and_counts():
    state = Retargeting().state_dict()
    state["another.weight"] = state.pop("retarget_eye.mlp.0.weight")
    with pytest.raises(WrongWeightsError, match="a.safetensors.*1 key.s. missing.*retarget_eye.*1 left over.*another"):
        fill(Retargeting(), state, "a.safetensors")


def test_the_published_torch_file_is_read_and_what_it_holds_besides_is_left(tmp_path):
    network = Retargeting()
    published = {
        name: {f"module.{key}": value for key, value in child.state_dict().items()}
        for name, child in network.named_children()
    }
    published["something_else"] = {"weight": torch.zeros(3)}
    torch.save(published, tmp_path / "stitching_retargeting_module.pth")
    read = read_network(Retargeting(), tmp_path / "stitching_retargeting_module.pth")
    values = torch.randn(2, 66)
    assert torch.equal(read.retarget_eye(values), network.retarget_eye(values))


def test_a_file_that_is_cut_off_or_holds_code_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(WrongWeightsError, match="a.safetensors .6 bytes.*download it again"):
        read_network(Retargeting(), tmp_path / "a.safetensors")
    torch.save({"retarget_eye": Retargeting}, tmp_path / "b.pth")
    with pytest.raises(UnsafeFileError, match="more than weights"):
        read_network(Retargeting(), tmp_path / "b.pth")


def test_every_missing_file_is_named_with_size_place_licence_and_one_command(tmp_path):
    registry = Registry(TorchRuntime(model_folders={"": tmp_path}))
    with pytest.raises(MissingWeightsError) as caught:
        renderer_named("liveportrait").load(registry)
    text = str(caught.value)
    assert "5 file(s)" in text and "warping_module.pth (182.2 MB)" in text and str(tmp_path / "liveportrait") in text
    assert "./likeness fetch liveportrait_appearance_feature_extractor liveportrait_motion_extractor" in text
    assert "Licence: MIT" in text


def test_a_converted_file_stands_in_for_the_published_one(tmp_path):
    folder = tmp_path / "liveportrait" / "base_models"
    folder.mkdir(parents=True)
    save_file(AppearanceExtractor().state_dict(), folder / "appearance_feature_extractor.safetensors")
    registry = Registry(TorchRuntime(model_folders={"": tmp_path}))
    assert "liveportrait_appearance_feature_extractor" not in missing_files(registry)
    assert len(missing_files(registry)) == 4
    handle, digest = load_network(registry, APPEARANCE)
    assert isinstance(handle.module, AppearanceExtractor) and len(digest) == 64
    assert load_network(registry, APPEARANCE)[0] is handle


def test_weights_are_divided_by_their_spectral_norm():
    weight = torch.randn(5, 3, 2, 2)
    u, norms, v = torch.linalg.svd(weight.flatten(1), full_matrices=False)
    state = {"conv.weight_orig": weight, "conv.weight_u": u[:, 0], "conv.weight_v": v[0], "conv.bias": torch.zeros(5)}
    folded = without_spectral_norm(state)
    assert sorted(folded) == ["conv.bias", "conv.weight"]
    assert torch.allclose(folded["conv.weight"], weight / norms[0], atol=1e-5)


def test_bins_are_read_as_their_mean_angle():
    scores = torch.full((1, 66), -50.0)
    scores[0, 40] = 50.0
    assert degrees_from_bins(scores).item() == pytest.approx(40 * 3 - 97.5, abs=1e-3)


def test_keypoints_are_turned_moved_and_scaled_but_not_in_depth():
    points = torch.randn(1, 21, 3)
    placed = place_keypoints(
        points, torch.zeros(1, 21, 3), torch.zeros(1, 3), torch.tensor([[0.1, -0.2, 9.0]]), torch.tensor([[2.0]])
    )
    assert torch.allclose(placed, 2 * points + torch.tensor([0.1, -0.2, 0.0]))
    turn = rotation_matrix(torch.tensor([[10.0, 20.0, 30.0]]))[0]
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-6)


def test_the_grid_runs_right_down_and_in():
    grid = unit_grid(torch.zeros(1, 1, 3, 4, 5))
    assert grid.shape == (3, 4, 5, 3)
    assert grid[0, 0, 0].tolist() == [-1, -1, -1] and grid[0, 0, -1].tolist() == [1, -1, -1]
    assert grid[-1, -1, 0].tolist() == [-1, 1, 1]


def test_stitching_keeps_shapes_and_moves_all_keypoints_alike_in_depth_only_one_by_one():
    network = Retargeting().requires_grad_(False)
    source, driving = torch.randn(2, 21, 3), torch.randn(2, 21, 3)
    change = network.retarget_shoulder(torch.cat([source.flatten(1), driving.flatten(1)], 1))
    moved = network.stitched(source, driving)
    expected = driving + change[:, :63].reshape(2, 21, 3)
    assert torch.allclose(moved[..., 2], expected[..., 2])
    assert torch.allclose(moved[..., :2], expected[..., :2] + change[:, None, 63:])
