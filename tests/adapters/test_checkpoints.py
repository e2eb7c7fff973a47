"""Adapter files: which family they belong to, and that every key of them is used."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from likeness.pipelines.adapters.checkpoint import Checkpoint, read_checkpoint, unwrap
from likeness.pipelines.adapters.families import FAMILIES, build_adapter, load_adapter, recognise
from likeness.pipelines.adapters.family import IdentityAdapter
from likeness.pipelines.backbones.unet import SD15, SDXL
from likeness.pipelines.errors import InputError, UnsafeFileError, WrongWeightsError

#: Keys and shapes of published files.
TABLES: dict[str, dict[str, list[int]]] = json.loads(
    gzip.decompress(Path(__file__).with_name("published_keys.json.gz").read_bytes())
)

#: Table → (file name as published, family, backbone, cross-attention sites, attentions with a LoRA).
PUBLISHED = {
    "ip-adapter-faceid_sd15": ("ip-adapter-faceid_sd15.bin", "faceid", "SD1.5", 16, 32),
    "ip-adapter-faceid-plusv2_sd15": ("ip-adapter-faceid-plusv2_sd15.bin", "faceid_plusv2", "SD1.5", 16, 32),
    "ip-adapter-faceid-portrait_sd15": ("ip-adapter-faceid-portrait_sd15.bin", "faceid_portrait", "SD1.5", 16, 0),
    "ip-adapter-faceid_sdxl": ("ip-adapter-faceid_sdxl.bin", "faceid", "SDXL", 70, 140),
    "ip-adapter-faceid-plusv2_sdxl": ("ip-adapter-faceid-plusv2_sdxl.bin", "faceid_plusv2", "SDXL", 70, 140),
    "ip-adapter-faceid-portrait_sdxl": ("ip-adapter-faceid-portrait_sdxl.bin", "faceid_portrait", "SDXL", 70, 0),
    "ip-adapter-faceid-portrait_sdxl_unnorm": (
        "ip-adapter-faceid-portrait_sdxl_unnorm.bin", "faceid_portrait_unnorm", "SDXL", 70, 0,
    ),
    "instantid_ip-adapter": ("ip-adapter.bin", "instantid", "SDXL", 70, 0),
    "consistentid_sd15": ("ConsistentID-v1.bin", "consistentid", "SD1.5", 16, 32),
    "consistentid_sdxl": ("ConsistentID_SDXL-v1.bin", "consistentid", "SDXL", 70, 140),
    "pulid_v1": ("pulid_v1.bin", "pulid_v1", "SDXL", 70, 0),
    "pulid_v1.1": ("pulid_v1.1.safetensors", "pulid_v1.1", "SDXL", 70, 0),
    "pulid_flux_v0.9": ("pulid_flux_v0.9.1.safetensors", "pulid_flux", "FLUX", 20, 0),
    "photomaker-v1": ("photomaker-v1.bin", "photomaker_v1", "SDXL", 0, 0),
    "photomaker-v2": ("photomaker-v2.bin", "photomaker_v2", "SDXL", 0, 0),
    "masterweaver": ("adapter_final.pt", "masterweaver", "SD1.5", 16, 0),
    "wplus_adapter": ("wplus_adapter.bin", "wplus", "SD1.5", 16, 0),
    "facechain_fact": ("adapter_maj_mask_large_new_reg001_faceshuffle.ckpt", "fact", "SD1.5", 16, 0),
    "fastcomposer_postfuse_only": ("pytorch_model.bin", "fastcomposer", "SD1.5", 0, 0),
}  # fmt: skip


def published(table: str, name: str = "") -> Checkpoint:
    """A file with the published keys and shapes and no values."""
    tensors = {key: torch.empty(shape, device="meta") for key, shape in TABLES[table].items()}
    return Checkpoint(name or PUBLISHED[table][0], tensors)


def tensor_names(adapter: IdentityAdapter) -> int:
    lora = sum(2 * len(pairs) for pairs in adapter.lora.values())
    replaced = sum(len(weights) for weights in adapter.replaced.values())
    return len(adapter.module().state_dict()) + lora + replaced + len(adapter.named_lora)


@pytest.mark.parametrize("table", PUBLISHED)
def test_a_published_file_is_recognised_and_every_key_of_it_is_used(table: str) -> None:
    _, family, backbone, sites, lora = PUBLISHED[table]
    adapter = build_adapter(published(table))
    assert (adapter.family.name, adapter.backbone) == (family, backbone)
    assert (len(adapter.sites), len(adapter.lora)) == (sites, lora)
    assert tensor_names(adapter) == len(TABLES[table])


def test_every_family_with_published_weights_has_a_table_here() -> None:
    without = {"faceid_plus", "arc2face", "stableidentity"}  # same keys as another; a text tower; made by training
    assert {family.name for family in FAMILIES} - {entry[1] for entry in PUBLISHED.values()} == without


@pytest.mark.parametrize("table", PUBLISHED)
def test_a_key_that_belongs_to_nothing_is_named_with_the_family_tried(table: str) -> None:
    checkpoint = published(table)
    odd = Checkpoint(checkpoint.name, {**checkpoint.tensors, "surprise.weight": torch.empty(1)})
    with pytest.raises(WrongWeightsError) as caught:
        build_adapter(odd)
    assert "surprise.weight" in str(caught.value)
    assert recognise(checkpoint).title in str(caught.value)


@pytest.mark.parametrize("table", PUBLISHED)
def test_a_file_that_lacks_one_key_is_refused_and_never_loaded_in_part(table: str) -> None:
    checkpoint = published(table)
    for lost in list(checkpoint.tensors)[:: max(1, len(checkpoint.tensors) // 6)]:
        rest = {key: tensor for key, tensor in checkpoint.tensors.items() if key != lost}
        with pytest.raises(WrongWeightsError):
            build_adapter(Checkpoint(checkpoint.name, rest))


def test_plus_and_plus_v2_have_the_same_keys_and_the_file_name_or_the_choice_decides() -> None:
    table = "ip-adapter-faceid-plusv2_sd15"
    assert recognise(published(table, "ip-adapter-faceid-plus_sd15.bin")).name == "faceid_plus"
    assert recognise(published(table, "FaceID_Plus_V2.safetensors")).name == "faceid_plusv2"
    assert recognise(published(table, "mine.bin"), "faceid_plus").name == "faceid_plus"
    with pytest.raises(WrongWeightsError, match="choose the family yourself"):
        recognise(published(table, "mine.bin"))


def test_portrait_unnorm_and_instantid_have_the_same_keys_and_the_file_name_or_the_choice_decides() -> None:
    table = "instantid_ip-adapter"
    assert TABLES[table] == TABLES["ip-adapter-faceid-portrait_sdxl_unnorm"]
    assert recognise(published(table, "ip-adapter-faceid-portrait_sdxl_unnorm.bin")).name == "faceid_portrait_unnorm"
    assert recognise(published(table), "faceid_portrait_unnorm").name == "faceid_portrait_unnorm"


def test_a_choice_that_does_not_fit_the_keys_is_refused_with_what_it_could_be() -> None:
    with pytest.raises(WrongWeightsError, match="InstantID"):
        recognise(published("instantid_ip-adapter"), "faceid")
    with pytest.raises(InputError, match="no adapter family 'nobody'"):
        recognise(published("instantid_ip-adapter"), "nobody")


def test_pulid_in_the_key_layout_of_another_pack_is_the_same_adapter() -> None:
    names = {"id_adapter.": "image_proj.", "id_adapter_attn_layers.": "ip_adapter.", "id_to_": "to_", "": ""}
    renamed: dict[str, torch.Tensor] = {}
    for key, tensor in published("pulid_v1").tensors.items():
        for old, new in names.items():
            key = key.replace(old, new) if old else key
        renamed[key.replace("to_k.weight", "to_k_ip.weight").replace("to_v.weight", "to_v_ip.weight")] = tensor
    adapter = build_adapter(Checkpoint("ip-adapter_pulid_sdxl_fp16.safetensors", renamed))
    assert adapter.family.name == "pulid_v1"
    assert len(adapter.sites) == 70


def test_an_unknown_file_is_refused_with_its_keys_and_the_known_families() -> None:
    with pytest.raises(WrongWeightsError) as caught:
        build_adapter(Checkpoint("lora.safetensors", {"lora_unet_x.alpha": torch.empty(())}))
    assert "lora_unet_x.alpha" in str(caught.value)
    assert "InstantID" in str(caught.value)


def test_an_adapter_with_half_of_its_cross_attentions_is_refused_with_the_counts() -> None:
    checkpoint = published("instantid_ip-adapter")
    half = {k: t for k, t in checkpoint.tensors.items() if not k.startswith("ip_adapter.13")}
    with pytest.raises(WrongWeightsError, match=r"64 cross-attention\(s\).*SD1.5 16.*SDXL 70"):
        build_adapter(Checkpoint(checkpoint.name, half))


def small_wplus() -> dict[str, Any]:
    projector = {f"proj_{i}.weight": torch.randn(8, 4 * n) for i, n in enumerate((4, 4, 4, 6))}
    projector |= {"norm.weight": torch.ones(8), "norm.bias": torch.zeros(8)}
    sites = {f"{s.number}.to_{p}_wplus.weight": torch.randn(8, 8) for s in SD15.sites for p in "kvq"}
    return {"w_proj": projector, "wplus_adapter": sites}


def test_nested_flat_and_wrapped_containers_give_the_same_adapter(tmp_path: Path) -> None:
    nested = small_wplus()
    flat = {f"{part}.{key}": tensor for part, tensors in nested.items() for key, tensor in tensors.items()}
    wrapped = {"state_dict": {f"module.{key}": tensor for key, tensor in flat.items()}, "epoch": 3}
    torch.save(nested, tmp_path / "nested.bin")
    torch.save(wrapped, tmp_path / "wrapped.ckpt")
    save_file(flat, tmp_path / "flat.safetensors")
    states = [load_adapter(path).module().state_dict() for path in sorted(tmp_path.iterdir())]
    assert len(states) == 3
    for state in states:
        assert all(torch.equal(state[key], states[0][key]) for key in states[0])
    assert torch.equal(states[0]["sites.31.to_q_wplus.weight"], flat["wplus_adapter.31.to_q_wplus.weight"])


def test_a_level_called_module_inside_the_names_is_removed() -> None:
    table = unwrap({"a.module.b": torch.zeros(1), "c": torch.ones(1)})
    assert set(table) == {"a.b", "c"}


def test_a_pickle_with_code_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    bomb = tmp_path / "ip-adapter.bin"
    bomb.write_bytes(pickle.dumps({"image_proj": Touch(target)}, protocol=2))
    with pytest.raises(UnsafeFileError, match="more than weights"):
        read_checkpoint(bomb)
    torch.save({"image_proj": Touch(target)}, bomb)
    with pytest.raises(UnsafeFileError, match="more than weights"):
        read_checkpoint(bomb)
    assert not target.exists()


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.bin"])
def test_a_truncated_file_is_named_with_its_size(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    flat = {f"w_proj.{k}": t for k, t in small_wplus()["w_proj"].items()}
    if path.suffix == ".bin":
        torch.save(flat, path)
    else:
        save_file(flat, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WrongWeightsError, match=rf"{name} \({path.stat().st_size} bytes\)"):
        read_checkpoint(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongWeightsError, match="not '.onnx'"):
        read_checkpoint(tmp_path / "x.onnx")


def test_the_middle_block_is_last_in_the_numbering_and_site_counts_are_16_and_70() -> None:
    assert [site.number for site in SD15.sites] == list(range(1, 32, 2))
    assert [site.number for site in SDXL.sites] == list(range(1, 140, 2))
    assert (SD15.sites[-1].block, SD15.sites[-1].id, SD15.sites[-1].number) == ("middle", 0, 31)
    assert [s.number for s in SDXL.sites if s.block == "middle"] == list(range(121, 140, 2))


def test_site_widths_are_those_of_the_published_tensors() -> None:
    for backbone, table in ((SD15, "ip-adapter-faceid_sd15"), (SDXL, "ip-adapter-faceid_sdxl")):
        for site in backbone.sites:
            shape = TABLES[table][f"ip_adapter.{site.number}.to_k_ip.weight"]
            assert shape == [site.width, backbone.context_width]
