"""What users depend on of every node: ids, inputs, defaults, outputs; and the files that repeat it.

    COMFYUI_DIR=... python tools/node_surface.py            says what is out of date
    COMFYUI_DIR=... python tools/node_surface.py --refresh  writes tests/node_surface.json, locales/en/nodeDefs.json
                                                            and the node table of README.md

Run with --refresh after a change of a node's schema, and read the difference before you commit it: an id, an input
or an output that disappears breaks users' workflows.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from checkout import ROOT, map_package

SURFACE = ROOT / "tests" / "node_surface.json"
LOCALE = ROOT / "locales" / "en" / "nodeDefs.json"
README = ROOT / "README.md"
TABLE_BEGIN, TABLE_END = "<!-- nodes: begin -->", "<!-- nodes: end -->"


def import_comfyui(comfyui: Path, base: Path) -> None:
    """Make ComfyUI's modules importable in this process, on the CPU, with its folders below `base`."""
    if str(comfyui) not in sys.path:
        sys.path.insert(0, str(comfyui))
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu = True
    args.disable_api_nodes = True
    args.base_directory = str(base)
    import folder_paths

    for folder in (folder_paths.get_input_directory(), folder_paths.get_temp_directory()):
        Path(folder).mkdir(parents=True, exist_ok=True)


def load_nodes() -> list[type[Any]]:
    """Every node of the pack, registered the way ComfyUI does it; ComfyUI and `likeness` must be importable."""
    from likeness import comfy_entrypoint

    async def load() -> list[type[Any]]:
        extension = await comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()

    return asyncio.run(load())


def surface(nodes: list[type[Any]]) -> dict[str, Any]:
    """Per node id: what the frontend is told, without texts."""
    return {node.GET_SCHEMA().node_id: _surface_of(node.GET_NODE_INFO_V1()) for node in nodes}


def _surface_of(info: dict[str, Any]) -> dict[str, Any]:
    return {
        "category": info["category"],
        "output_node": info["output_node"],
        "inputs": {
            kind: {name: _without_texts(spec) for name, spec in info["input"].get(kind, {}).items()}
            for kind in ("required", "optional")
        },
        "outputs": [list(pair) for pair in zip(info["output_name"], info["output"], strict=True)],
    }


def _without_texts(spec: Any) -> Any:
    if isinstance(spec, dict):
        hidden = ("tooltip", "display_name", "placeholder")
        return {key: _without_texts(value) for key, value in spec.items() if key not in hidden}
    if isinstance(spec, (list, tuple)):
        return [_without_texts(value) for value in spec]
    return spec


def locale(nodes: list[type[Any]]) -> dict[str, Any]:
    """locales/en/nodeDefs.json: names, descriptions and tooltips, to be translated key by key."""
    return {node.GET_SCHEMA().node_id: _locale_of(node) for node in nodes}


def _locale_of(node: type[Any]) -> dict[str, Any]:
    schema = node.GET_SCHEMA()
    inputs = [inner for one in schema.inputs for inner in one.get_all()]
    named = {one.id: {"name": one.display_name or one.id.replace("_", " "), "tooltip": one.tooltip} for one in inputs}
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": {key: {k: v for k, v in texts.items() if v} for key, texts in named.items()},
        "outputs": {
            str(index): {k: v for k, v in {"name": one.display_name, "tooltip": one.tooltip}.items() if v}
            for index, one in enumerate(schema.outputs)
        },
    }


def table(nodes: list[type[Any]]) -> str:
    """The node table of the README."""
    lines = ["| Node | What it does | Takes | Gives |", "|---|---|---|---|"]
    for node in nodes:
        schema = node.GET_SCHEMA()
        takes = ", ".join(one.id for one in schema.inputs)
        gives = ", ".join(one.display_name for one in schema.outputs)
        page = f"web/docs/{schema.node_id}.md"
        lines.append(f"| [{schema.display_name}]({page}) | {schema.description} | {takes} | {gives} |")
    return "\n".join(lines)


def readme_with(readme: str, nodes: list[type[Any]]) -> str:
    """The README with the node table between its two marks."""
    before, _, rest = readme.partition(TABLE_BEGIN)
    _, _, after = rest.partition(TABLE_END)
    return f"{before}{TABLE_BEGIN}\n{table(nodes)}\n{TABLE_END}{after}"


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def wanted_files(nodes: list[type[Any]]) -> dict[Path, str]:
    """Every file that repeats the schemas, with the text it should have."""
    return {
        SURFACE: as_json(surface(nodes)),
        LOCALE: as_json(locale(nodes)),
        README: readme_with(README.read_text(encoding="utf-8"), nodes),
    }


def main(arguments: list[str]) -> int:
    comfyui = os.environ.get("COMFYUI_DIR")
    if not comfyui:
        raise SystemExit("COMFYUI_DIR is not set: it names the folder that holds ComfyUI's main.py.")
    map_package()
    with tempfile.TemporaryDirectory() as base:
        import_comfyui(Path(comfyui), Path(base))
        files = wanted_files(load_nodes())
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if "--refresh" in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)} {'written' if '--refresh' in arguments else 'is out of date'}\n")
    return 1 if stale and "--refresh" not in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
