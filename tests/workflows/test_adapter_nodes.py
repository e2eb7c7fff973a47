"""Adapters in graphs of the real ComfyUI: what holds of any graph, and what the artist reads when it cannot work."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from likeness.tests.adapters.tiny_files import EVA_FILE
from likeness.tests.comfyui_server import ComfyServer, PromptFailed
from likeness.tests.workflows.tiny_weights import write_narrow_adapters

Prompt = dict[str, dict[str, Any]]

FACEID, PORTRAIT = "ipadapter/ip-adapter-faceid_sd15.bin", "ipadapter/ip-adapter-faceid-portrait_sd15.bin"
INSTANTID, PULID_FLUX = "instantid/ip-adapter.bin", "pulid/pulid_flux_v0.9.1.safetensors"
PLUS, PHOTOMAKER = "ipadapter/ip-adapter-faceid-plusv2_sd15.bin", "photomaker/photomaker-v2.bin"
BUILD = {"pick": "agreement", "threshold": 0.5, "min_probability": 0.5, "name": "Ada", "consent": ""}
DIALS = {
    "strength": 0.8, "start": 0.0, "end": 1.0, "lora_strength": 1.0, "blocks": "all alike", "combine": "as published",
    "style": "as published", "zero_tokens": -1, "structure": 1.0, "noise": 0.0, "uncond_seed": 0,
    "legacy_skip_middle": False,
}  # fmt: skip


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


@pytest.fixture(scope="module")
def files(comfyui: ComfyServer) -> None:
    files = (FACEID, PORTRAIT, INSTANTID, PULID_FLUX, PLUS, PHOTOMAKER, EVA_FILE)
    write_narrow_adapters(comfyui.base / "models", *files)


def graph(file: str = FACEID, kind: str = "SD1.5", recogniser: str = "arcface_w600k_r50", **dials: Any) -> Prompt:
    """One person in a picture of 64 × 96 px."""
    latent = "EmptySD3LatentImage" if kind == "FLUX" else "EmptyLatentImage"
    prompt: Prompt = {
        "photo": node("LoadImage", image="likeness_astronaut.png"),
        "embedded": node("LikenessLoadFaceAnalysis", backend="embedded"),
        "analysis": node("LikenessTestAnalysis", analysis=["embedded", 0], recogniser=recogniser),
        "person": node("LikenessBuildIdentity", analysis=["analysis", 0], **{"photos.photo0": ["photo", 0]}, **BUILD),
        "model": node("LikenessTestCheckpoint", kind=kind),
        "positive": node("CLIPTextEncode", clip=["model", 1], text="a woman"),
        "negative": node("CLIPTextEncode", clip=["model", 1], text=""),
        "adapter": node("LikenessLoadIdentityAdapter", file=file, family="auto"),
        "apply": apply("model", **dials),
        "latent": node(latent, width=64, height=96, batch_size=1),
    }
    return with_result(prompt, "apply")


def apply(model: str, **dials: Any) -> dict[str, Any]:
    people = {} if "regions" in dials else {"identities.identity0": ["person", 0]}
    return node("LikenessApplyIdentityAdapter", model=[model, 0], adapter=["adapter", 0], **people, **(DIALS | dials))


def with_result(prompt: Prompt, model: str, name: str = "result") -> Prompt:
    prompt[f"{name}_sample"] = node(
        "KSampler", model=[model, 0], positive=["positive", 0], negative=["negative", 0], latent_image=["latent", 0],
        seed=3, steps=2, cfg=5.0, sampler_name="euler", scheduler="normal", denoise=1.0,
    )  # fmt: skip
    prompt[f"{name}_decode"] = node("VAEDecode", samples=[f"{name}_sample", 0], vae=["model", 2])
    prompt[name] = node("PreviewImage", images=[f"{name}_decode", 0])
    return prompt


def pictures(server: ComfyServer, prompt: Prompt, *names: str) -> list[np.ndarray[Any, Any]]:
    outputs = server.run(prompt)
    found = (server.picture(outputs[name]["images"][0]) for name in names)
    return [np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for content in found]


def message(server: ComfyServer, prompt: Prompt) -> str:
    with pytest.raises(PromptFailed) as failed:
        server.run(prompt)
    return str(failed.value)


@pytest.mark.parametrize(
    ("file", "kind", "recogniser"),
    [(FACEID, "SD1.5", "arcface_w600k_r50"), (PULID_FLUX, "FLUX", "arcface_glintr100")],
)
def test_strength_0_is_the_model_alone_and_the_model_never_changes(
    comfyui: ComfyServer, files: None, file: str, kind: str, recogniser: str
) -> None:
    prompt = with_result(graph(file, kind, recogniser), "model", "base")
    prompt["off"] = apply("model", strength=0.0)
    prompt["closed"] = apply("model", start=0.5, end=0.5)
    for name in ("off", "closed"):
        with_result(prompt, name, f"{name}_result")
    base, on, off, closed = pictures(comfyui, prompt, "base", "result", "off_result", "closed_result")
    assert np.array_equal(base, off) and np.array_equal(base, closed)
    assert (base != on).mean() > 0.3


def test_a_branch_does_not_see_the_people_of_another_one(comfyui: ComfyServer, files: None) -> None:
    alone = pictures(comfyui, graph(strength=0.5), "result")[0]
    prompt = graph(strength=0.5)
    prompt["other"] = apply("model", strength=1.0, uncond_seed=4, noise=0.35)
    with_result(prompt, "other", "other_result")
    prompt["both"] = apply("apply", strength=1.0, lora_strength=0.0)
    with_result(prompt, "both", "both_result")
    branch, other, both = pictures(comfyui, prompt, "result", "other_result", "both_result")
    assert np.array_equal(branch, alone)
    assert (other != alone).mean() > 0.2 and (both != alone).mean() > 0.2


@pytest.mark.parametrize(
    ("file", "kind", "recogniser", "blocks"),
    [
        (PORTRAIT, "SD1.5", "arcface_w600k_r50", {"blocks": "UNet", "input": 0.0, "middle": 0.0, "output": 0.0}),
        (PULID_FLUX, "FLUX", "arcface_glintr100", {"blocks": "FLUX", "double": 0.0, "single": 0.0}),
    ],
)
def test_all_blocks_at_0_are_the_model_alone_and_each_of_them_matters(
    comfyui: ComfyServer, files: None, file: str, kind: str, recogniser: str, blocks: dict[str, Any]
) -> None:
    names = [name for name in blocks if name != "blocks"]
    spelt = {"blocks": blocks["blocks"], **{f"blocks.{name}": 0.0 for name in names}}
    prompt = with_result(graph(file, kind, recogniser, **spelt), "model", "base")
    for name in names:
        prompt[name] = apply("model", **(spelt | {f"blocks.{name}": 1.0}))
        with_result(prompt, name, f"{name}_result")
    base, none, *one = pictures(comfyui, prompt, "base", "result", *(f"{name}_result" for name in names))
    assert np.array_equal(base, none)
    assert all((picture != base).any() for picture in one)


def test_a_person_with_an_empty_mask_changes_nothing(comfyui: ComfyServer, files: None) -> None:
    prompt = with_result(graph(PORTRAIT), "model", "base")
    prompt["solid"] = node("SolidMask", value=0.0, width=64, height=96)
    prompt["masked"] = apply("model", mask=["solid", 0])
    with_result(prompt, "masked", "masked_result")
    base, masked = pictures(comfyui, prompt, "base", "masked_result")
    assert np.array_equal(base, masked)


def test_a_known_file_that_is_missing_is_listed_and_says_how_to_get_it(comfyui: ComfyServer, files: None) -> None:
    listed = comfyui.get("/object_info/LikenessLoadIdentityAdapter")["LikenessLoadIdentityAdapter"]
    options = listed["input"]["required"]["file"][1]["options"]
    missing = "(missing) masterweaver/adapter_final.pt"
    assert missing in options and FACEID in options and f"(missing) {FACEID}" not in options
    said = message(comfyui, graph(missing))
    for part in ("adapter_final.pt", "size unknown", "masterweaver", "./likeness fetch masterweaver_sd15", "Licence"):
        assert part in said
    assert "There is no adapter file 'ipadapter/nobody.bin'" in message(comfyui, graph("ipadapter/nobody.bin"))
    assert "There is no adapter file" in message(comfyui, graph("ipadapter/../../server.log"))


def test_an_adapter_for_another_model_is_refused_with_both_names(comfyui: ComfyServer, files: None) -> None:
    said = message(comfyui, graph(INSTANTID, recogniser="arcface_glintr100"))
    assert "InstantID" in said and "made for SDXL, but the model is SD1.5" in said
    assert "made for SD1.5, but the model is FLUX" in message(comfyui, graph(kind="FLUX"))


def test_an_identity_without_the_vector_is_refused_and_an_analysis_helps(comfyui: ComfyServer, files: None) -> None:
    prompt = graph(recogniser="arcface_glintr100")
    said = message(comfyui, prompt)
    assert "arcface_w600k_r50" in said and "non-commercial" in said and "'buffalo_l'" in said
    prompt["right"] = node("LikenessTestAnalysis", analysis=["embedded", 0], recogniser="arcface_w600k_r50")
    prompt["apply"]["inputs"]["analysis"] = ["right", 0]
    assert pictures(comfyui, prompt, "result")[0].std() > 5


def test_a_missing_or_wrong_vision_model_is_named(comfyui: ComfyServer, files: None) -> None:
    prompt = graph(PLUS)
    assert "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors" in message(comfyui, prompt)
    prompt["vision"] = node("LikenessTestClipVision", width=1024)
    prompt["apply"]["inputs"]["clip_vision"] = ["vision", 0]
    assert "257 of width 1024" in message(comfyui, prompt)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("truncated.safetensors", b"\x20\x00\x00\x00\x00\x00\x00\x00{", "no complete safetensors file"),
        ("truncated.bin", b"PK\x03\x04 and not much more", "truncated.bin"),
        ("code.pt", b"\x80\x04cos\nsystem\n(S'true'\ntR.", "not opened, because that could run code"),
    ],
)
def test_a_broken_or_hostile_file_is_refused_by_name(
    comfyui: ComfyServer, files: None, name: str, content: bytes, said: str
) -> None:
    (comfyui.base / "models" / "ipadapter" / name).write_bytes(content)
    assert said in message(comfyui, graph(f"ipadapter/{name}"))


def test_a_file_of_no_known_family_is_refused_with_the_families(comfyui: ComfyServer, files: None) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"something.else": torch.zeros(2, 2)}, comfyui.base / "models" / "ipadapter" / "strange.safetensors")
    said = message(comfyui, graph("ipadapter/strange.safetensors"))
    assert "no adapter of a known family" in said and "something.else" in said and "InstantID" in said


def test_a_family_that_does_not_fit_the_keys_is_refused(comfyui: ComfyServer, files: None) -> None:
    prompt = graph()
    prompt["adapter"]["inputs"]["family"] = "pulid_v1"
    assert "does not have the keys of pulid_v1" in message(comfyui, prompt)


def test_a_mask_of_another_shape_is_refused_with_both_sizes(comfyui: ComfyServer, files: None) -> None:
    prompt = graph()
    prompt["mask"] = node("SolidMask", value=1.0, width=96, height=64)
    prompt["apply"]["inputs"]["mask"] = ["mask", 0]
    assert "mask is 96 × 64 px but the picture is 64 × 96 px" in message(comfyui, prompt)


def test_a_trigger_word_that_is_missing_is_asked_for(comfyui: ComfyServer, files: None) -> None:
    prompt = graph(PHOTOMAKER, "SDXL")
    prompt["result"] = node("PreviewAny", source=["conditioning", 1])
    prompt["conditioning"] = node(
        "LikenessIdentityConditioning", clip=["model", 1], adapter=["adapter", 0], trigger="img", delay=0.0,
        text="a photo of a woman", **{"identities.identity0": ["person", 0]},
    )  # fmt: skip
    said = message(comfyui, prompt)
    assert "The trigger word 'img' is not in the prompt" in said and "a photo of a woman img" in said
    prompt["conditioning"]["inputs"]["text"] = "a photo of a woman img"
    assert "Ada as 2 token(s)" in comfyui.run(prompt)["result"]["text"][0]


def test_more_people_than_regions_is_an_error_with_both_numbers(comfyui: ComfyServer, files: None) -> None:
    prompt = graph(regions=["regions", 0])
    prompt["mask"] = node("SolidMask", value=1.0, width=64, height=96)
    prompt["regions"] = node(
        "LikenessIdentityRegions", source="masks", assign="left to right", feather=0.04,
        **{"source.masks": ["mask", 0], "identities.identity0": ["person", 0], "identities.identity1": ["person", 0]},
    )  # fmt: skip
    assert "2 people (Ada, Ada) but only 1 region(s)" in message(comfyui, prompt)


def test_a_schedule_that_waits_for_all_steps_is_the_model_alone(comfyui: ComfyServer, files: None) -> None:
    prompt = with_result(graph(PORTRAIT), "model", "base")
    prompt["schedule"] = node("LikenessIdentitySchedule", curve="constant", wait_steps=2)
    prompt["apply"]["inputs"]["schedule"] = ["schedule", 0]
    base, waited = pictures(comfyui, prompt, "base", "result")
    assert np.array_equal(base, waited)


def test_the_dials_reach_the_tokens_and_the_report(comfyui: ComfyServer, files: None) -> None:
    prompt = graph(zero_tokens=4, lora_strength=0.25)
    said = comfyui.run(prompt)["apply"]["text"][0]
    assert "8 tokens (4 of them zero)" in said and "LoRA 0.25" in said
