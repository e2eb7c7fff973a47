"""The same adapters on diffusers models give what the published implementations gave."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from likeness.cli.parity.fixture import Fixture
from likeness.pipelines.adapters import fact, pulid
from likeness.pipelines.adapters.application import Application, Window
from likeness.pipelines.adapters.diffusers_changes import attach_weights
from likeness.pipelines.adapters.diffusers_host import UNGUIDED, attach, discrete_sigma
from likeness.pipelines.adapters.family import Family, IdentityAdapter, IdentityTokens
from likeness.pipelines.adapters.injectors import CascadeSite
from likeness.pipelines.adapters.lora import split_lora
from likeness.pipelines.adapters.sites import SiteState, build_sites, key_value_maker
from likeness.pipelines.errors import InputError
from likeness.tests.adapters.diffusers_models import flux, predict, predict_flux, unet

pytest.importorskip("diffusers")
FIXTURES = Path(__file__).parents[1] / "parity" / "fixtures"
#: Agreement asked of whole models in float32.
TOLERANCE = 1e-4


@cache
def fixture(name: str) -> Fixture:
    return Fixture(FIXTURES / f"{name}.safetensors")


@cache
def model(name: str) -> Any:
    return flux(fixture(name)) if name == "flux_pulid" else unet(fixture(name))


def no_family(name: str) -> Family:
    def build(family: Family, claims: Any) -> IdentityAdapter:
        raise TypeError(f"{family.name} is built from a parity file")

    return Family(name, name, lambda checkpoint: False, build)


def cascade(state: SiteState) -> nn.Module:
    width, context = state["to_k_wplus.weight"].shape
    return CascadeSite(width, context)


MAKERS: dict[str, tuple[str, Callable[[SiteState], nn.Module]]] = {
    "sd15_faceid_unet": ("ip_adapter.", key_value_maker("to_k_ip", "to_v_ip")),
    "sd15_consistentid_unet": ("adapter_modules.", key_value_maker("to_k_ip", "to_v_ip")),
    "sd15_masterweaver_unet": ("adapter_modules.", key_value_maker("to_k_img", "to_v_img")),
    "sd15_wplus_unet": ("wplus_adapter.", cascade),
    "sdxl_instantid_unet": ("ip_adapter.", key_value_maker("to_k_ip", "to_v_ip")),
    "sdxl_pulid_unet": ("id_adapter_attn_layers.", key_value_maker("id_to_k", "id_to_v")),
}


@cache
def adapter(name: str) -> IdentityAdapter:
    f = fixture(name)
    lora: Any = {}
    if name == "flux_pulid":
        width = f.config["pulid_ca"]["dim_head"]
        backbone, sites = "FLUX", pulid.build_flux_sites(f.part("pulid_ca.", "adapter_shapes"), name, width)
    elif name == "sd15_fact_unet":
        tensors = f.weights("adapter_shapes")
        for kind in ("alpha_attn", "alpha_dense"):
            tensors |= {f"{p}.{kind}": a for p, a in zip(f.config["alpha_order"], f[f"in.{kind}"], strict=True)}
        found, sites = build_sites(fact.split_processors(tensors)[0], fact.make_site, name)
        backbone = found.name
    else:
        prefix, make = MAKERS[name]
        lora, layers = split_lora(f.part(prefix, "adapter_shapes"))
        found, sites = build_sites(layers, make, name)
        backbone = found.name
    return IdentityAdapter(no_family(name), name, backbone, nn.Identity(), sites, lora)


def application(name: str, tokens: Tensor, strength: float, **dials: Any) -> Application:
    """A file's tokens (2, T, width): the first row as the conditional, the second as the unconditional side."""
    return Application(adapter(name), IdentityTokens(tokens[:1], tokens[1:]), strength, **dials)


def run(name: str, tokens: Tensor, strength: float, lora: float = 1.0, **dials: Any) -> Tensor:
    host = model(name)
    weights = attach_weights(host, adapter(name), lora)
    attached = attach(host, [application(name, tokens, strength, **dials)], sides=(0, 1))
    try:
        return (predict_flux if name == "flux_pulid" else predict)(host, fixture(name))
    finally:
        attached.remove()
        for handle in weights:
            handle.remove()


def assert_parity(name: str, outputs: dict[str, Tensor]) -> None:
    errors = fixture(name).compare(outputs, TOLERANCE)
    assert errors
    assert [error for error in errors if not error.passed] == []


@pytest.mark.parametrize("name", ("sd15_faceid_unet", "sdxl_instantid_unet"))
def test_the_converted_model_alone_equals_the_reference(name: str) -> None:
    assert_parity(name, {"eps_plain": predict(model(name), fixture(name))})


@pytest.mark.parametrize("name", MAKERS)
def test_attention_adapters_equal_the_reference_on_a_diffusers_unet(name: str) -> None:
    f = fixture(name)
    tokens, outputs = f["in.tokens"], {}
    for key in (key.removeprefix("out.") for key in f.tensors if key.startswith("out.eps_weight_")):
        strength, _, rest = key.removeprefix("eps_weight_").partition("_")
        if rest.startswith("lora_"):
            outputs[key] = run(name, tokens, float(strength), lora=float(rest.removeprefix("lora_")))
        elif rest == "16tokens":
            outputs[key] = run(name, tokens[:, :16], float(strength))
        elif rest == "uncond_tokens":
            outputs[key] = run(name, f["in.uncond_tokens"], float(strength))
        elif not rest:
            outputs[key] = run(name, tokens, float(strength))
    for style in ("none", "ortho", "ortho_v2"):
        for zeros in (0, 8):
            key = f"eps_{style}_zero{zeros}_0.8"
            if f"out.{key}" in f.tensors:
                padded = torch.cat([tokens, torch.zeros_like(tokens[:, :zeros])], dim=1)
                outputs[key] = run(name, padded, 0.8, style=style.replace("none", "plain"))
    assert_parity(name, outputs)


def test_the_gated_self_attention_equals_the_reference_on_a_diffusers_unet() -> None:
    name = "sd15_fact_unet"
    tokens = fixture(name)["in.tokens"]
    cases = ((1, 0.0), (1, 0.5), (1, 1.0), (2, 1.0))
    assert_parity(name, {f"eps_photos{p}_weight_{s}": run(name, tokens[:, : 16 * p], s) for p, s in cases})


def test_pulid_equals_the_reference_on_a_diffusers_flux_transformer() -> None:
    name = "flux_pulid"
    tokens = fixture(name)["in.id_tokens"]
    outputs = {f"pred_id_{s}": run(name, tokens, s) for s in (0.6, 1.0)}
    outputs["pred_plain"] = predict_flux(model(name), fixture(name))
    outputs["pred_id_zero_tokens"] = run(name, torch.zeros_like(tokens), 1.0)
    assert_parity(name, outputs)


def test_a_removed_adapter_leaves_the_model_bit_for_bit_as_it_was() -> None:
    name = "sd15_fact_unet"
    before = predict(model(name), fixture(name))
    changed = run(name, fixture(name)["in.tokens"], 1.0)
    assert (changed - before).abs().max() > 1e-2
    assert torch.equal(predict(model(name), fixture(name)), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model(name).modules())


def test_a_region_of_ones_equals_no_region_and_an_empty_one_the_plain_model() -> None:
    for name, plain in (("sd15_masterweaver_unet", "eps_plain"), ("flux_pulid", "pred_plain")):
        f = fixture(name)
        tokens = f["in.id_tokens" if name == "flux_pulid" else "in.tokens"]
        height, width = f["in.latent"].shape[-2:]
        everywhere = run(name, tokens, 1.0, mask=torch.ones(1, 8 * height, 8 * width))
        torch.testing.assert_close(everywhere, run(name, tokens, 1.0), atol=1e-6, rtol=0)
        nowhere = run(name, tokens, 1.0, mask=torch.zeros(1, 8 * height, 8 * width))
        assert (nowhere - f[f"out.{plain}"]).abs().max() < 1e-5


def test_a_window_is_open_at_the_sigmas_of_its_timesteps_only() -> None:
    name = "sd15_masterweaver_unet"
    f, host = fixture(name), model(name)
    alphas = torch.linspace(0.999, 0.01, 1000)
    sigma_of = discrete_sigma(alphas)
    now = sigma_of(float(f["in.timestep"][0]))
    for window, acts in ((Window(2 * now, now / 2), True), (Window(now / 2, 0.0), False)):
        attached = attach(host, [application(name, f["in.tokens"], 1.0, window=window)], (0, 1), sigma_of)
        out = predict(host, f)
        attached.remove()
        assert bool((out - predict(host, f)).abs().max() > 1e-3) == acts
    attached = attach(host, [application(name, f["in.tokens"], 1.0, window=Window(now, now / 2))], (0, 1))
    with pytest.raises(InputError, match="discrete_sigma"):
        predict(host, f)
    attached.remove()


def test_a_batch_that_cannot_be_divided_among_the_sides_is_refused() -> None:
    name = "sd15_masterweaver_unet"
    attached = attach(model(name), [application(name, fixture(name)["in.tokens"], 1.0)], sides=(1, 0, 0))
    with pytest.raises(InputError, match="batch of 2.*3 sides"):
        predict(model(name), fixture(name))
    attached.remove()


def test_adapters_for_another_model_are_refused_with_its_name() -> None:
    tokens = fixture("sdxl_instantid_unet")["in.tokens"]
    for host, name in (("sd15_faceid_unet", "sdxl_instantid_unet"), ("sd15_faceid_unet", "flux_pulid")):
        with pytest.raises(InputError, match="made for"):
            attach(model(host), [application(name, tokens, 1.0)], UNGUIDED)
    with pytest.raises(InputError, match="FLUX"):
        attach(model("flux_pulid"), [application("sdxl_instantid_unet", tokens, 1.0)], UNGUIDED)
