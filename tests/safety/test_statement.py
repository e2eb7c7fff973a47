"""The statement of what was done: as JSON and back, and nothing believed that is not one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.pipelines.errors import InputError, UnsafeFileError
from likeness.pipelines.safety.statement import (
    MAX_OPERATIONS,
    Statement,
    UsedModel,
    from_json,
    merge_statements,
    to_json,
)
from likeness.tests.safety.statements import MOVE, STATEMENT, SWAP


def test_a_statement_comes_back_as_it_was() -> None:
    assert from_json(to_json(STATEMENT)) == STATEMENT
    assert from_json(to_json(Statement(()))).operations == ()


def test_a_statement_reads_as_one_line_an_operation() -> None:
    lines = STATEMENT.describe().splitlines()
    assert len(lines) == 3
    assert "2 face(s) in 1 picture(s)" in lines[1]
    assert "'Grâce 福' (1 source(s), consent: agreed in writing, 2026)" in lines[1]
    assert "by mesh (Apache-2.0); from the file(s) net.onnx" in lines[1]
    assert "2 person(s) in frames 3 to 40 of a video" in lines[1]
    assert lines[2] == "- face made to move [LikenessAnimatePortrait]"


def test_a_statement_of_the_first_versions_is_read_without_tracks_and_files() -> None:
    fields = json.loads(to_json(STATEMENT))
    for operation in fields["operations"]:
        del operation["tracks"]
        operation["models"] = [{"name": "mesh", "licence": "Apache-2.0"} for _ in operation["models"]]
    swap = from_json(json.dumps(fields)).operations[0]
    assert swap.tracks == () and swap.models[1] == UsedModel("mesh", "Apache-2.0")
    assert swap.faces == SWAP.faces


def test_merged_statements_keep_their_order_and_name_an_operation_once() -> None:
    other = replace(SWAP, settings={"strength": 0.75})
    merged = merge_statements([Statement((SWAP,)), STATEMENT, Statement((other, SWAP))])
    assert merged.operations == (SWAP, MOVE, other)


def test_more_operations_than_a_file_holds_are_refused_with_both_numbers() -> None:
    many = Statement(tuple(replace(MOVE, node=str(number)) for number in range(MAX_OPERATIONS + 1)))
    with pytest.raises(InputError, match=f"{MAX_OPERATIONS + 1} operation.*{MAX_OPERATIONS} and"):
        to_json(many)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format 'other'"),
        ({"format_version": 2}, "version '2'"),
        ({"operations": None}, "operations of the provenance are no list"),
        ({"operations": [{}] * (MAX_OPERATIONS + 1)}, "no list of at most 256"),
        ({"operations": ["x"]}, "operation of the provenance is no JSON object"),
        ({"created_with": 7}, "created_with of the provenance is no text"),
    ],
)
def test_a_field_of_another_kind_is_refused_by_name(change: dict[str, object], message: str) -> None:
    fields = json.loads(to_json(STATEMENT)) | change
    with pytest.raises(UnsafeFileError, match=message):
        from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("faces", [[[1, 2, 3]]], "four whole numbers"),
        ("faces", [[[1, 2, 3, 4.5]]], "four whole numbers"),
        ("faces", [[[1, 2, 3, 2**40]]], "four whole numbers"),
        ("settings", {"a": [1]}, "no plain values"),
        ("people", [{"name": "x" * 30_000}], "no text of at most 20000"),
        ("models", [{"name": "x"}], "licence of the provenance is no text"),
        ("models", [{"name": "x", "licence": "", "sha256": 7}], "sha256 of the provenance is no text"),
        ("tracks", [{"number": 0, "first_frame": 0}], "no whole numbers for who and when"),
        ("tracks", [{"number": 0, "first_frame": -1, "last_frame": 2, "boxes": []}], "no whole numbers"),
        ("tracks", [{"number": 0, "first_frame": 1, "last_frame": 2, "boxes": [[0, 0, 1]]}], "four whole numbers"),
        ("tracks", [{}] * 600, "no list of at most 512"),
    ],
)
def test_a_broken_operation_is_refused(field: str, value: object, message: str) -> None:
    fields = json.loads(to_json(STATEMENT))
    fields["operations"][0][field] = value
    with pytest.raises(UnsafeFileError, match=message):
        from_json(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"likeness"', "null", "x" * (2**20 + 1)])
def test_what_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises(UnsafeFileError):
        from_json(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["operations", "node", "settings", "people", "models", "faces", "report", "created_with"]),
    json_values,
)
def test_any_json_in_any_field_gives_a_statement_or_a_refusal(field: str, value: object) -> None:
    fields = json.loads(to_json(STATEMENT))
    (fields if field in fields else fields["operations"][0])[field] = value
    try:
        found = from_json(json.dumps(fields))
    except UnsafeFileError:
        return
    assert isinstance(found, Statement) and found.describe()
