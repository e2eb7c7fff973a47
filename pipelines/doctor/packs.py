"""Packs beside ours that change what ours relies on, found by reading their source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_MOST_FILES, _MOST_BYTES = 400, 2_000_000

#: What the folder names of packs known for it do to others; folder names are compared in lower case without - and _.
_KNOWN = {
    "comfyuireactornode": "replaces ComfyUI's entry of facerestore_models and has removed other packs' modules",
    "comfyuireactor": "replaces ComfyUI's entry of facerestore_models and has removed other packs' modules",
    "comfyuipulidflux": "replaces Flux's own forward: apply PuLID either there or here to one model",
    "comfyuipulidfluxenhanced": "replaces Flux's own forward: apply PuLID either there or here to one model",
    "comfyuipulidfluxll": "replaces Flux's own forward: apply PuLID either there or here to one model",
    "comfyuiinstantidfaceswap": "replaces attention in a way of its own: do not chain its models with other adapters",
}
_METHODS = {"forward", "forward_orig", "_forward", "_apply", "load_state_dict"}
_OURS = re.compile(r"likeness|insightface|instantid|ipadapter|pulid|photomaker|facerestore_models|liveportrait")


def conflicts(custom_nodes: Path, ours: Path) -> list[str]:
    """One line per pack that patches ComfyUI, replaces methods of loaded models, drops modules or takes our folders.

    custom_nodes: the folder of packs; it need not exist. ours: this pack's folder, which is left out, unless it is
    there twice. Sources are read, never run.
    """
    if not custom_nodes.is_dir():
        return []
    lines: list[str] = []
    for pack in sorted(custom_nodes.iterdir(), key=lambda path: path.name.lower()):
        if pack.name.endswith(".disabled") or pack.name.startswith((".", "__")):
            continue
        if pack.resolve() == ours.resolve():
            continue
        if (pack / "weights_manifest.json").is_file() and any((pack / "web" / "docs").glob("Likeness*.md")):
            lines.append(f"{pack.name}: a second copy of this pack; of nodes with the same name the last loaded wins.")
            continue
        known = _KNOWN.get(re.sub(r"[-_ ]", "", pack.name.lower()))
        found = list(dict.fromkeys(_patches(pack)))
        if known or found:
            shown = [*([known] if known else []), *found[:4]]
            more = f" and {len(found) - 4} more" if len(found) > 4 else ""
            lines.append(f"{pack.name}: {'; '.join(shown)}{more}.")
    return lines


def _patches(pack: Path) -> Iterator[str]:
    files = [pack] if pack.suffix == ".py" else sorted(pack.rglob("*.py"))[:_MOST_FILES] if pack.is_dir() else []
    for path in files:
        if path.stat().st_size > _MOST_BYTES:
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except (SyntaxError, ValueError, RecursionError):
            continue  # a file that Python cannot read patches nothing
        where = path.name if path == pack else path.relative_to(pack).as_posix()
        yield from (f"{text} ({where}:{line})" for line, text in _found_in(tree))


def _found_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for changed in node.targets:
                yield from _assigned(changed, node)
        elif isinstance(node, ast.Delete):
            yield from ((node.lineno, "removes loaded modules") for t in node.targets if _is(t, "sys.modules["))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "sys.modules.pop":
                yield node.lineno, "removes loaded modules"
            elif name == "setattr" and len(node.args) == 3 and _is(node.args[0], "comfy."):
                yield node.lineno, f"replaces {ast.unparse(node.args[0])}.{ast.unparse(node.args[1])}"


def _assigned(changed: ast.expr, node: ast.Assign) -> Iterator[tuple[int, str]]:
    text = ast.unparse(changed)
    if isinstance(changed, ast.Attribute) and text.startswith("comfy."):
        yield node.lineno, f"replaces {text}"
    elif isinstance(changed, ast.Attribute) and changed.attr in _METHODS and not text.startswith("self."):
        yield node.lineno, f"replaces {text}"
    elif isinstance(changed, ast.Subscript) and text.startswith("folder_paths.folder_names_and_paths["):
        name = ast.unparse(changed.slice)
        if _OURS.search(name):
            yield node.lineno, f"takes the model folder {name} for itself"


def _is(node: ast.expr, start: str) -> bool:
    return ast.unparse(node).startswith(start)
