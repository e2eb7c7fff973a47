"""Adapters beside ControlNets and LoRAs, and IdentityNet in a chain of ControlNets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import comfy_process

if __name__ == "__main__":
    comfy_process.start(Path(sys.argv[1]), Path(sys.argv[2]))

import torch
from tiny_adapters import tokens
from tiny_graph import ODD, assert_different, assert_equal, base, person
from tiny_models import conditioning, controlnet, sample

from likeness.nodes.attach import attach
from likeness.nodes.identity_control import IdentityControlNet
from likeness.pipelines.adapters.application import Window
from likeness.pipelines.errors import InputError


def control(net: Any, strength: float = 1.0) -> Any:
    net.set_cond_hint(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(4)), strength)
    return net


def with_control(cond: list[Any], net: Any, key: str = "control") -> list[Any]:
    return [[text, {**values, key: net, "control_apply_to_uncond": False}] for text, values in cond]


def both_sides(net: Any, **dials: Any) -> dict[str, Any]:
    return {
        "positive": with_control(conditioning(768, 1, pooled=768), net),
        "negative": with_control(conditioning(768, 2, pooled=768), net),
        **dials,
    }


def case_an_ordinary_controlnet_and_a_lora_work_together_with_two_people() -> None:
    net = control(controlnet())
    model = base("SD1.5").clone()
    name = "diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_v.weight"
    model.add_patches({name: ("diff", (torch.randn(320, 768, generator=torch.Generator().manual_seed(1)) * 0.1,))})
    alone = sample(model, "SD1.5", **both_sides(net), batch=2, size=ODD)
    two = attach(attach(model, person()), person("cascade", seed=12))
    assert_different(sample(two, "SD1.5", **both_sides(net), batch=2, size=ODD), alone)
    closed = attach(attach(model, person(window=Window(1e9, 1e8))), person("gated", window=Window(1e9, 1e8)))
    assert_equal(sample(closed, "SD1.5", **both_sides(net), batch=2, size=ODD), alone)


def case_identity_control_reads_identity_tokens_as_comfyuis_own_key_would_give_them() -> None:
    identity, net = tokens(768, 11, 16), control(controlnet())
    positive, negative = conditioning(768, 1, pooled=768), conditioning(768, 2, pooled=768)
    own = [
        [[text, {**values, "cross_attn_controlnet": side}] for text, values in with_control(cond, net)]
        for cond, side in ((positive, identity.cond), (negative, identity.uncond))
    ]
    expected = sample(base("SD1.5"), "SD1.5", positive=own[0], negative=own[1])
    ours = control(IdentityControlNet.of(controlnet(), identity))
    assert_equal(sample(base("SD1.5"), "SD1.5", **both_sides(ours)), expected)
    assert_different(expected, sample(base("SD1.5"), "SD1.5", **both_sides(net)))


def case_other_controlnets_of_the_chain_keep_the_text() -> None:
    identity, first = tokens(768, 11, 16), control(controlnet(seed=7), 0.5)
    off = control(IdentityControlNet.of(controlnet(), identity), 0.0).set_previous_controlnet(first)
    alone = sample(base("SD1.5"), "SD1.5", **both_sides(first))
    assert_equal(sample(base("SD1.5"), "SD1.5", **both_sides(off)), alone)
    on = control(IdentityControlNet.of(controlnet(), identity)).set_previous_controlnet(first)
    assert_different(sample(base("SD1.5"), "SD1.5", **both_sides(on)), alone)
    copied = on.copy()
    assert type(copied) is IdentityControlNet and copied.identity is identity


def case_two_peoples_identity_control_counts_in_their_regions_only() -> None:
    """Residuals are masked, so what a person's net says on the other half reaches it through the UNet alone."""
    left = torch.zeros(1, 64, 128)
    left[..., :64] = 1
    net = controlnet()

    def residuals(*nets: Any) -> dict[str, list[torch.Tensor]]:
        chain = None
        for one in nets:
            chain = control(one).set_previous_controlnet(chain)
        sampling = base("SD1.5").model.model_sampling
        chain.pre_run(base("SD1.5").model, sampling.percent_to_sigma)
        x = torch.randn(2, 4, 8, 16, generator=torch.Generator().manual_seed(1))
        cond = {"c_crossattn": torch.zeros(2, 77, 768)}
        with torch.inference_mode():
            return chain.get_control(x, torch.full((2,), 1.0), cond, 2, {"cond_or_uncond": [1, 0]})

    ada, grace = tokens(768, 11, 16), tokens(768, 12, 16)
    both = residuals(IdentityControlNet.of(net, ada, left), IdentityControlNet.of(net, grace, 1 - left))
    swapped = residuals(IdentityControlNet.of(net, grace, 1 - left), IdentityControlNet.of(net, ada, left))
    alone = residuals(IdentityControlNet.of(net, ada)), residuals(IdentityControlNet.of(net, grace))
    for part, blocks in both.items():
        for number, block in enumerate(blocks):
            half = block.shape[-1] // 2
            if half:
                torch.testing.assert_close(block[..., :half], alone[0][part][number][..., :half])
                torch.testing.assert_close(block[..., half:], alone[1][part][number][..., half:])
            torch.testing.assert_close(block, swapped[part][number])
    assert_different(alone[0]["middle"][0], alone[1]["middle"][0])
    copied = IdentityControlNet.of(net, ada, left).copy()
    assert copied.mask is left


def case_a_controlnet_of_another_width_or_kind_is_refused() -> None:
    for net, said in ((controlnet(), "width 768"), (object(), "not object")):
        try:
            IdentityControlNet.of(net, tokens(2048))
        except InputError as error:
            assert said in str(error), str(error)
        else:
            raise AssertionError("it was accepted")


if __name__ == "__main__":
    comfy_process.run(globals())
