"""Every family through its nodes and KSampler, alone and together with what graphs have besides."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy_process

if __name__ == "__main__":
    comfy_process.start(Path(sys.argv[1]), Path(sys.argv[2]))

import torch
from family_graphs import (
    EVEN,
    ODD,
    Entry,
    Setup,
    base,
    fresh_model,
    graph,
    load,
    plain_prompt,
    plain_text,
    prompt,
    sampled,
)
from tiny_files import ARC2FACE_FILE, STABLEIDENTITY_FILE
from tiny_graph import assert_close, assert_different, assert_equal

from likeness.pipelines.errors import InputError

#: One person alone at cfg 7; then what graphs have besides, in few runs.
ALONE, CFG_1 = Setup(), Setup(cfg=1.0, size=ODD, batch=2)
TOGETHER = Setup(size=ODD, batch=2, lora=True, control=True, sequential=True)
PAIR = "a man img and a woman img in a garden"
_plain: dict[Any, torch.Tensor] = {}


def without(entry: Entry, setup: Setup) -> torch.Tensor:
    """The graph without the person and without our nodes."""
    bare = replace(entry, attention=False, text=plain_text(entry), trigger="")
    setup = replace(setup, people=1, regions=False, schedule="", lora_first=False)
    key = (entry.kind, bare.text, setup)
    if key not in _plain:
        _plain[key] = graph(bare, None, setup, 0.0)
    return _plain[key]


@torch.inference_mode()  # as ComfyUI runs nodes
def check_variant(entry: Entry) -> None:
    """What every file must do, alone and beside a LoRA, a ControlNet and whatever else a graph has."""
    adapter = load(entry)
    for setup in (ALONE, CFG_1, _together(entry)):
        for ours, plain in zip(graph(entry, adapter, setup, 0.8), without(entry, setup), strict=True):
            assert_different(ours, plain)
    assert_equal(graph(entry, adapter, _together(entry), 0.0), without(entry, _together(entry)))


def _together(entry: Entry) -> Setup:
    """ComfyUI's ControlNets of FLUX need an even latent."""
    return replace(TOGETHER, size=EVEN) if entry.kind == "FLUX" else TOGETHER


@torch.inference_mode()
def check(entry: Entry) -> None:
    """What every family must do besides: order, batches, dials, and nothing left on what it used."""
    check_variant(entry)
    adapter, setup, before = load(entry), _together(entry), without(entry, ALONE)
    alone, together = (graph(entry, adapter, each, 0.8) for each in (ALONE, setup))
    # neither the order of the nodes nor whether both sides run in one batch matters
    assert_close(graph(entry, adapter, replace(setup, sequential=False, lora_first=True), 0.8), together)
    if entry.attention:
        check_dials(entry, adapter, before)
    if entry.text:
        check_prompt(entry, adapter)
    assert_equal(graph(entry, load(entry), ALONE, 0.8, fresh_model(entry.kind)), alone)
    _plain.pop((entry.kind, plain_text(entry), ALONE))
    assert_equal(without(entry, ALONE), before)


def check_dials(entry: Entry, adapter: Any, before: torch.Tensor) -> None:
    """Strength, people, regions and schedule of Apply Identity Adapter, with the prompt as it is."""

    def run(strength: float, **setup: Any) -> torch.Tensor:
        model = replace(entry, text="", trigger="")
        return graph(model, adapter, Setup(**setup), strength, lora_strength=0.0)

    one, weaker = run(0.8), run(0.3)
    assert_different(weaker, one)
    assert_equal(run(0.8, schedule="0: 0.375"), weaker)
    if not entry.text:
        assert_equal(run(0.8, schedule="0: 0"), before)
    late = run(0.8, schedule="0: 0, 1: 1", steps=2)
    assert torch.isfinite(late).all() and not torch.equal(late, run(0.8, steps=2))
    if not entry.given:  # connected features are one person's
        assert_different(run(0.8, people=2), one)
        assert_different(run(0.8, people=2, regions=True), one)


def check_prompt(entry: Entry, adapter: Any) -> None:
    """Delay of Identity Conditioning, and two people where the family can."""
    negative = plain_prompt(entry.kind, "blurry")

    def run(delay: float, people: int = 1, text: str = entry.text, steps: int = 1) -> torch.Tensor:
        positive = prompt(entry, adapter, Setup(people=people), text, delay)
        return sampled(base(entry.kind), entry.kind, positive, negative, Setup(steps=steps))

    assert_equal(run(1.0), without(entry, ALONE))
    own, late, never = (run(delay, steps=2) for delay in (0.0, 0.5, 1.0))
    assert torch.isfinite(late).all() and not torch.equal(late, never)  # what comes last changes little
    assert_different(late, own)
    if "img" in entry.text:
        assert_different(run(0.0, 2, PAIR), run(0.0, 1, PAIR.replace("man img", "man", 1)))
        return
    try:
        run(0.0, 2)
    except InputError as error:
        assert "one person" in str(error), str(error)
    else:
        raise AssertionError("two people in one prompt were accepted")


def case_faceid_on_sd15() -> None:
    check(Entry("ipadapter/ip-adapter-faceid_sd15.bin", "SD1.5"))


def case_faceid_on_sdxl() -> None:
    check_variant(Entry("ipadapter/ip-adapter-faceid_sdxl.bin", "SDXL"))


def case_faceid_plus_on_sd15() -> None:
    check_variant(Entry("ipadapter/ip-adapter-faceid-plus_sd15.bin", "SD1.5", tower=1280))


def case_faceid_plus_v2_on_sd15() -> None:
    check_variant(Entry("ipadapter/ip-adapter-faceid-plusv2_sd15.bin", "SD1.5", tower=1280))


def case_faceid_plus_v2_on_sdxl() -> None:
    check_variant(Entry("ipadapter/ip-adapter-faceid-plusv2_sdxl.bin", "SDXL", tower=1280))


def case_faceid_portrait_on_sd15() -> None:
    check_variant(Entry("ipadapter/ip-adapter-faceid-portrait_sd15.bin", "SD1.5"))


def case_faceid_portrait_on_sdxl() -> None:
    check_variant(Entry("ipadapter/ip-adapter-faceid-portrait_sdxl.bin", "SDXL"))


def case_faceid_portrait_unnorm_on_sdxl() -> None:
    check_variant(Entry("ipadapter/ip-adapter-faceid-portrait_sdxl_unnorm.bin", "SDXL"))


def case_instantid_without_control() -> None:
    check_variant(Entry("instantid/ip-adapter.bin", "SDXL"))


def case_instantid_with_identitynet() -> None:
    check(Entry("instantid/ip-adapter.bin", "SDXL", trigger="identitynet"))


def case_pulid_1_0() -> None:
    check_variant(Entry("pulid/pulid_v1.bin", "SDXL"))


def case_pulid_1_1() -> None:
    check(Entry("pulid/pulid_v1.1.safetensors", "SDXL"))


def case_pulid_for_flux() -> None:
    check(Entry("pulid/pulid_flux_v0.9.1.safetensors", "FLUX"))


def case_arc2face() -> None:
    check(Entry(ARC2FACE_FILE, "SD1.5", "photo of a id person", attention=False))


def case_consistentid_on_sd15() -> None:
    check(Entry("consistentid/ConsistentID-v1.bin", "SD1.5", "a woman, her face, eyes and mouth", tower=1280))


def case_consistentid_on_sdxl() -> None:
    check_variant(
        Entry("consistentid/ConsistentID_SDXL-v1.bin", "SDXL", "a woman, her face, eyes and mouth", tower=1280)
    )


def case_fastcomposer() -> None:
    check(Entry("fastcomposer/pytorch_model.bin", "SD1.5", "a woman img in a garden", attention=False))


def case_photomaker_1() -> None:
    check_variant(Entry("photomaker/photomaker-v1.bin", "SDXL", "a woman img in a garden", attention=False))


def case_photomaker_2() -> None:
    check(Entry("photomaker/photomaker-v2.bin", "SDXL", "a woman img in a garden", attention=False))


def case_masterweaver() -> None:
    check(Entry("masterweaver/adapter_final.pt", "SD1.5", tower=1024))


def case_facechain_fact() -> None:
    file = "facechain_fact/adapter_maj_mask_large_new_reg001_faceshuffle_00290001.ckpt"
    check(Entry(file, "SD1.5", given=(144, 512)))


def case_w_plus_adapter() -> None:
    check(Entry("wplus/wplus_adapter.bin", "SD1.5", given=(18, 512)))


def case_stableidentity() -> None:
    check(Entry(STABLEIDENTITY_FILE, "SD2.1", "a photo of sks person", attention=False, given=(768,), trigger="sks"))


@torch.inference_mode()
def case_two_people_have_identitynet_each_in_their_region() -> None:
    entry = Entry("instantid/ip-adapter.bin", "SDXL", trigger="identitynet")
    adapter, pair = load(entry), Setup(people=2, regions=True, size=(8, 16))
    both = graph(replace(entry, attention=False), adapter, pair, 0.8)
    assert_different(both, without(entry, pair))
    assert_different(graph(replace(entry, attention=False), adapter, replace(pair, people=1, regions=False), 0.8), both)
    assert_different(graph(entry, adapter, pair, 0.8), both)


@torch.inference_mode()
def case_the_clip_of_another_model_is_refused_with_both_widths() -> None:
    for entry, other, said in (
        (Entry(ARC2FACE_FILE, "SD1.5", "photo of a id person"), "SDXL", ("768", "2048", "an SD1.5")),
        (Entry("consistentid/ConsistentID-v1.bin", "SD1.5", "a face", tower=1280), "SDXL", ("768", "2048")),
        (Entry("fastcomposer/pytorch_model.bin", "SD1.5", "a woman img"), "SDXL", ("768", "2048", "an SD1.5")),
        (Entry("photomaker/photomaker-v2.bin", "SDXL", "a woman img"), "SD1.5", ("2048", "768", "an SDXL")),
        (Entry(STABLEIDENTITY_FILE, "SD2.1", "sks", given=(768,), trigger="sks"), "SD1.5", ("1024", "768", "an SD2.1")),
    ):
        adapter = load(entry)
        try:
            prompt(replace(entry, kind=other), adapter, ALONE, entry.text)
        except InputError as error:
            assert all(part in str(error) for part in said), str(error)
        else:
            raise AssertionError(f"{entry.file} took the CLIP of {other}")


if __name__ == "__main__":
    comfy_process.run(globals())
