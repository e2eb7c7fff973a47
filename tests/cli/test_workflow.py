"""Workflow files become the prompts that ComfyUI's own page makes of them (recorded from the page)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from likeness.cli.errors import CommandError
from likeness.cli.widgets import widget_values
from likeness.cli.workflow import load_workflow, to_prompt

FOLDER = Path(__file__).with_name("workflows")
DEFINITIONS = json.loads((FOLDER / "definitions.json").read_text("utf-8"))


def saved(name: str) -> dict[str, Any]:
    return load_workflow(FOLDER / f"{name}.json")


@pytest.mark.parametrize("name", ["wiring", "dynamic", "subgraphs"])
def test_prompt_equals_the_one_the_page_makes(name: str) -> None:
    expected = json.loads((FOLDER / f"{name}.api.json").read_text("utf-8"))
    assert to_prompt(saved(name), DEFINITIONS) == expected


def test_prompt_is_passed_through_without_being_shared() -> None:
    prompt = json.loads((FOLDER / "wiring.api.json").read_text("utf-8"))
    result = to_prompt(prompt, DEFINITIONS)
    assert result == prompt
    result["7"]["inputs"]["height"] = 1
    assert prompt["7"]["inputs"]["height"] == 64


def test_prompt_of_a_saved_api_request_is_unwrapped() -> None:
    prompt = json.loads((FOLDER / "wiring.api.json").read_text("utf-8"))
    assert to_prompt({"prompt": prompt, "client_id": "x"}, DEFINITIONS) == prompt


def test_values_saved_by_name_are_read_by_name() -> None:
    node = {"widgets_values": {"noise_seed": 1, "height": 8, "width": 16}}
    assert widget_values(node, DEFINITIONS["EmptyImage"]) == {"width": 16, "height": 8, "batch_size": 1, "color": 0}


def test_values_missing_at_the_end_take_their_defaults() -> None:
    node = {"widgets_values": [16]}
    assert widget_values(node, DEFINITIONS["EmptyImage"]) == {"width": 16, "height": 512, "batch_size": 1, "color": 0}


def test_value_after_a_seed_belongs_to_the_page() -> None:
    node = {"widgets_values": [5, "increment", 9, 2.5, "euler", "simple", 0.5]}
    values = widget_values(node, DEFINITIONS["KSampler"])
    assert (values["seed"], values["steps"], values["cfg"], values["denoise"]) == (5, 9, 2.5, 0.5)


def test_widget_type_of_our_own_keeps_the_order_of_values() -> None:
    definition = {
        "input": {
            "required": {
                "boxes": ["STRING", {"widgetType": "OUR_PICKER"}],
                "faces": ["OUR_FACES", {}],
                "size": ["INT", {}],
            },
            "optional": {"kinds": ["COMBO", {"multiselect": True, "options": ["a", "b"]}]},
        }
    }
    values = widget_values({"widgets_values": ["[]", 3, ["b"]]}, definition)
    assert values == {"boxes": "[]", "size": 3, "kinds": ["b"]}


def test_list_value_is_wrapped_so_that_it_is_no_link() -> None:
    workflow = {"nodes": [{"id": 1, "type": "Many", "widgets_values": [["a", "b"]]}], "links": []}
    definitions = {"Many": {"input": {"required": {"kinds": ["COMBO", {"multiselect": True, "options": ["a", "b"]}]}}}}
    assert to_prompt(workflow, definitions)["1"]["inputs"] == {"kinds": {"__value__": ["a", "b"]}}


def test_circular_links_are_named() -> None:
    def turn(node_id: int, link: int, out: int) -> dict[str, Any]:
        entry = {"name": "", "type": "*", "link": link}
        outputs = [{"name": "", "type": "*", "links": [out]}]
        return {"id": node_id, "type": "Reroute", "inputs": [entry], "outputs": outputs}

    end = {
        "id": 3,
        "type": "SaveImage",
        "inputs": [{"name": "images", "type": "IMAGE", "link": 3}],
        "widgets_values": ["x"],
    }
    links = [[1, 2, 0, 1, 0, "*"], [2, 1, 0, 2, 0, "*"], [3, 1, 0, 3, 0, "IMAGE"]]
    with pytest.raises(CommandError, match="go round in a circle"):
        to_prompt({"nodes": [turn(1, 1, 2), turn(2, 2, 1), end], "links": links}, DEFINITIONS)


def test_node_of_another_pack_is_named_with_its_id() -> None:
    workflow = {"nodes": [{"id": 4, "type": "TheirNode"}], "links": []}
    with pytest.raises(CommandError, match=r"no node of type 'TheirNode' \(node 4\)"):
        to_prompt(workflow, DEFINITIONS)


def test_json_that_is_no_workflow_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="neither a workflow"):
        to_prompt({"a": 1}, DEFINITIONS)
    with pytest.raises(CommandError, match="There is no workflow file"):
        load_workflow(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[1]", "utf-8")
    with pytest.raises(CommandError, match="holds a list"):
        load_workflow(tmp_path / "list.json")
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(CommandError, match="is no JSON file"):
        load_workflow(tmp_path / "picture.json")
