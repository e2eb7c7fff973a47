"""Files are found where other packs and older versions keep them; nothing a fetch brings is useless on its own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.pipelines.download.terms import with_needs
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap.swappers import SWAPPERS, SwapperEntry
from likeness.pipelines.weights import Manifest, WeightsEntry, locate, target

MANIFEST = Manifest.load()
ENTRIES = [entry for entry in MANIFEST.entries if not entry.embedded]
#: Folders of ComfyUI itself below models/, and those that packs have made a habit.
COMFYUI_FOLDERS = set(
    "audio_encoders checkpoints clip clip_vision controlnet diffusion_models loras photomaker text_encoders unet "
    "vae".split()
)
PACK_FOLDERS = set(
    "ConsistentID arc2face bisenet consistentid dice_talk diffusers echo_mimic eva_clip face_restore facechain_fact "
    "facedetection facefusion facerestore_models facexlib fastcomposer float hyperswap insightface instantid ipadapter "
    "liveportrait masterweaver musetalk precisecontrol pulid reswapper sonic stylegan2 uniface wav2vec2 whisper "
    "whisper-tiny wplus".split()
)

#: Weights id, and a place below ComfyUI/models where somebody has it: insightface's zip unpacked into a folder of its
#: own, its root given as models/insightface or models/insightface/models, and the folders of the packs of each family.
OLD_PLACES = [
    ("insightface_scrfd_10g", "insightface/models/antelopev2/antelopev2/scrfd_10g_bnkps.onnx"),
    ("insightface_glintr100", "insightface/models/antelopev2/antelopev2/glintr100.onnx"),
    ("insightface_glintr100", "insightface/antelopev2/glintr100.onnx"),
    ("insightface_1k3d68", "insightface/antelopev2/antelopev2/1k3d68.onnx"),
    ("insightface_scrfd_10g", "insightface/models/buffalo_l/det_10g.onnx"),
    ("insightface_w600k_r50", "insightface/models/buffalo_l/buffalo_l/w600k_r50.onnx"),
    ("insightface_w600k_r50", "insightface/buffalo_l/w600k_r50.onnx"),
    ("insightface_2d106det", "liveportrait/insightface/models/buffalo_l/2d106det.onnx"),
    ("arc2face_arcface", "insightface/models/antelopev2/arcface.onnx"),
    ("instantid_adapter", "instantid/SDXL/ip-adapter.bin"),
    ("instantid_adapter", "ipadapter/ip-adapter_instant_id_sdxl.bin"),
    ("instantid_identitynet", "controlnet/control_instant_id_sdxl.safetensors"),
    ("faceid_sd15_lora", "loras/ipadapter/ip-adapter-faceid_sd15_lora.safetensors"),
    ("pulid_v1_flattened", "ipadapter/ip-adapter_pulid_sdxl_fp16.safetensors"),
    ("pulid_flux_v0.9.1", "pulid/pulid_flux_v0.9.1.safetensors"),
    ("eva02_clip_l_336", "eva_clip/EVA02_CLIP_L_336_psz14_s6B.pt"),
    ("clip_vit_h_14", "clip_vision/SD1.5/model.safetensors"),
    ("arc2face_unet", "unet/arc2face/diffusion_pytorch_model.safetensors"),
    ("consistentid_sd15", "ConsistentID/ConsistentID-v1.bin"),
    ("inswapper_128", "insightface/models/inswapper_128.onnx"),
    ("inswapper_128_fp16", "facefusion/inswapper_128_fp16.onnx"),
    ("hyperswap_1a_256", "hyperswap/hyperswap_1a_256.onnx"),
    ("reswapper_128", "insightface/reswapper_128.onnx"),
    ("gfpgan_v1.4", "face_restore/GFPGANv1.4.pth"),
    ("gfpgan_1.4_onnx", "facerestore_models/gfpgan_1.4.onnx"),
    ("codeformer", "facerestore_models/codeformer-v0.1.0.pth"),
    ("gpen_bfr_512_onnx", "facerestore_models/gpen_bfr_512.onnx"),
    ("bisenet_face_parsing", "musetalk/face-parse-bisent/79999_iter.pth"),
    ("liveportrait_motion_extractor", "liveportrait/base_models/motion_extractor.pth"),
    ("liveportrait_spade_generator_safetensors", "liveportrait/base_models/spade_generator.safetensors"),
]


def sizeless(weights_id: str) -> WeightsEntry:
    return replace(MANIFEST.entry(weights_id), size_bytes=None, sha256=None)


@pytest.mark.parametrize(("weights_id", "place"), OLD_PLACES)
def test_a_file_is_found_where_other_packs_keep_it(weights_id: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.touch()
    assert locate(sizeless(weights_id), TorchRuntime(model_folders={"": tmp_path})) == path


def test_extra_model_paths_of_a_folder_or_of_a_folder_in_it_are_searched(tmp_path: Path) -> None:
    for folder, root, place in (
        ("facerestore_models", "shared", "GFPGANv1.4.pth"),
        ("controlnet", "cn", "instantid/diffusion_pytorch_model.safetensors"),
    ):
        weights_id = "gfpgan_v1.4" if "GFPGAN" in place else "instantid_identitynet"
        path = tmp_path / root / place
        path.parent.mkdir(parents=True)
        path.touch()
        runtime = TorchRuntime(model_folders={folder: tmp_path / root, "": tmp_path / "models"})
        assert locate(sizeless(weights_id), runtime) == path
        assert target(MANIFEST.entry(weights_id), runtime) == path  # and fetched into


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_file_lies_in_a_known_folder_under_a_name_every_system_takes(entry: WeightsEntry) -> None:
    for path in (f"{entry.folder}/{entry.file}", *entry.aliases):
        assert path.split("/")[0] in COMFYUI_FOLDERS | PACK_FOLDERS, path
        assert len(path) < 130  # Windows allows 260 for the whole path
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[. ](/|$)', path)
        assert not any(re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part) for part in path.split("/"))


@pytest.mark.parametrize("swapper", [entry for entry in SWAPPERS if entry.requires], ids=lambda entry: entry.name)
def test_fetching_a_swapper_brings_everything_it_requires(swapper: SwapperEntry) -> None:
    main, *others = swapper.requires
    assert {entry.id for entry in with_needs(MANIFEST, [main])} >= {main, *others}


def test_needs_end_in_files_that_are_listed() -> None:
    for entry in ENTRIES:
        assert entry.id in {one.id for one in with_needs(MANIFEST, [entry.id])}
