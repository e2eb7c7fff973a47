"""--set finds the node by title or id and gives the value the type its input has."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from likeness.cli.errors import UsageError
from likeness.cli.settings import apply_settings

FOLDER = Path(__file__).with_name("workflows")
DEFINITIONS = json.loads((FOLDER / "definitions.json").read_text("utf-8")) | {
    "Kinds": {"input": {"required": {"kinds": ["COMBO", {"multiselect": True, "options": ["a", "b", "c"]}]}}},
    "Switch": {"input": {"required": {"on": ["BOOLEAN", {}], "name": ["STRING", {}], "box": ["BOUNDING_BOX", {}]}}},
}
PROMPT = json.loads((FOLDER / "wiring.api.json").read_text("utf-8")) | {
    "20": {"class_type": "Kinds", "inputs": {}, "_meta": {"title": "Kinds v1.5"}},
    "21": {"class_type": "Switch", "inputs": {}, "_meta": {"title": "Switch"}},
}


def changed(setting: str, folder: Path) -> dict[str, Any]:
    prompt = copy.deepcopy(PROMPT)
    apply_settings(prompt, DEFINITIONS, [setting], folder)
    return prompt


@pytest.mark.parametrize(
    ("setting", "node_id", "name", "value"),
    [
        ("Blank.height=32", "7", "height", 32),
        ("7.height=32", "7", "height", 32),
        ("8.blend_factor=0.75", "8", "blend_factor", 0.75),
        ("8.blend_mode=multiply", "8", "blend_mode", "multiply"),
        ("Kinds v1.5.kinds=c, a", "20", "kinds", {"__value__": ["c", "a"]}),
        ("Switch.on=off", "21", "on", False),
        ("Switch.name=a=b.c", "21", "name", "a=b.c"),
        ('Switch.box={"x": 1}', "21", "box", {"x": 1}),
        ("12.seed=9007199254740993", "12", "seed", 9007199254740993),
    ],
)
def test_value_arrives_in_the_type_of_the_input(
    setting: str, node_id: str, name: str, value: Any, tmp_path: Path
) -> None:
    prompt = changed(setting, tmp_path)
    assert prompt[node_id]["inputs"][name] == value
    assert type(prompt[node_id]["inputs"][name]) is type(value)
    del prompt[node_id]["inputs"][name]
    before = copy.deepcopy(PROMPT)
    before[node_id]["inputs"].pop(name, None)
    assert prompt == before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("height=32", 'expected "node title or id.input=value"'),
        ("Nobody.height=32", "no node of that title or id. The workflow has: "),
        ("Invert Image Colors.image=x", "no node of that title|has no input|comes over a link"),
        ("Blank.depth=32", "has no input 'depth', only: width, height, batch_size, color"),
        ("4.image=x", "image is a IMAGE, which comes over a link only"),
        ("7.height=tall", "'tall' is no whole number"),
        ("8.blend_factor=half", "'half' is no number"),
        ("8.blend_mode=glow", "'glow' is none of: normal, multiply"),
        ("Switch.on=maybe", "neither true nor false"),
        ("Kinds v1.5.kinds=a,d", "'d' is none of: a, b, c"),
        ("Switch.box=wide", "given as JSON"),
        ("Source photo.image=nowhere.png", "no file 'nowhere.png'"),
    ],
)
def test_wrong_setting_says_what_there_is(setting: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        changed(setting, tmp_path)


def test_title_of_several_nodes_asks_for_an_id(tmp_path: Path) -> None:
    prompt = copy.deepcopy(PROMPT)
    prompt["30"] = copy.deepcopy(prompt["7"])
    with pytest.raises(UsageError, match="2 nodes have that title; use one of their ids: 7, 30"):
        apply_settings(prompt, DEFINITIONS, ["Blank.height=32"], tmp_path)


def test_longer_title_wins_over_a_title_it_begins_with(tmp_path: Path) -> None:
    prompt = copy.deepcopy(PROMPT)
    prompt["30"] = copy.deepcopy(prompt["7"])
    prompt["30"]["_meta"]["title"] = "Blank.height"
    prompt["30"]["inputs"]["height"] = 64
    apply_settings(prompt, DEFINITIONS, ["Blank.height.height=32"], tmp_path)
    assert (prompt["7"]["inputs"]["height"], prompt["30"]["inputs"]["height"]) == (64, 32)


def test_picture_from_elsewhere_is_copied_once_under_a_name_of_its_own(tmp_path: Path) -> None:
    inside, outside = tmp_path / "input", tmp_path / "my photos"
    inside.mkdir()
    outside.mkdir()
    (outside / "mé & you.PNG").write_bytes(b"one")
    (inside / "mé & you.PNG").write_bytes(b"another picture of that name")
    setting = f"Source photo.image={outside / 'mé & you.PNG'}"
    name = changed(setting, inside)["1"]["inputs"]["image"]
    assert name == changed(setting, inside)["1"]["inputs"]["image"]
    assert (inside / name).read_bytes() == b"one"
    assert (inside / "mé & you.PNG").read_bytes() == b"another picture of that name"
    assert sorted(path.name for path in inside.iterdir()) == sorted([name, "mé & you.PNG"])
    assert all(character.isalnum() or character in "-_." for character in name)


def test_picture_inside_the_input_folder_is_named_from_there(tmp_path: Path) -> None:
    (tmp_path / "likeness").mkdir()
    (tmp_path / "likeness" / "a.png").write_bytes(b"a")
    assert changed("1.image=likeness/a.png", tmp_path)["1"]["inputs"]["image"] == "likeness/a.png"
    by_path = changed(f"1.image={tmp_path / 'likeness' / 'a.png'}", tmp_path)
    assert by_path["1"]["inputs"]["image"] == "likeness/a.png"
    assert [path.name for path in tmp_path.iterdir()] == ["likeness"]
