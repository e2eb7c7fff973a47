"""How families turn what is known of a person into tokens; the traps that load without an error."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from likeness.pipelines.adapters import faceid, pulid
from likeness.pipelines.adapters.arc2face import padded_vector, replace_id_token
from likeness.pipelines.adapters.families import FAMILIES
from likeness.pipelines.adapters.family import Family, Features, IdentityAdapter, TokenOptions, make_tokens
from likeness.pipelines.adapters.fuse import FuseModule
from likeness.pipelines.adapters.masterweaver import MASTERWEAVER, SingleResidualResampler
from likeness.pipelines.adapters.perceiver import Perceiver, Resampler
from likeness.pipelines.adapters.schedule import StepCurve, step_of, text_steps
from likeness.pipelines.adapters.stableidentity import NameSpaceProjector, place_tokens
from likeness.pipelines.adapters.wplus import WPLUS, CodeTokens
from likeness.pipelines.errors import InputError

SIZES = {"dim": 32, "depth": 2, "inner": 32, "heads": 2, "embedding": 24, "output": 32, "ff": 64}


def filled(module: nn.Module, seed: int = 3) -> nn.Module:
    random = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        scale = parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.3
        parameter.data.copy_(torch.randn(parameter.shape, generator=random) * scale)
    return module.eval().requires_grad_(False)


def adapter(family: Family, projector: nn.Module) -> IdentityAdapter:
    return IdentityAdapter(family, "file.bin", "SD1.5", filled(projector))


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def vectors(tokens: int = 4) -> nn.Module:
    return faceid.VectorTokens(512, 64, tokens, 32)


def pictures() -> nn.Module:
    return faceid.VectorAndPictureTokens(512, 64, 4, 32, Perceiver(**SIZES))


PLUS = Features(vectors=numbers(2, 512), vision=numbers(2, 5, 24, seed=2), blank=numbers(1, 5, 24, seed=3))


def test_the_unconditional_side_is_the_projection_of_a_zero_vector_and_not_zero_tokens() -> None:
    made = adapter(faceid.PLAIN, vectors())
    tokens = make_tokens(made, Features(vectors=numbers(1, 512)))
    assert torch.equal(tokens.uncond, made.projector(torch.zeros(1, 512)))
    assert tokens.uncond.abs().max() > 0.1


def test_noise_takes_the_place_of_the_zero_vector_on_the_unconditional_side_only() -> None:
    made, noise = adapter(faceid.PLAIN, vectors()), numbers(1, 512, seed=9)
    tokens = make_tokens(made, Features(vectors=numbers(1, 512)), TokenOptions(uncond_vector=noise))
    assert torch.equal(tokens.uncond, made.projector(noise))
    assert torch.equal(tokens.cond, make_tokens(made, Features(vectors=numbers(1, 512))).cond)


def test_several_references_average_their_vectors_by_weight_in_plain_faceid() -> None:
    made, photos = adapter(faceid.PLAIN, vectors()), numbers(2, 512)
    weights = torch.tensor([0.75, 0.25])
    tokens = make_tokens(made, Features(vectors=photos, weights=weights))
    torch.testing.assert_close(tokens.cond, made.projector(0.75 * photos[:1] + 0.25 * photos[1:]))


def test_portrait_joins_16_tokens_per_reference_on_both_sides() -> None:
    made = adapter(faceid.PORTRAIT, vectors(16))
    tokens = make_tokens(made, Features(vectors=numbers(5, 512)))
    assert tokens.cond.shape == tokens.uncond.shape == (1, 80, 32)
    torch.testing.assert_close(tokens.cond[:, 16:32], made.projector(numbers(5, 512)[1:2]))


def test_plus_keeps_what_was_read_and_plus_v2_adds_it_to_the_vectors_tokens() -> None:
    plus, v2 = (adapter(family, pictures()) for family in (faceid.PLUS, faceid.PLUS_V2))
    one = Features(vectors=PLUS.vectors[:1], vision=PLUS.vision[:1], blank=PLUS.blank)
    own, read = plus.projector.parts(one.vectors, one.vision)
    torch.testing.assert_close(make_tokens(plus, one).cond, read)
    torch.testing.assert_close(make_tokens(v2, one).cond, own + read)
    torch.testing.assert_close(make_tokens(v2, one, TokenOptions(structure=0.4)).cond, own + 0.4 * read)


def test_plus_reads_the_encoded_zero_picture_on_the_unconditional_side_and_not_zeros() -> None:
    made = adapter(faceid.PLUS, pictures())
    tokens = make_tokens(made, PLUS)
    torch.testing.assert_close(tokens.uncond, made.projector.plus(torch.zeros(1, 512), PLUS.blank))
    zeros = made.projector.plus(torch.zeros(1, 512), torch.zeros(1, 5, 24))
    assert (tokens.uncond - zeros).abs().max() > 1e-3


def test_every_combine_mode_of_equal_references_gives_the_tokens_of_one() -> None:
    made = adapter(faceid.PLUS, pictures())
    once = Features(vectors=PLUS.vectors[:1], vision=PLUS.vision[:1], blank=PLUS.blank)
    twice = Features(vectors=PLUS.vectors[:1].repeat(2, 1), vision=PLUS.vision[:1].repeat(2, 1, 1), blank=PLUS.blank)
    one = make_tokens(made, once).cond
    for mode in ("mean vector", "mean tokens"):
        torch.testing.assert_close(make_tokens(made, twice, TokenOptions(combine=mode)).cond, one)
    joined = make_tokens(made, twice, TokenOptions(combine="join tokens")).cond
    torch.testing.assert_close(joined, one.repeat(1, 2, 1))


def test_a_missing_feature_or_an_unknown_combine_mode_is_named() -> None:
    made = adapter(faceid.PLUS, pictures())
    with pytest.raises(InputError, match="vision model"):
        make_tokens(made, Features(vectors=numbers(1, 512)))
    with pytest.raises(InputError, match="'average'.*mean vector"):
        make_tokens(made, PLUS, TokenOptions(combine="average"))
    with pytest.raises(InputError, match="Identity Conditioning"):
        make_tokens(adapter(next(f for f in FAMILIES if f.tokens is None), vectors()), PLUS)


def test_features_follow_the_projector_to_its_dtype() -> None:
    made = adapter(faceid.PLAIN, vectors().double())
    assert make_tokens(made, Features(vectors=numbers(1, 512))).cond.dtype == torch.float64


def test_masterweaver_fills_empty_slots_with_tokens_of_a_zero_picture() -> None:
    made = adapter(MASTERWEAVER, SingleResidualResampler(queries=16, head_width=16, **SIZES))
    tokens = make_tokens(made, Features(vision=numbers(2, 5, 24), blank=numbers(1, 5, 24, seed=4)))
    blank = made.projector(numbers(1, 5, 24, seed=4))
    assert tokens.cond.shape == (1, 48, 32)
    torch.testing.assert_close(tokens.cond[:, 32:], blank)
    torch.testing.assert_close(tokens.uncond, blank.repeat(1, 3, 1))
    with pytest.raises(InputError, match="3 slots and 4"):
        make_tokens(made, Features(vision=numbers(4, 5, 24), blank=numbers(1, 5, 24)))


def test_masterweavers_resampler_has_one_residual_per_layer_and_is_not_the_shared_one() -> None:
    own = filled(SingleResidualResampler(queries=16, head_width=16, **SIZES))
    shared = Resampler(queries=16, **SIZES)
    shared.load_state_dict({k: t for k, t in own.state_dict().items() if not k.startswith("final_attn.")})
    assert (own(numbers(1, 5, 24)) - shared(numbers(1, 5, 24))).abs().max() > 0.1


def test_the_unconditional_wplus_tokens_are_the_bias_of_the_norm() -> None:
    made = adapter(WPLUS, CodeTokens(32))
    tokens = make_tokens(made, Features(vision=numbers(1, 18, 512)))
    torch.testing.assert_close(tokens.uncond, made.projector.norm.bias.expand(1, 4, 32))


def test_fact_gives_both_sides_the_persons_tokens_unless_asked_otherwise() -> None:
    fact = next(family for family in FAMILIES if family.name == "fact")
    made = adapter(fact, Resampler(queries=16, **SIZES))
    person = Features(vision=numbers(2, 9, 24))
    published = make_tokens(made, person)
    assert published.cond.shape == (1, 32, 32)
    assert torch.equal(published.cond, published.uncond)
    apart = make_tokens(made, person, TokenOptions(same_sides=False))
    torch.testing.assert_close(apart.uncond, made.projector(torch.zeros(2, 9, 24)).reshape(1, 32, 32))


def test_pulid_joins_the_raw_vector_with_the_unit_class_vector() -> None:
    joined = pulid.join_vectors(torch.full((1, 512), 2.0), torch.full((1, 768), 0.5))
    assert joined.shape == (1, 1280)
    assert (joined[0, 511], joined[0, 512]) == (2.0, 0.5)


def test_arc2face_refuses_a_raw_vector_because_it_would_give_another_face() -> None:
    raw = numbers(1, 512)
    with pytest.raises(InputError, match="length 1"):
        padded_vector(raw, 768)
    padded = padded_vector(raw / raw.norm(), 768)
    assert torch.equal(padded[:, 512:], torch.zeros(1, 256))


def test_arc2face_replaces_the_word_id_only() -> None:
    ids, embedded = torch.tensor([[49406, 1125, 539, 320, 1014, 2533]]), numbers(1, 6, 8)
    changed = replace_id_token(embedded, ids, torch.ones(2, 8))
    assert torch.equal(changed[:, 4], torch.ones(2, 8))
    assert torch.equal(changed[:, [0, 1, 2, 3, 5]], embedded[:, [0, 1, 2, 3, 5]].expand(2, -1, -1))
    with pytest.raises(InputError, match="photo of a id person"):
        replace_id_token(embedded, ids + 1, torch.ones(1, 8))


def test_fusion_changes_the_marked_tokens_only_and_counts_them() -> None:
    module, prompt = filled(FuseModule(16)), numbers(2, 7, 16)
    marked = torch.zeros(2, 7, dtype=torch.bool)
    marked[0, 2] = marked[1, 5] = True
    fused = module(prompt, numbers(2, 16, seed=2), marked)
    assert torch.equal(fused[~marked], prompt[~marked])
    torch.testing.assert_close(fused[1, 5], module.fuse(prompt[1, 5:6], numbers(2, 16, seed=2)[1:])[0])
    with pytest.raises(InputError, match=r"marks 2 token\(s\).*3 identity"):
        module(prompt, numbers(3, 16), marked)


def test_fusion_runs_in_half_precision() -> None:
    module, prompt = filled(FuseModule(16)).half(), numbers(1, 7, 16).half()
    marked = torch.zeros(1, 7, dtype=torch.bool)
    marked[0, 2] = True
    assert module(prompt, numbers(1, 16), marked).dtype == torch.float16


def test_stableidentity_without_offset_is_the_mean_of_the_names() -> None:
    projector = NameSpaceProjector(6, 8)
    projector.norm.weight.data.zero_()
    projector.celeb_mean.copy_(numbers(2, 8))
    torch.testing.assert_close(projector(numbers(1, 6)), numbers(2, 8)[None])


def test_stableidentity_overwrites_the_placeholder_and_the_next_position() -> None:
    embedded, ids = numbers(1, 5, 8), torch.tensor([[60, 9, 3, 4, 61]])
    placed = place_tokens(embedded, ids, 9, torch.ones(1, 2, 8))
    assert torch.equal(placed[0, 1:3], torch.ones(2, 8))
    assert torch.equal(placed[0, [0, 3, 4]], embedded[0, [0, 3, 4]])
    with pytest.raises(InputError, match="placeholder"):
        place_tokens(embedded, ids, 8, torch.ones(1, 2, 8))
    with pytest.raises(InputError, match="run over its end"):
        place_tokens(embedded, ids, 61, torch.ones(1, 2, 8))


def test_delays_count_in_doubles_as_published() -> None:
    assert text_steps(50, start_merge_step=10) == 11
    assert text_steps(50, start_merge_step=-1) == 0
    assert text_steps(50, alpha=0.8) == 10  # (1 - 0.8) · 50 is 9.999999999999998
    assert text_steps(10, alpha=0.7) == 4  # (1 - 0.7) · 10 is 3.0000000000000004


def test_a_step_curve_waits_and_then_follows_its_knots() -> None:
    curve = StepCurve(((0.0, 0.0), (0.5, 1.0), (1.0, 0.5)), wait_steps=2)
    assert [curve.factor(step, 5) for step in range(5)] == [0.0, 0.0, 1.0, 0.75, 0.5]
    assert [StepCurve().factor(step, 3) for step in range(3)] == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="ascending"):
        StepCurve(((0.5, 1.0), (0.2, 0.0)))


def test_a_call_between_two_steps_belongs_to_the_earlier_one() -> None:
    sigmas = [14.6, 7.0, 3.0, 1.0, 0.0]
    assert [step_of(sigma, sigmas) for sigma in (14.6, 7.0, 5.0, 3.0, 1.0, 0.5)] == [0, 1, 1, 2, 3, 3]
    assert step_of(99.0, sigmas) == 0
