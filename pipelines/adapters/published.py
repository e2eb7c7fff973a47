"""Which files of the weights manifest belong to which family, for hosts that list what is known and what is missing."""

from __future__ import annotations

#: Family → ids of the files that were published for it; StableIdentity trains one file per person.
ADAPTER_FILES: dict[str, tuple[str, ...]] = {
    "faceid": ("faceid_sd15", "faceid_sdxl"),
    "faceid_plusv2": ("faceid_plusv2_sd15", "faceid_plusv2_sdxl"),
    "faceid_plus": ("faceid_plus_sd15",),
    "faceid_portrait": ("faceid_portrait_sd15", "faceid_portrait_v11_sd15", "faceid_portrait_sdxl"),
    "faceid_portrait_unnorm": ("faceid_portrait_sdxl_unnorm",),
    "instantid": ("instantid_adapter",),
    "pulid_v1": ("pulid_v1", "pulid_v1_flattened"),
    "pulid_v1.1": ("pulid_v1.1",),
    "pulid_flux": ("pulid_flux_v0.9.0", "pulid_flux_v0.9.1"),
    "arc2face": ("arc2face_encoder",),
    "consistentid": ("consistentid_sd15", "consistentid_sdxl"),
    "fastcomposer": ("fastcomposer_sd15",),
    "photomaker_v1": ("photomaker_v1_sdxl",),
    "photomaker_v2": ("photomaker_v2_sdxl",),
    "masterweaver": ("masterweaver_sd15",),
    "fact": ("fact_sd15", "fact_film_sd15"),
    "wplus": ("wplus_sd15",),
    "stableidentity": (),
}

#: Family → ids of the other files that its pictures need: a control net, a UNet, the LoRA where it has its own file.
FILES_BESIDE: dict[str, tuple[str, ...]] = {
    "faceid": ("faceid_sd15_lora", "faceid_sdxl_lora"),
    "faceid_plusv2": ("faceid_plusv2_sd15_lora", "faceid_plusv2_sdxl_lora"),
    "faceid_plus": ("faceid_plus_sd15_lora",),
    "instantid": ("instantid_identitynet",),
    "arc2face": ("arc2face_unet",),
}

#: Name in `VisionNeed.tower` → id of the tower's file; the other towers come inside an adapter's file or from a host.
TOWER_FILES: dict[str, str] = {
    "clip_vit_h": "clip_vit_h_14",
    "clip_vit_l": "clip_vit_l_14",
    "eva02_clip_l_336": "eva02_clip_l_336",
    "transface_s": "transface_s",
    "e4e_ffhq": "e4e_ffhq_encode",
}


def published_files() -> tuple[str, ...]:
    """The ids of all adapter files, in the order of the families."""
    return tuple(weights_id for ids in ADAPTER_FILES.values() for weights_id in ids)
