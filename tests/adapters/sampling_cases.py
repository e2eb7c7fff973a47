"""How adapters act while ComfyUI samples: sites, rows of the batch, regions, windows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import comfy_process

if __name__ == "__main__":
    comfy_process.start(Path(sys.argv[1]), Path(sys.argv[2]))

import torch
from tiny_adapters import SD15, SDXL, tokens
from tiny_graph import KINDS, ODD, assert_close, assert_different, assert_equal, base, counted, known, note, person
from tiny_models import conditioning, sample

from likeness.nodes.attach import attach, window_of
from likeness.pipelines.adapters import application, schedule
from likeness.pipelines.adapters.application import Application
from likeness.pipelines.adapters.family import IdentityTokens
from likeness.pipelines.adapters.injectors import CascadeSite, GatedSelfAttentionSite, KeyValueSite
from likeness.pipelines.adapters.schedule import StepCurve
from likeness.pipelines.errors import InputError


def case_all_16_cross_attentions_of_sd15_are_reached_once_per_call() -> None:
    for kind, site in zip(KINDS, (KeyValueSite, CascadeSite, GatedSelfAttentionSite), strict=True):
        with counted(site, "increment") as counts:
            sample(attach(base("SD1.5"), person(kind)), "SD1.5", steps=3)
        assert len(counts) == 16 and set(counts.values()) == {3}, (kind, counts)


def case_all_70_cross_attentions_of_sdxl_are_reached_once_per_call() -> None:
    with counted(KeyValueSite, "increment") as counts:
        sample(attach(base("SDXL"), person(backbone="SDXL")), "SDXL", steps=2)
    assert len(counts) == 70 and set(counts.values()) == {2}


def case_older_packs_without_the_middle_block_can_be_reproduced() -> None:
    for kind, backbone, reached in (("SD1.5", SD15, 15), ("SDXL", SDXL, 60)):
        middle = frozenset(site.number for site in backbone.sites if site.block == "middle")
        with counted(KeyValueSite, "increment") as counts:
            legacy = sample(attach(base(kind), person(backbone=kind, without=middle)), kind, steps=1)
        assert len(counts) == reached
        assert_different(legacy, sample(attach(base(kind), person(backbone=kind)), kind, steps=1))


def case_the_unconditional_side_reads_its_own_tokens() -> None:
    ours, other = tokens(768, 11), tokens(768, 12)
    mixed = IdentityTokens(ours.cond, other.uncond)

    def run(given: IdentityTokens, cfg: float) -> torch.Tensor:
        return sample(attach(base("SD1.5"), Application(known("key_value"), given)), "SD1.5", cfg=cfg)

    assert_equal(run(ours, 1.0), run(mixed, 1.0))
    assert_different(run(ours, 7.0), run(mixed, 7.0))
    swapped = IdentityTokens(ours.uncond, ours.cond)
    assert_different(run(ours, 7.0), run(swapped, 7.0))


def case_cond_and_uncond_one_after_the_other_give_what_they_give_together() -> None:
    for kind in (*KINDS, "flux"):
        name = "FLUX" if kind == "flux" else "SD1.5"
        model = attach(base(name), person(kind, backbone=name))
        together = sample(model, name, batch=2)
        model.get_free_memory = lambda device: 0  # as a card that is nearly full
        sides = note(model, "cond_or_uncond")
        assert_close(sample(model, name, batch=2), together)
        assert sides == [[1], [0]] * 2 or sides == [[0], [1]] * 2, sides


def case_a_batch_of_two_gives_every_picture_its_identity_at_cfg_1_and_7() -> None:
    for kind in KINDS:
        for cfg in (1.0, 7.0):
            with_it = sample(attach(base("SD1.5"), person(kind)), "SD1.5", batch=2, cfg=cfg, size=ODD)
            without = sample(base("SD1.5"), "SD1.5", batch=2, cfg=cfg, size=ODD)
            for one, other in zip(with_it, without, strict=True):
                assert_different(one, other)


def case_flux_and_sdxl_run_at_odd_sizes_and_batch_two() -> None:
    for kind, cfg in (("FLUX", 1.0), ("FLUX", 7.0), ("SDXL", 7.0)):
        model = attach(base(kind), person(backbone=kind, mask=torch.ones(1, 72, 104)))
        result = sample(model, kind, batch=2, cfg=cfg, size=ODD)
        assert result.shape[0] == 2 and torch.isfinite(result).all()
        assert_different(result, sample(base(kind), kind, batch=2, cfg=cfg, size=ODD))


def case_a_mask_of_ones_is_no_mask_and_one_of_zeros_is_no_adapter_bit_for_bit() -> None:
    for kind in (*KINDS, "flux"):
        name = "FLUX" if kind == "flux" else "SD1.5"
        everywhere = sample(attach(base(name), person(kind, backbone=name)), name, size=ODD)
        ones = person(kind, backbone=name, mask=torch.ones(1, 72, 104))
        zeros = person(kind, backbone=name, mask=torch.zeros(1, 72, 104))
        assert_equal(sample(attach(base(name), ones), name, size=ODD), everywhere)
        assert_equal(sample(attach(base(name), zeros), name, size=ODD), sample(base(name), name, size=ODD))


def case_one_mask_per_picture_of_the_batch_keeps_the_pictures_apart() -> None:
    masks = torch.stack([torch.ones(72, 104), torch.zeros(72, 104)])
    result = sample(attach(base("SD1.5"), person(mask=masks)), "SD1.5", batch=2, size=ODD)
    without = sample(base("SD1.5"), "SD1.5", batch=2, size=ODD)
    assert_equal(result[1], without[1])
    assert_different(result[0], without[0])


def case_a_mask_of_another_shape_or_count_is_refused_with_both_sizes() -> None:
    for mask, said in (
        (torch.ones(1, 64, 64), "64 × 64 px but the picture is 104 × 72"),
        (torch.ones(3, 72, 104), "2 picture"),
    ):
        try:
            sample(attach(base("SD1.5"), person(mask=mask)), "SD1.5", batch=2, size=ODD)
        except InputError as error:
            assert said in str(error), str(error)
        else:
            raise AssertionError("the mask was accepted")


def case_two_people_with_disjoint_regions_do_not_depend_on_their_order() -> None:
    left = torch.zeros(1, 64, 128)
    left[..., :64] = 1
    a, b = person(mask=left), person(seed=12, mask=1 - left)
    one = sample(attach(attach(base("SD1.5"), a), b), "SD1.5", size=(8, 16))
    other = sample(attach(attach(base("SD1.5"), b), a), "SD1.5", size=(8, 16))
    assert_close(one, other)
    assert_different(one, sample(attach(base("SD1.5"), a), "SD1.5", size=(8, 16)))


def case_a_window_of_the_first_half_changes_only_those_steps() -> None:
    assert window_of(base("SD1.5"), 0.0, 1.0).always and window_of(base("SD1.5"), 0.6, 0.4).never
    with counted(KeyValueSite, "increment") as counts:
        sample(attach(base("SD1.5"), person(window=window_of(base("SD1.5"), 0.0, 0.5))), "SD1.5", steps=4)
    assert set(counts.values()) == {2}


def case_a_curve_over_the_steps_follows_the_samplers_own_steps() -> None:
    delayed = person(curve=StepCurve(wait_steps=2))
    with counted(KeyValueSite, "increment") as counts:
        sample(attach(base("SD1.5"), delayed), "SD1.5", steps=5)
    assert set(counts.values()) == {3}
    flat = sample(attach(base("SD1.5"), person(curve=StepCurve(((0.0, 0.5),)))), "SD1.5")
    assert_equal(flat, sample(attach(base("SD1.5"), person(strength=0.4)), "SD1.5"))


def steps_of_calls(sampler: str, start: int = 0) -> list[int]:
    """The step that every call of the model is counted to, of 5 steps; each by a slow twin as well."""
    from nodes import KSamplerAdvanced

    seen: list[int] = []

    def look(sigma: float, sigmas: Any) -> int:
        step = schedule.step_of(sigma, sigmas)
        exact = [i for i in range(len(sigmas) - 1) if sigma <= sigmas[i] * (1 + 1e-6)]
        assert step == exact[-1], (sampler, sigma, sigmas)
        seen.append(step)
        return step

    model = attach(base("SD1.5"), person(curve=StepCurve(((0.0, 0.2), (1.0, 1.0)))))
    latent = {"samples": torch.zeros(1, 4, 4, 4)}
    texts = conditioning(768, 1, pooled=768), conditioning(768, 2, pooled=768)
    application.step_of = look
    try:
        KSamplerAdvanced().sample(
            model, "enable", 1, 5, 1.0, sampler, "normal", *texts, latent, start, 10000, "disable"
        )  # fmt: skip
    finally:
        application.step_of = schedule.step_of
    return seen


def case_samplers_with_two_calls_per_step_count_them_by_their_noise_level() -> None:
    assert steps_of_calls("euler") == [0, 1, 2, 3, 4]
    assert steps_of_calls("dpmpp_2m") == [0, 1, 2, 3, 4]
    # the second call of a Heun step is made at the noise level where the next step begins
    assert steps_of_calls("heun") == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    # these look between two levels; the last step goes to 0 in one call
    for sampler in ("dpm_2", "dpmpp_sde"):
        assert steps_of_calls(sampler) == [0, 0, 1, 1, 2, 2, 3, 3, 4], sampler
    # an ancestral step looks below the level that it ends at
    assert len(steps_of_calls("dpmpp_2s_ancestral")) == 9


def case_a_sampling_that_starts_later_counts_its_own_steps() -> None:
    assert steps_of_calls("euler", start=2) == [0, 1, 2]
    assert steps_of_calls("heun", start=3) == [0, 1, 1]


def for_part(cond: list[Any], area: tuple[int, int, int, int]) -> list[Any]:
    return [[text, {**values, "area": area, "strength": 1.0}] for text, values in cond]


def case_a_prompt_for_a_part_of_the_picture_sees_that_part_of_the_mask() -> None:
    left = torch.zeros(1, 64, 128)
    left[..., :64] = 1
    right = conditioning(768, 3, pooled=768)
    both = for_part(conditioning(768, 1, pooled=768), (8, 8, 0, 0)) + for_part(right, (8, 8, 0, 8))

    def run(mask: torch.Tensor | None, cfg: float = 1.0) -> torch.Tensor:
        model = base("SD1.5") if mask is None else attach(base("SD1.5"), person(mask=mask))
        return sample(model, "SD1.5", positive=both, size=(8, 16), cfg=cfg)

    masked, without, everywhere = run(left), run(None), run(torch.ones(1, 64, 128))
    assert_equal(masked[..., 8:], without[..., 8:])
    assert_equal(masked[..., :8], everywhere[..., :8])
    assert_different(masked[..., :8], without[..., :8])
    assert_different(run(left, cfg=7.0), run(None, cfg=7.0))


if __name__ == "__main__":
    comfy_process.run(globals())
