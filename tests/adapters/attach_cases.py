"""What must hold of models with adapters inside ComfyUI, whatever the graph."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy_process

if __name__ == "__main__":
    comfy_process.start(Path(sys.argv[1]), Path(sys.argv[2]))

import torch
from tiny_adapters import FLUX_TOKENS, SDXL, adapter, tokens
from tiny_graph import KINDS, assert_different, assert_equal, base, known, person, plain
from tiny_models import SD15_CONFIG, sample, unet

from likeness.nodes.attach import attach, attach_weights, weights_strength
from likeness.pipelines.adapters.application import Application, Window
from likeness.pipelines.adapters.schedule import StepCurve
from likeness.pipelines.errors import InputError


def flux_person(strength: float = 0.8, **dials: Any) -> Application:
    return Application(known("", "FLUX"), tokens(FLUX_TOKENS, 11, 32), strength, **dials)


def case_the_base_model_is_bit_for_bit_the_same_after_all_kinds_of_branches() -> None:
    before = plain("SD1.5"), plain("FLUX")
    for kind in KINDS:
        model = attach(attach_weights(base("SD1.5"), known(kind), 1.0), person(kind))
        assert_different(sample(model, "SD1.5"), before[0])
    assert_different(sample(attach(base("FLUX"), flux_person()), "FLUX"), before[1])
    assert_equal(sample(base("SD1.5"), "SD1.5"), before[0])
    assert_equal(sample(base("FLUX"), "FLUX"), before[1])
    assert "patches_replace" not in base("SD1.5").model_options["transformer_options"]


def case_the_weights_of_adapters_are_loaded_whole_where_memory_is_short() -> None:
    for kind in KINDS:
        (held,) = attach(base("SD1.5"), person(kind)).model_patches_models()
        held.partially_load(held.load_device, 0.1)  # bytes
        assert held.loaded_size() == held.model_size() > 0


def case_strength_zero_gives_the_base_result_bit_for_bit() -> None:
    for kind in KINDS:
        assert_equal(sample(attach(base("SD1.5"), person(kind, strength=0.0)), "SD1.5"), plain("SD1.5"))
    assert_equal(sample(attach(base("FLUX"), flux_person(0.0)), "FLUX"), plain("FLUX"))


def case_a_window_that_never_opens_gives_the_base_result_bit_for_bit() -> None:
    closed = (Window(0.5, 0.5), Window(1e9, 1e8), Window(1e-9, 0.0))
    for window in closed:
        for kind in KINDS:
            assert_equal(sample(attach(base("SD1.5"), person(kind, window=window)), "SD1.5"), plain("SD1.5"))
        assert_equal(sample(attach(base("FLUX"), flux_person(window=window)), "FLUX"), plain("FLUX"))


def case_a_curve_at_zero_gives_the_base_result_bit_for_bit() -> None:
    for kind in KINDS:
        assert_equal(
            sample(attach(base("SD1.5"), person(kind, curve=StepCurve(((0.0, 0.0),)))), "SD1.5"), plain("SD1.5")
        )


def case_block_group_strengths_of_zero_give_the_base_result_bit_for_bit() -> None:
    groups = {"input": 0.0, "middle": 0.0, "output": 0.0}
    assert_equal(sample(attach(base("SD1.5"), person(group_strengths=groups)), "SD1.5"), plain("SD1.5"))


def case_two_branches_give_what_each_gives_alone() -> None:
    alone = [sample(attach(unet(SD15_CONFIG), person(seed=seed)), "SD1.5") for seed in (11, 12)]
    branches = [attach(base("SD1.5"), person(seed=seed)) for seed in (11, 12)]
    for _ in range(2):
        for branch, expected in zip(branches, alone, strict=True):
            assert_equal(sample(branch, "SD1.5"), expected)
    assert_different(alone[0], alone[1])


def case_a_chain_of_three_gives_what_a_fresh_graph_gives_and_leaves_its_links_alone() -> None:
    def chain(model: Any) -> list[Any]:
        first = attach(model, person("key_value"))
        second = attach(first, person("cascade", seed=12))
        return [first, second, attach(second, person("gated", seed=13))]

    fresh = [sample(model, "SD1.5") for model in chain(unet(SD15_CONFIG))]
    links = chain(base("SD1.5"))
    for model, expected in zip(reversed(links), reversed(fresh), strict=True):
        assert_equal(sample(model, "SD1.5"), expected)
    assert_different(fresh[1], fresh[0])
    assert_different(fresh[2], fresh[1])


def case_the_same_node_run_twice_adds_nothing_and_a_changed_parameter_acts_alone() -> None:
    once = sample(attach(base("SD1.5"), person()), "SD1.5")
    assert_equal(sample(attach(base("SD1.5"), person()), "SD1.5"), once)
    weaker = sample(attach(base("SD1.5"), person(strength=0.4)), "SD1.5")
    assert_equal(weaker, sample(attach(unet(SD15_CONFIG), person(strength=0.4)), "SD1.5"))
    assert_different(weaker, once)


def case_the_same_model_sampled_twice_gives_the_same() -> None:
    model = attach(base("SD1.5"), person("gated"))
    assert_equal(sample(model, "SD1.5"), sample(model, "SD1.5"))


def case_an_adapter_with_its_lora_gives_what_a_fresh_graph_gives() -> None:
    def with_lora(model: Any) -> Any:
        return attach(attach_weights(model, known("key_value"), 0.7), person())

    expected = sample(with_lora(unet(SD15_CONFIG)), "SD1.5")
    assert_equal(sample(with_lora(base("SD1.5")), "SD1.5"), expected)
    assert_equal(sample(base("SD1.5"), "SD1.5"), plain("SD1.5"))
    assert_different(expected, sample(attach(base("SD1.5"), person()), "SD1.5"))


def case_another_lora_on_the_model_stays_and_its_order_does_not_matter() -> None:
    name = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"

    change = torch.randn(320, 320, generator=torch.Generator().manual_seed(3)) * 0.1

    def other_lora(model: Any) -> Any:
        clone = model.clone()
        assert clone.add_patches({name: ("diff", (change,))}) == [name]
        return clone

    before = sample(attach(other_lora(base("SD1.5")), person()), "SD1.5")
    after = sample(other_lora(attach(base("SD1.5"), person())), "SD1.5")
    assert_equal(before, after)
    assert_different(before, sample(attach(base("SD1.5"), person()), "SD1.5"))


def case_the_lora_of_an_adapter_that_is_applied_twice_acts_once_at_its_greatest_strength() -> None:
    adapter = known("key_value")
    once = sample(attach_weights(base("SD1.5"), adapter, 0.7), "SD1.5")
    for first, second in ((0.7, 0.7), (0.3, 0.7), (0.7, -0.3), (0.7, 0.0), (0.0, 0.7)):
        one = attach_weights(base("SD1.5"), adapter, first)
        two = attach_weights(one, adapter, second)
        assert weights_strength(two, adapter) == 0.7
        assert {len(patches) for patches in two.patches.values()} == {1}
        assert_equal(sample(two, "SD1.5"), once)
        if first == 0.3:
            assert_equal(sample(one, "SD1.5"), sample(attach_weights(base("SD1.5"), adapter, 0.3), "SD1.5"))
    assert weights_strength(base("SD1.5"), adapter) is None


class Foreign:
    """Another pack's attention patch: halves the result."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, q: Any, k: Any, v: Any, options: dict[str, Any]) -> torch.Tensor:
        from comfy.ldm.modules.attention import optimized_attention

        self.calls += 1
        return 0.5 * optimized_attention(q, k, v, options["n_heads"], transformer_options=options)


def case_another_packs_patch_at_a_site_is_kept_under_ours() -> None:
    for name in (("middle", 0), ("middle", 0, 0)):
        foreign, model = Foreign(), base("SD1.5").clone()
        model.set_model_attn2_replace(foreign, *name)
        alone = sample(model, "SD1.5")
        calls = foreign.calls
        together = sample(attach(model, person()), "SD1.5")
        assert foreign.calls == 2 * calls
        assert_different(together, alone)
        assert_equal(sample(attach(model, person(window=Window(1e9, 1e8))), "SD1.5"), alone)


def case_a_foreign_patch_between_two_of_ours_adds_nobody_twice() -> None:
    model = attach(base("SD1.5"), person())
    inner = model.model_options["transformer_options"]["patches_replace"]["attn2"][("middle", 0, 0)]
    model.set_model_attn2_replace(lambda q, k, v, options: inner(q, k, v, options), "middle", 0, 0)
    wrapped = attach(model, person("cascade", seed=12))
    straight = attach(attach(base("SD1.5"), person()), person("cascade", seed=12))
    assert_equal(sample(wrapped, "SD1.5"), sample(straight, "SD1.5"))


class Extended(Foreign):
    """An attention patch that grows in place when its pack finds it at a site, as IPAdapter's do."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Any] = []

    def add(self, callback: Any, **_arguments: Any) -> None:
        self.others.append(callback)

    def __call__(self, q: Any, k: Any, v: Any, options: dict[str, Any]) -> torch.Tensor:
        x = super().__call__(q, k, v, options)
        return x + sum(other(x, q, k, v, options) for other in self.others)


def case_a_patch_that_other_packs_extend_is_wrapped_and_ours_refuses_to_be_extended() -> None:
    foreign, model = Extended(), base("SD1.5").clone()
    foreign.add(lambda x, q, k, v, options: 0.25 * x)
    foreign.add(lambda x, q, k, v, options: 0.25 * x)
    model.set_model_attn2_replace(foreign, "middle", 0, 0)
    alone = sample(model, "SD1.5")
    assert_different(sample(attach(model, person()), "SD1.5"), alone)
    assert_equal(sample(attach(model, person(window=Window(1e9, 1e8))), "SD1.5"), alone)
    ours = attach(base("SD1.5"), person()).model_options["transformer_options"]["patches_replace"]["attn2"]
    try:
        ours[("middle", 0, 0)].add(lambda *_: 0, sigma_start=1.0, sigma_end=0.0)
    except InputError as error:
        assert "in front of Apply Identity Adapter" in str(error), str(error)
    else:
        raise AssertionError("a patch that all branches share was extended")


def case_an_adapter_for_another_model_is_refused_with_both_names() -> None:
    sdxl = Application(adapter("key_value", SDXL), tokens(SDXL.context_width))
    for model, application, said in (
        (base("SD1.5"), sdxl, ("made for SDXL", "the model is SD1.5")),
        (base("FLUX"), sdxl, ("made for SDXL", "the model is FLUX")),
        (base("SD1.5"), flux_person(), ("made for FLUX", "the model is SD1.5")),
        (base("SD1.5"), replace(person(), tokens=tokens(1024)), ("width 1024", "width 768", "SD1.5")),
    ):
        try:
            attach(model, application)
        except InputError as error:
            assert all(part in str(error) for part in said), str(error)
        else:
            raise AssertionError(f"an adapter with {said} was accepted")


if __name__ == "__main__":
    comfy_process.run(globals())
