"""Adapters on whole diffusion models: ComfyUI's model, our attention patches and ComfyUI's patcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...pipelines.adapters import fact, pulid
from ...pipelines.adapters.application import Application
from ...pipelines.adapters.family import Family, IdentityAdapter, IdentityTokens
from ...pipelines.adapters.injectors import CascadeSite
from ...pipelines.adapters.lora import split_lora
from ...pipelines.adapters.sites import SiteState, build_sites, key_value_maker
from ...pipelines.lips.dicetalk.network import split_network
from .comfyui_models import controlnet, flux, predict, start_comfyui, unet, video_unet
from .fixture import Error, Fixture

#: Agreement asked of whole models in float32.
TOLERANCE = 1e-4
#: Agreement of the models without any adapter: then differences are the adapter's.
PLAIN_TOLERANCE = 1e-5


def _no_family(name: str) -> Family:
    def build(family: Family, claims: Any) -> IdentityAdapter:
        raise TypeError(f"{family.name} is built from a parity file")

    return Family(name, name, lambda checkpoint: False, build)


def adapter_of(fixture: Fixture, prefix: str, make: Callable[[SiteState], nn.Module], name: str) -> IdentityAdapter:
    """The file's adapter without its projector: the tokens are given."""
    lora, layers = split_lora(fixture.part(prefix, "adapter_shapes"))
    backbone, sites = build_sites(layers, make, name)
    return IdentityAdapter(_no_family(name), name, backbone.name, nn.Identity(), sites, lora)


def tokens_of(tokens: Tensor) -> IdentityTokens:
    """A file's tokens (2, T, width): the first row as the conditional, the second as the unconditional side."""
    return IdentityTokens(tokens[:1], tokens[1:])


def apply(model: Any, adapter: IdentityAdapter, tokens: Tensor, strength: float, **dials: Any) -> Any:
    """The model with the file's adapter and its LoRA at full strength."""
    from ...nodes.attach import attach, attach_weights

    lora = dials.pop("lora", 1.0)
    return attach(attach_weights(model, adapter, lora), Application(adapter, tokens_of(tokens), strength, **dials))


def _errors(fixture: Fixture, model: Any, outputs: Mapping[str, Tensor], plain: str = "eps_plain") -> list[Error]:
    base = fixture.compare({plain: predict(model, fixture)}, PLAIN_TOLERANCE)
    return base + fixture.compare(outputs, TOLERANCE)


def _with_lora(path: Path, prefix: str) -> list[Error]:
    start_comfyui()
    f = Fixture(path)
    model, adapter = unet(f), adapter_of(f, prefix, key_value_maker("to_k_ip", "to_v_ip"), path.name)
    outputs: dict[str, Tensor] = {}
    for name in (name.removeprefix("out.") for name in f.tensors if name.startswith("out.eps_weight_")):
        strength, _, change = name.removeprefix("eps_weight_").partition("_lora_")
        attached = apply(model, adapter, f["in.tokens"], float(strength), lora=float(change or 1.0))
        outputs[name] = predict(attached, f)
    return _errors(f, model, outputs)


def sd15_faceid_unet(path: Path) -> list[Error]:
    return _with_lora(path, "ip_adapter.")


def sd15_consistentid_unet(path: Path) -> list[Error]:
    return _with_lora(path, "adapter_modules.")


def sdxl_instantid_unet(path: Path) -> list[Error]:
    start_comfyui()
    from ...nodes.identity_control import IdentityControlNet

    f = Fixture(path)
    model = unet(f)
    adapter = adapter_of(f, "ip_adapter.", key_value_maker("to_k_ip", "to_v_ip"), path.name)
    net = IdentityControlNet.of(controlnet(f), tokens_of(f["in.tokens"]))
    net.set_cond_hint(f["in.hint"], 0.8)
    outputs: dict[str, Tensor] = {}
    for strength in (0.0, 0.8):
        attached = apply(model, adapter, f["in.tokens"], strength)
        outputs[f"eps_weight_{strength}"] = predict(attached, f)
        outputs[f"eps_weight_{strength}_control_0.8"] = predict(attached, f, net)
    return _errors(f, model, outputs)


def sdxl_pulid_unet(path: Path) -> list[Error]:
    start_comfyui()
    f = Fixture(path)
    model = unet(f)
    adapter = adapter_of(f, "id_adapter_attn_layers.", key_value_maker("id_to_k", "id_to_v"), path.name)
    outputs: dict[str, Tensor] = {}
    for style in ("plain", "ortho", "ortho_v2"):
        for zeros in (0, 8):
            tokens = torch.cat([f["in.tokens"], torch.zeros_like(f["in.tokens"][:, :zeros])], dim=1)
            name = f"eps_{'none' if style == 'plain' else style}_zero{zeros}_0.8"
            outputs[name] = predict(apply(model, adapter, tokens, 0.8, style=style), f)
    return _errors(f, model, outputs)


def sd15_masterweaver_unet(path: Path) -> list[Error]:
    start_comfyui()
    f = Fixture(path)
    model = unet(f)
    adapter = adapter_of(f, "adapter_modules.", key_value_maker("to_k_img", "to_v_img"), path.name)
    tokens = f["in.tokens"]
    outputs = {f"eps_weight_{s}": predict(apply(model, adapter, tokens, s), f) for s in (0.0, 0.7, 1.0)}
    outputs["eps_weight_1.0_16tokens"] = predict(apply(model, adapter, tokens[:, :16], 1.0), f)
    return _errors(f, model, outputs)


def _cascade(state: SiteState) -> nn.Module:
    width, context = state["to_k_wplus.weight"].shape
    return CascadeSite(width, context)


def sd15_wplus_unet(path: Path) -> list[Error]:
    start_comfyui()
    f = Fixture(path)
    model, adapter = unet(f), adapter_of(f, "wplus_adapter.", _cascade, path.name)
    outputs = {f"eps_weight_{s}": predict(apply(model, adapter, f["in.tokens"], s), f) for s in (0.0, 0.6, 1.0)}
    outputs["eps_weight_1.0_uncond_tokens"] = predict(apply(model, adapter, f["in.uncond_tokens"], 1.0), f)
    return _errors(f, model, outputs)


def sd15_fact_unet(path: Path) -> list[Error]:
    start_comfyui()
    f = Fixture(path)
    tensors = f.weights("adapter_shapes")
    for kind in ("alpha_attn", "alpha_dense"):
        tensors |= {f"{name}.{kind}": a for name, a in zip(f.config["alpha_order"], f[f"in.{kind}"], strict=True)}
    layers, _ = fact.split_processors(tensors)
    backbone, sites = build_sites(layers, fact.make_site, path.name)
    adapter = IdentityAdapter(_no_family("fact"), path.name, backbone.name, nn.Identity(), sites)
    model, per_photo = unet(f), f.config["tokens_per_photo"]
    outputs = {
        f"eps_photos{photos}_weight_{strength}": predict(
            apply(model, adapter, f["in.tokens"][:, : photos * per_photo], strength), f
        )
        for photos, strength in ((1, 0.0), (1, 0.5), (1, 1.0), (2, 1.0))
    }
    return _errors(f, model, outputs)


def flux_pulid(path: Path) -> list[Error]:
    start_comfyui()
    f = Fixture(path)
    sites = pulid.build_flux_sites(
        f.part("pulid_ca.", "adapter_shapes"), path.name, head_width=f.config["pulid_ca"]["dim_head"]
    )
    adapter = IdentityAdapter(_no_family("pulid_flux"), path.name, "FLUX", nn.Identity(), sites)
    model, tokens = flux(f), f["in.id_tokens"]
    outputs = {f"pred_id_{s}": predict(apply(model, adapter, tokens, s), f) for s in (0.6, 1.0)}
    outputs["pred_id_zero_tokens"] = predict(apply(model, adapter, torch.zeros_like(tokens), 1.0), f)
    return _errors(f, model, outputs, "pred_plain_comfy")


def dice_talk_unet(path: Path) -> list[Error]:
    """Rows are (nothing, the picture, what is said) x frames; the last quantity is the two-scale guidance of them."""
    start_comfyui()
    import comfy.model_management
    from comfy.ldm.modules.diffusionmodules.util import timestep_embedding

    from ...nodes.attach import attach_talk, with_talk_weights
    from ...nodes.talk_readers import TalkReaders

    f = Fixture(path)
    network, frames = split_network(f.weights(), path.name), f.config["frames"]
    model, held = with_talk_weights(video_unet(f), network, path.name)
    rows = [f["in.image"][:, None].expand(-1, frames, -1, -1), f["in.audio"]]
    rows.append(f["in.emotion"][:, None].expand(-1, frames, -1, -1))
    inputs = {
        "context": torch.cat(rows, 2).flatten(0, 1),
        "y": torch.stack([timestep_embedding(ids, 256).flatten() for ids in f["in.added_ids"]]).repeat_interleave(
            frames, 0
        ),
        "num_video_frames": frames,
    }

    @torch.inference_mode()
    def predict(scales: tuple[float, float]) -> Tensor:
        attached = attach_talk(model, TalkReaders(network.readers, scales, f["in.guide"], f["in.mask"], held))
        comfy.model_management.load_models_gpu([attached, held])
        options = dict(attached.model_options["transformer_options"])
        times = f["in.timestep"].expand(len(f["in.latent"]))
        return attached.model.diffusion_model(f["in.latent"], times, transformer_options=options, **inputs)

    whole = predict(tuple(f.config["scales"]))
    nothing, picture, said = whole.unflatten(0, (3, frames))
    outputs = {
        "pred": whole,
        "pred_sound_0.5_emotion_0.0": predict((0.5, 0.0)),
        "guided_g1_3_g2_6": nothing + 3 * (picture - nothing) + 6 * (said - picture),
    }
    return f.compare(outputs, TOLERANCE)


#: Every file of this kind → its check.
UNET_CHECKS: Mapping[str, Callable[[Path], list[Error]]] = {
    check.__name__: check
    for check in (
        sd15_faceid_unet, sdxl_instantid_unet, sdxl_pulid_unet, sd15_consistentid_unet, sd15_masterweaver_unet,
        sd15_fact_unet, sd15_wplus_unet, flux_pulid, dice_talk_unet,
    )
}  # fmt: skip
