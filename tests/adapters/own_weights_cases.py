"""What an adapter's file brings besides its attention, and dials that family_cases leaves alone, by the nodes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import comfy_process

if __name__ == "__main__":
    comfy_process.start(Path(sys.argv[1]), Path(sys.argv[2]))

import comfy.lora
import torch
from family_graphs import Entry, Setup, apply_node, base, load, plain_prompt, sampled
from tiny_graph import assert_different, assert_equal

from likeness.nodes.attach import attach_weights
from likeness.pipelines.backbones.unet import SDXL
from likeness.pipelines.errors import InputError

ALONE = Setup()


@torch.inference_mode()
def case_the_lora_of_two_apply_nodes_with_one_file_acts_once_and_the_report_says_so() -> None:
    entry = Entry("ipadapter/ip-adapter-faceid_sd15.bin", "SD1.5")
    adapter, texts = load(entry), (plain_prompt("SD1.5", "a woman"), plain_prompt("SD1.5", ""))

    def chain(first: float, second: float) -> tuple[torch.Tensor, str]:
        one, _ = apply_node(base("SD1.5"), entry, adapter, ALONE, 0.8, lora_strength=first)
        two, report = apply_node(one, entry, adapter, ALONE, 0.4, lora_strength=second)
        return sampled(two, "SD1.5", *texts, ALONE), report

    expected, report = chain(1.0, 0.0)
    assert "already" not in report
    result, report = chain(1.0, 1.0)
    assert_equal(result, expected)
    assert "was on the model already, at 1: it stays so" in report
    result, report = chain(0.5, 1.0)
    assert_equal(result, expected)
    assert "already, at 0.5: now it is at 1" in report


@torch.inference_mode()
def case_zero_tokens_are_as_many_as_the_dial_says() -> None:
    entry = Entry("pulid/pulid_v1.bin", "SDXL")
    adapter, reports = load(entry), {}
    results = {}
    for count in (-1, 0, 8, 16):
        model, reports[count] = apply_node(base("SDXL"), entry, adapter, ALONE, 0.8, zero_tokens=count)
        texts = plain_prompt("SDXL", "a woman"), plain_prompt("SDXL", "")
        results[count] = sampled(model, "SDXL", *texts, ALONE)
    assert "10 tokens;" in reports[0] and "26 tokens (16 of them zero)" in reports[16]
    assert_equal(results[-1], results[8])  # as published with ortho_v2
    assert_different(results[0], results[8])
    assert_different(results[16], results[8])


@torch.inference_mode()
def case_photomakers_lora_changes_every_attention_by_its_product() -> None:
    entry = Entry("photomaker/photomaker-v2.bin", "SDXL", attention=False)
    loaded = load(entry)
    published = loaded.adapter.named_lora
    assert len(published) == 2 * 4 * 140
    model = base("SDXL")
    weights = model.model.state_dict()
    changed_model = attach_weights(model, loaded.adapter, 0.5)
    assert len(changed_model.patches) == 4 * 140
    for block, name in (
        ("down_blocks.1.attentions.0.transformer_blocks.1", "attn2.to_k"),
        ("mid_block.attentions.0.transformer_blocks.9", "attn1.to_out"),
    ):
        stem = f"unet.{block}.{name.replace('.', '.processor.')}_lora"
        product = published[f"{stem}.up.weight"].float() @ published[f"{stem}.down.weight"].float()
        layer = SDXL.by_diffusers()[block].comfy
        key = f"diffusion_model.{layer}.{name.replace('to_out', 'to_out.0')}.weight"
        changed = comfy.lora.calculate_weight(changed_model.patches[key], weights[key].clone(), key)
        torch.testing.assert_close(changed, weights[key] + 0.5 * product, rtol=1e-5, atol=1e-6)
    strange = replace(loaded.adapter, named_lora={**published, "text_encoder.layer.lora.up.weight": torch.ones(2, 2)})
    try:
        attach_weights(model, strange, 1.0)
    except InputError as error:
        assert "1 tensor(s) of its LoRA fit no weight" in str(error) and "text_encoder.layer" in str(error)
    else:
        raise AssertionError("a LoRA that fits no weight was dropped without a word")


if __name__ == "__main__":
    comfy_process.run(globals())
