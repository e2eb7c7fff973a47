"""What adapters get to know of a person: the right vector in the right form, the right picture, or a clear error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.adapters import faceid, pulid
from likeness.pipelines.adapters.families import FAMILIES
from likeness.pipelines.adapters.features import HOST_TOWERS, RECOGNISERS, Seen, Sources, person_features
from likeness.pipelines.adapters.instantid import INSTANTID
from likeness.pipelines.adapters.masterweaver import MASTERWEAVER
from likeness.pipelines.adapters.wplus import WPLUS
from likeness.pipelines.errors import EncoderMismatchError, InputError, MissingWeightsError
from likeness.pipelines.identity.analysis import load_embedded_analysis
from likeness.pipelines.identity.face_parts import aligned_references, part_masks
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest
from likeness.tests.adapters.sample_people import landmarks, somebody
from likeness.tests.adapters.tiny_files import EVA_FILE, write_files

ANTELOPE, BUFFALO = "arcface_glintr100", "arcface_w600k_r50"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """With the tests' EVA02 tower."""
    models = tmp_path_factory.mktemp("models")
    write_files(models, (EVA_FILE,))
    entries = tuple(
        replace(entry, size_bytes=None, sha256=None) if entry.id.startswith("eva02") else entry
        for entry in Manifest.load().entries
    )
    return Registry(TorchRuntime(model_folders={"": models}), Manifest(entries))


class Vision:
    """A tower of any size that remembers what it saw."""

    def __init__(self, width: int = 1280, patches: int = 257) -> None:
        self.width, self.patches = width, patches
        self.pixels = torch.zeros(0)

    def __call__(self, pixels: Tensor) -> Seen:
        self.pixels = pixels
        states = pixels.mean((1, 2, 3))[:, None, None].expand(-1, self.patches, self.width)
        return Seen(states, states + 1)


def test_instantid_gets_the_raw_vector_and_faceid_the_unit_one(registry: Registry) -> None:
    person = somebody(encoders=(ANTELOPE, BUFFALO))
    raw, _ = person_features(INSTANTID, person, Sources(registry))
    assert torch.equal(raw.need_vectors(""), torch.from_numpy(person.references(ANTELOPE).raw))
    unit, text = person_features(faceid.PLAIN, person, Sources(registry))
    torch.testing.assert_close(unit.need_vectors("").norm(dim=-1), torch.ones(2))
    assert text == f"unit vector of {BUFFALO}"


def test_references_count_as_much_as_the_identity_says(registry: Registry) -> None:
    features, _ = person_features(INSTANTID, somebody(encoders=(ANTELOPE,)), Sources(registry))
    assert features.weights is not None
    np.testing.assert_allclose(features.weights.numpy(), [2 / 3, 1 / 3], rtol=1e-6)


def test_a_missing_vector_is_named_with_its_licence_and_what_to_connect(registry: Registry) -> None:
    with pytest.raises(EncoderMismatchError) as failed:
        person_features(INSTANTID, somebody(encoders=("dlib_resnet_128",)), Sources(registry))
    said = str(failed.value)
    for part in ("InstantID", ANTELOPE, "non-commercial", "'Ada' has dlib_resnet_128", "'antelopev2'", "analysis"):
        assert part in said


def test_an_analysis_with_another_recogniser_is_named_too(registry: Registry) -> None:
    analysis = load_embedded_analysis(registry)
    with pytest.raises(EncoderMismatchError, match="The analysis connected here has dlib_resnet_128"):
        person_features(INSTANTID, somebody(), Sources(registry, analysis=analysis))


def test_an_analysis_with_the_right_recogniser_encodes_the_person_again(registry: Registry) -> None:
    class Other:
        name, licence, commercial_use, dimension = ANTELOPE, "", False, 512

        def embed(self, images: Tensor, faces: object) -> np.ndarray:
            return np.full((len(images), 512), 3, np.float32)

    analysis = replace(load_embedded_analysis(registry), recogniser=Other())  # type: ignore[arg-type]
    features, _ = person_features(INSTANTID, somebody(), Sources(registry, analysis=analysis))
    assert torch.equal(features.need_vectors(""), torch.full((2, 512), 3.0))


def test_a_vector_of_length_0_has_no_direction(registry: Registry) -> None:
    person = somebody(references=1, encoders=(BUFFALO,))
    zero = replace(person.references(BUFFALO), raw=np.zeros((1, 512), np.float32))
    with pytest.raises(InputError, match="length 0"):
        person_features(faceid.PLAIN, person.with_vectors(zero), Sources(registry))


def test_the_blank_picture_is_zero_after_the_normalisation(registry: Registry) -> None:
    vision = Vision()
    features, text = person_features(faceid.PLUS_V2, somebody(encoders=(BUFFALO,)), Sources(registry, vision))
    assert vision.pixels.shape == (3, 3, 224, 224)
    assert vision.pixels[2].abs().max() == 0 and vision.pixels[:2].abs().min(0).values.max() > 0
    assert features.need_vision("").shape == (2, 257, 1280) and features.need_blank("").shape == (1, 257, 1280)
    assert "CLIP ViT-H/14 on 2 picture(s)" in text


def test_a_missing_vision_model_is_named_with_its_file(registry: Registry) -> None:
    with pytest.raises(MissingWeightsError, match=r"CLIP ViT-H/14.*CLIP-ViT-H-14-laion2B-s32B-b79K\.safetensors"):
        person_features(faceid.PLUS, somebody(encoders=(BUFFALO,)), Sources(registry))


def test_another_vision_model_is_refused_with_both_sizes(registry: Registry) -> None:
    with pytest.raises(InputError, match=r"257 tokens of width 1280.*257 of width 1024"):
        person_features(faceid.PLUS, somebody(encoders=(BUFFALO,)), Sources(registry, Vision(1024)))
    with pytest.raises(InputError, match=r"257 tokens of width 1024.*577 of width 1024"):
        person_features(MASTERWEAVER, somebody(), Sources(registry, Vision(1024, 577)))


def test_pulid_joins_the_raw_vector_with_the_unit_class_vector_and_reads_five_depths(registry: Registry) -> None:
    person = somebody(encoders=(ANTELOPE,))
    features, text = person_features(pulid.V11, person, Sources(registry))
    joined = features.need_vectors("")
    assert joined.shape == (2, 1280) and len(features.levels) == 5
    assert torch.equal(joined[:, :512], torch.from_numpy(person.references(ANTELOPE).raw))
    torch.testing.assert_close(joined[:, 512:].norm(dim=-1), torch.ones(2))
    assert features.levels[0].shape == (2, 577, 64)
    assert "outline from the landmarks" in text


def test_pulid_uses_the_masks_it_is_given(registry: Registry) -> None:
    person = somebody(encoders=(ANTELOPE,))
    own, _ = person_features(pulid.V11, person, Sources(registry))
    given, text = person_features(pulid.V11, person, Sources(registry, kept=torch.ones(1, 512, 512)))
    assert "given mask" in text and not torch.equal(own.levels[4], given.levels[4])
    with pytest.raises(InputError, match=r"\(2, 512, 512\).*\(3, 512, 512\)"):
        person_features(pulid.V11, person, Sources(registry, kept=torch.ones(3, 512, 512)))


def test_a_missing_eva02_tower_is_an_error_of_the_manifest(tmp_path: Path) -> None:
    empty = Registry(TorchRuntime(model_folders={"": tmp_path}))
    with pytest.raises(MissingWeightsError, match=r"EVA02_CLIP_L_336.*fetch eva02_clip_l_336"):
        person_features(pulid.V11, somebody(encoders=(ANTELOPE,)), Sources(empty))


def test_features_of_an_encoder_the_pack_does_not_run_come_from_outside(registry: Registry) -> None:
    with pytest.raises(MissingWeightsError, match="e4e_ffhq"):
        person_features(WPLUS, somebody(), Sources(registry))
    with pytest.raises(InputError, match=r"1 picture\(s\).*has 2"):
        person_features(WPLUS, somebody(), Sources(registry, given=torch.zeros(1, 18, 512)))
    features, _ = person_features(WPLUS, somebody(), Sources(registry, given=torch.ones(2, 18, 512)))
    assert features.need_vision("").shape == (2, 18, 512)


def test_every_recogniser_and_every_tower_that_a_family_asks_for_is_known() -> None:
    for family in FAMILIES:
        assert family.vector is None or family.vector.recogniser in RECOGNISERS
    assert {"clip_vit_h", "clip_vit_l"} == set(HOST_TOWERS)


def test_the_arcface_alignment_puts_the_eyes_where_the_recogniser_wants_them() -> None:
    person = somebody(references=1)
    crops = torch.zeros_like(person.crops)
    for x, y in landmarks()[[468, 473], :2].round().astype(int):
        crops[0, y - 3 : y + 4, x - 3 : x + 4] = 255
    picture = aligned_references(replace(person, crops=crops), "arcface_112", 112)[0, :, :, 0]
    rows, columns = (picture > 0.5).nonzero(as_tuple=True)
    assert abs(float(rows.float().mean()) - 51.6) < 4
    assert abs(float(columns.float().mean()) - 55.9) < 2


def test_parts_of_the_face_lie_inside_the_face_and_the_face_inside_the_head() -> None:
    person = somebody(references=1)
    face, head = part_masks(person, "face"), part_masks(person, "head")
    assert 0.1 < face.mean() < 0.45 and head.mean() > 1.4 * face.mean()
    assert (head >= face).all()
    for part in ("eyes", "nose", "mouth"):
        mask = part_masks(person, part)
        assert 0.001 < mask.mean() < 0.3 * face.mean() and (face >= mask).all()
    with pytest.raises(InputError, match="'ears'"):
        part_masks(person, "ears")
