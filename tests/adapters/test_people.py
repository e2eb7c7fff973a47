"""An adapter on several people: tokens, styles, regions, blocks, noise, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from likeness.pipelines.adapters.application import Window
from likeness.pipelines.adapters.control import control_picture, control_tokens
from likeness.pipelines.adapters.features import Sources
from likeness.pipelines.adapters.layout import PeopleRegions
from likeness.pipelines.adapters.library import LoadedAdapter, describe_adapter, load_shared
from likeness.pipelines.adapters.people import (
    ModelDials,
    TokenDials,
    apply_people,
    block_factors,
    joined_masks,
    middle_sites,
    people_of,
    person_tokens,
    style_of,
)
from likeness.pipelines.adapters.point_picture import draw_point_picture
from likeness.pipelines.adapters.schedule import StepCurve, curve_of, describe_curve, parse_knots
from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face, Faces, as_float_array
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.adapters.sample_people import landmarks, somebody
from likeness.tests.adapters.test_features import Vision
from likeness.tests.adapters.test_features import registry as registry_with_eva  # noqa: F401 - a fixture
from likeness.tests.adapters.tiny_files import write_files

ANTELOPE, BUFFALO = "arcface_glintr100", "arcface_w600k_r50"
FILES = {
    "instantid": "instantid/ip-adapter.bin",
    "faceid": "ipadapter/ip-adapter-faceid_sd15.bin",
    "plusv2": "ipadapter/ip-adapter-faceid-plusv2_sd15.bin",
    "pulid": "pulid/pulid_v1.1.safetensors",
    "flux": "pulid/pulid_flux_v0.9.1.safetensors",
    "photomaker": "photomaker/photomaker-v1.bin",
    "masterweaver": "masterweaver/adapter_final.pt",
}
EVERYBODY = PeopleRegions((somebody(encoders=(ANTELOPE, BUFFALO)),))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_files(folder, tuple(FILES.values()))
    return folder


@pytest.fixture
def registry(registry_with_eva: Registry) -> Registry:  # noqa: F811
    return registry_with_eva


def loaded(registry: Registry, models: Path, name: str) -> LoadedAdapter:
    return load_shared(registry, models / FILES[name])


def test_one_file_is_loaded_once_and_forgotten_when_nobody_holds_it(models: Path) -> None:
    registry = Registry(TorchRuntime())
    first, second = (loaded(registry, models, "faceid") for _ in range(2))
    assert first.adapter is second.adapter and first.handle is second.handle
    assert load_shared(registry, models / FILES["faceid"], "faceid").adapter is not first.adapter
    weight = next(first.adapter.projector.parameters())
    assert weight.dtype == torch.float32 and not weight.requires_grad
    assert len(registry._handles) == 1
    del first, second
    assert len(registry._handles) == 0


def test_the_description_says_model_recogniser_and_vision_model(registry: Registry, models: Path) -> None:
    text = describe_adapter(loaded(registry, models, "plusv2").adapter)
    assert "Plus v2, for SD1.5; acts on 16 places" in text
    assert f"unit vector of {BUFFALO}" in text and "clip_vit_h" in text and "a LoRA" in text


def test_pulid_for_sdxl_gets_its_fidelity_mode_and_others_are_plain(registry: Registry, models: Path) -> None:
    pulid, flux = (loaded(registry, models, name).adapter for name in ("pulid", "flux"))
    assert style_of(pulid, TokenDials()) == ("ortho_v2", 8)
    assert style_of(pulid, TokenDials(style="ortho")) == ("ortho", 16)
    assert style_of(pulid, TokenDials(style="plain")) == ("plain", 0)
    assert style_of(pulid, TokenDials(zero_tokens=3)) == ("ortho_v2", 3)
    assert style_of(flux, TokenDials()) == ("plain", 0)
    with pytest.raises(InputError, match="no style 'ortho'"):
        style_of(flux, TokenDials(style="ortho"))


def test_zero_tokens_come_behind_the_identitys_on_both_sides(registry: Registry, models: Path) -> None:
    adapter, person = loaded(registry, models, "instantid"), EVERYBODY.people[0]
    tokens, text = person_tokens(adapter, person, Sources(registry), TokenDials(zero_tokens=2))
    assert tokens.cond.shape == tokens.uncond.shape == (1, 18, 2048)
    assert tokens.cond[:, 16:].abs().max() == 0 and tokens.cond[:, :16].abs().min() > 0
    assert text.endswith("18 tokens (2 of them zero)")


def test_noise_has_a_generator_of_its_own_and_changes_the_unconditional_side_only(
    registry: Registry, models: Path
) -> None:
    adapter, person = loaded(registry, models, "instantid"), EVERYBODY.people[0]
    before = torch.random.get_rng_state()
    plain, a, again, b = (
        person_tokens(adapter, person, Sources(registry), TokenDials(noise=noise, seed=seed))[0]
        for noise, seed in ((0.0, 0), (0.35, 1), (0.35, 1), (0.35, 2))
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(plain.cond, a.cond) and not torch.equal(plain.uncond, a.uncond)
    assert torch.equal(a.uncond, again.uncond) and not torch.equal(a.uncond, b.uncond)


def test_noise_is_refused_where_there_is_no_vector_to_put_it_into(registry: Registry, models: Path) -> None:
    adapter = loaded(registry, models, "masterweaver")
    with pytest.raises(InputError, match="MasterWeaver reads pictures, not a vector"):
        person_tokens(adapter, EVERYBODY.people[0], Sources(registry, Vision(1024)), TokenDials(noise=0.35))


def test_strength_0_and_a_window_that_never_opens_need_nothing_and_do_nothing(registry: Registry, models: Path) -> None:
    adapter, stranger = loaded(registry, models, "instantid"), PeopleRegions((somebody(),))
    for dials in (ModelDials(strength=0), ModelDials(window=Window(0.0, 1.0))):
        made, text = apply_people(adapter, stranger, Sources(registry), TokenDials(), dials)
        assert made == () and "passes unchanged" in text


def test_the_report_says_what_is_reached_for_whom_and_where(registry: Registry, models: Path) -> None:
    masks = torch.zeros(2, 8, 8)
    masks[0, :, :4], masks[1, :, 4:] = 1, 1
    people = PeopleRegions(tuple(somebody(name, encoders=(ANTELOPE,)) for name in ("Ada", "Bob")), masks)
    dials = ModelDials(0.7, blocks={"middle": 0.5}, skip_middle=True)
    made, text = apply_people(loaded(registry, models, "instantid"), people, Sources(registry), TokenDials(), dials)
    assert len(made) == 2 and made[0].mask is not None and torch.equal(made[0].mask, masks[:1])
    assert len(made[0].sites) == 60 and made[0].group_strengths == {"middle": 0.5}
    lines = text.splitlines()
    assert "on 60 of 70 attentions of SDXL, strength 0.7, style plain, blocks middle × 0.5" in lines[0]
    assert lines[1].startswith("Ada: 2 reference(s), raw vector") and lines[1].endswith("on 50 % of the picture")


def test_blocks_have_the_names_that_comfyui_groups_sites_by(registry: Registry, models: Path) -> None:
    unet, flux = (loaded(registry, models, name).adapter for name in ("instantid", "flux"))
    assert block_factors(unet, {"input": 2.0}) == {"input": 2.0}
    assert block_factors(flux, {"double": 0.5, "single": 1}) == {"double_block": 0.5, "single_block": 1}
    with pytest.raises(InputError, match="blocks are double, single, not input"):
        block_factors(flux, {"input": 1.0})
    assert len(middle_sites(unet)) == 10 and not middle_sites(flux)


def test_a_persons_region_is_cut_by_the_mask_for_all() -> None:
    left, top = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    left[..., :2], top[:, :2] = 1, 1
    both = joined_masks(left, top)
    assert both is not None and both.sum() == 4
    assert joined_masks(None, top) is top and joined_masks(None, None) is None
    with pytest.raises(InputError, match="8 × 8 px, the regions are 4 × 4"):
        joined_masks(left, torch.ones(1, 8, 8))


def test_people_come_by_identities_or_by_regions_and_not_by_both() -> None:
    assert people_of([somebody()], None).masks is None
    assert people_of([], EVERYBODY) is EVERYBODY
    with pytest.raises(InputError, match="disconnect the identities"):
        people_of([somebody()], EVERYBODY)


def test_nobody_is_refused_and_a_prompt_family_only_gives_its_lora(registry: Registry, models: Path) -> None:
    with pytest.raises(InputError, match="nobody"):
        apply_people(
            loaded(registry, models, "instantid"), PeopleRegions(()), Sources(registry), TokenDials(), ModelDials()
        )
    photomaker = loaded(registry, models, "photomaker")
    made, text = apply_people(photomaker, PeopleRegions(()), Sources(registry), TokenDials(), ModelDials())
    assert made == () and "its LoRA at 1" in text
    bare = replace(photomaker.adapter, named_lora={})
    without = LoadedAdapter(replace_adapter(photomaker, bare), registry.runtime)
    with pytest.raises(InputError, match="use Identity Conditioning"):
        apply_people(without, EVERYBODY, Sources(registry), TokenDials(), ModelDials())


def replace_adapter(adapter: LoadedAdapter, other: object) -> object:
    module = type(adapter.handle.module)(adapter.adapter)
    module.adapter = other
    return TorchRuntime().hold(module)


def face() -> Face:
    points = as_float_array(landmarks()[[468, 473, 4, 61, 291], :2])
    return Face(as_float_array(torch.tensor([150.0, 150, 360, 450]).numpy()), 0.9, points)


def test_identity_control_draws_the_first_picture_that_has_faces() -> None:
    picture, text = control_picture(Faces(((), (face(),)), 512, 640), None)
    assert torch.equal(picture[0], draw_point_picture([face().landmarks5], 512, 640))
    assert text == "1 face(s) drawn on 640 × 512 px"
    given = torch.rand(1, 64, 96, 3)
    assert control_picture(None, given)[0] is given or torch.equal(control_picture(None, given)[0], given)


def test_identity_control_needs_faces_or_a_picture_and_an_instantid_adapter(registry: Registry, models: Path) -> None:
    for faces, picture in ((None, None), (Faces(((face(),),), 512, 512), torch.rand(1, 64, 64, 3))):
        with pytest.raises(InputError, match="either faces"):
            control_picture(faces, picture)
    with pytest.raises(FaceNotFoundError):
        control_picture(Faces(((),), 512, 512), None)
    with pytest.raises(InputError, match="FaceID has no IdentityNet"):
        control_tokens(loaded(registry, models, "faceid"), EVERYBODY.people[0], Sources(registry), TokenDials())


def test_a_curve_is_spelt_as_fractions_and_factors() -> None:
    assert parse_knots("0: 1, 0.5: 0.25\n1:0") == ((0.0, 1.0), (0.5, 0.25), (1.0, 0.0))
    for broken in ("", "1", "0: a", "0: nan", "0: 1: 2"):
        with pytest.raises(InputError):
            parse_knots(broken)
    with pytest.raises(InputError, match="ascending"):
        curve_of("points", 0, points="0.5: 1, 0.2: 0")


def test_ready_made_curves_have_their_lowest_factor_where_their_name_says() -> None:
    factors = {
        name: [round(curve_of(name, 0, 0.2).factor(step, 3), 3) for step in range(3)]
        for name in ("constant", "fade in", "fade out", "strongest in the middle")
    }
    assert factors == {
        "constant": [1, 1, 1],
        "fade in": [0.2, 0.6, 1],
        "fade out": [1, 0.6, 0.2],
        "strongest in the middle": [0.2, 1, 0.2],
    }
    assert describe_curve(StepCurve(wait_steps=1), 3).endswith("0.00 1.00 1.00")
    with pytest.raises(InputError, match="'wobble'"):
        curve_of("wobble", 0)
