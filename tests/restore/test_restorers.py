"""Every restorer and every file it can run from: what comes out, what is refused."""

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError, MissingWeightsError, UnsafeFileError, WrongWeightsError
from likeness.pipelines.restore import RESTORERS, load_restorer, restorer_named
from likeness.pipelines.restore.gfpgan import _call as call_gfpgan
from likeness.pipelines.restore.sharpen import SHARPEN
from likeness.pipelines.restore.torch_network import BATCH, TorchRestorer

ONNX_FILES = [(entry, file) for entry in RESTORERS for file in entry.files if file.weights_id.endswith("_onnx")]
each_onnx_file = pytest.mark.parametrize(
    ("entry", "file"), ONNX_FILES, ids=lambda value: getattr(value, "weights_id", "")
)
TORCH_FILES = [(entry, file) for entry in RESTORERS for file in entry.files if not file.weights_id.endswith("_onnx")]


def save_for(make, registry, entry, file, batch):
    number = "w" if entry.has_fidelity else None
    make.onnx(make.place(registry, file.weights_id), entry.size, batch, number, half="fp16" in file.weights_id)


@each_onnx_file
def test_an_exported_network_gets_signed_pixels_and_gives_them_back(entry, file, make, registry):
    save_for(make, registry, entry, file, 1)
    loaded = entry.load(registry)
    assert file.weights_id in loaded.name and entry.name in loaded.name
    small = torch.rand(2 if entry.size < 1024 else 1, 32, 32, 3, generator=torch.Generator().manual_seed(1))
    crops = small.repeat(1, entry.size // 32, entry.size // 32, 1)
    restored = loaded.network.restore(crops, 0.25)
    added = 0.25 if entry.has_fidelity else 0.0
    expected = ((crops * 2 - 1) * 0.5 + added) / 2 + 0.5
    assert restored.shape == crops.shape
    assert float((restored - expected.clamp(0, 1)).abs().max()) < 2e-3
    assert len(crops) == 1 or torch.equal(loaded.network.restore(crops[1:], 0.25)[0], restored[1])


@pytest.mark.parametrize("batch", [3, 8, "batch"])
def test_more_faces_than_a_batch_holds_all_come_back_in_order(batch, make, registry):
    make.onnx(make.place(registry, "gpen_bfr_256_onnx"), 256, batch)
    network = restorer_named("gpen_256").load(registry).network
    crops = torch.arange(11.0)[:, None, None, None].expand(11, 256, 256, 3) / 20
    restored = network.restore(crops, 1.0)
    assert restored[:, 0, 0, 0].tolist() == pytest.approx(((crops[:, 0, 0, 0] - 0.5) / 2 + 0.5).tolist(), abs=1e-6)
    assert network.restore(crops[:0], 1.0).shape == (0, 256, 256, 3)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"size": 128}, "128.*256"), ({"channels": 1}, "1, 256"), ({"name": "a", "number": "b"}, "")],
)
def test_an_export_of_something_else_is_refused_by_its_inputs(wrong, says, make, registry):
    path = make.place(registry, "gpen_bfr_256_onnx")
    make.onnx(path, **{"size": 256, **wrong})
    if says:
        with pytest.raises(WrongWeightsError, match=says):
            restorer_named("gpen_256").load(registry)
    else:  # inputs may be called anything
        assert (
            restorer_named("gpen_256").load(registry).network.restore(torch.zeros(1, 256, 256, 3), 0.5).shape[1] == 256
        )
    path.write_bytes(b"no network at all")
    with pytest.raises(WrongWeightsError, match="no ONNX model"):
        restorer_named("gpen_256").load(registry).network.restore(torch.zeros(1, 256, 256, 3), 0.5)


@pytest.mark.parametrize(("entry", "file"), TORCH_FILES, ids=[f.weights_id for _, f in TORCH_FILES])
def test_a_torch_file_that_is_not_what_its_name_says_is_refused(entry, file, make, registry):
    path = make.place(registry, file.weights_id)
    torch.save({"params_ema": {"body.0.weight": torch.zeros(3, 3)}}, path)
    with pytest.raises(WrongWeightsError, match=path.name):
        entry.load(registry)
    path.write_bytes(b"cut off")
    with pytest.raises((WrongWeightsError, UnsafeFileError), match=path.name):
        entry.load(registry)


def thin(module):
    """Every tensor of a module as one repeated number: files of the real layout that take a few kilobytes."""
    return {
        key: torch.full((1,), 0.01).expand(value.shape) if value.is_floating_point() else torch.zeros_like(value)
        for key, value in module.state_dict().items()
    }


@pytest.mark.parametrize("name", ["gfpgan_1.4", "restoreformer"])
def test_spandrel_reads_the_published_layout_with_every_key(name, make, registry):
    architectures = pytest.importorskip("spandrel.architectures")
    del architectures
    from spandrel.architectures.GFPGAN import GFPGAN
    from spandrel.architectures.RestoreFormer import RestoreFormer

    entry = restorer_named(name)
    state = thin({"gfpgan_1.4": GFPGAN, "restoreformer": RestoreFormer}[name]())
    path = make.place(registry, entry.files[0].weights_id)
    torch.save({"params_ema": state}, path)
    assert entry.files[0].weights_id in entry.load(registry).name
    left_out = next(key for key in state if key.endswith("weight") and "noise" not in key)
    torch.save({"params_ema": {key: value for key, value in state.items() if key != left_out}}, path)
    with pytest.raises(WrongWeightsError, match=path.name):
        entry.load(registry)


def test_gfpgan_is_called_with_its_stored_noise_so_that_nothing_is_left_to_chance(registry, make):
    pytest.importorskip("spandrel")
    from spandrel.architectures.GFPGAN import GFPGAN

    torch.manual_seed(0)
    small = GFPGAN(out_size=32, num_style_feat=64, narrow=0.0625, channel_multiplier=1, num_mlp=2)
    for name, parameter in small.named_parameters():
        parameter.data = torch.randn(parameter.shape) * (parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3)
        assert parameter.isfinite().all(), name
    torch.save(thin(small), make.place(registry, "gfpgan_v1.4"))
    restorer = TorchRestorer(registry, "gfpgan_v1.4", lambda path: small, call_gfpgan)
    crops = torch.rand(BATCH + 1, 32, 32, 3)
    first = restorer.restore(crops, 1.0)
    expected = small((crops[:1].permute(0, 3, 1, 2) * 2 - 1).contiguous(), return_rgb=False, randomize_noise=False)[0]
    assert torch.equal(restorer.restore(crops, 1.0), first) and first.shape == crops.shape
    assert torch.allclose(first[:1], (expected.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1), atol=1e-5)
    assert torch.allclose(restorer.restore(crops[-1:], 1.0)[0], first[-1], atol=1e-4)
    assert float(first.std()) > 0.01


def test_auto_takes_the_best_restorer_that_is_present_and_lists_the_others(make, registry):
    loaded, report = load_restorer(registry)
    assert loaded.name == "sharpen"
    assert "missing: codeformer (facerestore_models/codeformer.pth or" in report
    make.onnx(make.place(registry, "gpen_bfr_256_onnx"), 256)
    make.onnx(make.place(registry, "gpen_bfr_512_reactor_onnx"), 512)
    loaded, report = load_restorer(registry)
    assert loaded.name == "gpen_512 gpen_bfr_512_reactor_onnx"
    assert "present: gpen_256 (gpen_bfr_256.onnx)" in report and "present: sharpen" in report


def test_a_named_restorer_without_a_file_says_which_files_and_how(registry):
    with pytest.raises(
        MissingWeightsError, match=r"3 file\(s\).*codeformer.pth.*fetch codeformer.*\nOr: codeformer.onnx"
    ):
        load_restorer(registry, "codeformer")
    with pytest.raises(InputError, match="gfpgan_1.4, codeformer"):
        load_restorer(registry, "gfpgan")


def test_names_are_unique_and_every_file_is_in_the_manifest(registry):
    assert len({entry.name for entry in RESTORERS}) == len(RESTORERS)
    files = [file.weights_id for entry in RESTORERS for file in entry.files]
    assert len(set(files)) == len(files)
    for weights_id in files:
        assert registry.manifest.entry(weights_id).used_by == ("LikenessLoadFaceRestorer",)


def test_sharpening_lifts_a_blurred_edge_without_a_halo_and_leaves_flat_areas():
    ramp = torch.sigmoid((torch.arange(512.0) - 256) / 6).expand(1, 512, 512)
    crops = (0.3 + 0.4 * ramp)[..., None].expand(1, 512, 512, 3).contiguous()
    restored = SHARPEN.embedded.restore(crops, 0.0)
    before, after = (float(c[0, 256, 250:262, 0].diff().max()) for c in (crops, restored))
    assert after > 1.1 * before
    assert float(restored.max()) < 0.7 + 0.021 and float(restored.min()) > 0.3 - 0.021
    flat = torch.full((2, 512, 512, 3), 0.42)
    assert float((SHARPEN.embedded.restore(flat, 0.0) - flat).abs().max()) < 1e-5
    noisy = flat + 0.01 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    assert float(SHARPEN.embedded.restore(noisy, 0.0).std()) < 0.9 * float(noisy.std())
    assert np.isfinite(SHARPEN.embedded.restore(crops[:0], 0.0).numpy()).all()
