"""The families and the weights manifest know of each other."""

from __future__ import annotations

import pytest

from likeness.pipelines.adapters.families import FAMILIES, family_names
from likeness.pipelines.adapters.family import Family
from likeness.pipelines.adapters.published import ADAPTER_FILES, FILES_BESIDE, TOWER_FILES, published_files
from likeness.pipelines.weights import Manifest

MANIFEST = Manifest.load()
#: Recogniser → id of its file.
RECOGNISER_FILES = {
    "arcface_glintr100": "insightface_glintr100",
    "arcface_w600k_r50": "insightface_w600k_r50",
    "arcface_arc2face": "arc2face_arcface",
}

each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def test_every_family_is_in_the_table_and_only_families_are() -> None:
    assert tuple(ADAPTER_FILES) == family_names()
    assert FILES_BESIDE.keys() <= ADAPTER_FILES.keys()


@each_family
def test_a_published_file_brings_what_its_family_needs_of_a_person(family: Family) -> None:
    for weights_id in ADAPTER_FILES[family.name]:
        needs = set(MANIFEST.entry(weights_id).needs)
        if family.vector is not None:
            assert RECOGNISER_FILES[family.vector.recogniser] in needs, weights_id
        if family.vision is not None and family.vision.tower in TOWER_FILES:
            assert TOWER_FILES[family.vision.tower] in needs, weights_id


@each_family
def test_the_names_of_published_files_tell_families_with_the_same_keys_apart(family: Family) -> None:
    for weights_id in ADAPTER_FILES[family.name]:
        name = MANIFEST.entry(weights_id).file.lower()
        for other in FAMILIES[: FAMILIES.index(family)]:
            if {other.name, family.name} <= {"faceid_plusv2", "faceid_plus"}:
                assert not any(mark in name for mark in other.file_marks), weights_id
        if family.file_marks:
            assert any(mark in name for mark in family.file_marks), weights_id


def test_every_published_adapter_is_listed_once_and_can_be_loaded_by_the_load_node() -> None:
    ids = published_files()
    assert len(ids) == len(set(ids))
    listed = {entry.id for entry in MANIFEST.entries if "LikenessLoadIdentityAdapter" in entry.used_by}
    assert set(ids) == listed
