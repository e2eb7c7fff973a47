"""An examination as people read it: first whether all is well and what can be done, last what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..weights import ROOT


def as_text(found: Mapping[str, Any]) -> str:
    """The lines of an `examine` answer."""
    return "\n".join([_verdict(found), *_machine(found), "", *_abilities(found), "", *_files(found), *_findings(found)])


def _verdict(found: Mapping[str, Any]) -> str:
    """The first line: below a node the last ones are out of sight."""
    counts = (
        ("problems", "problem", "problems"),
        ("conflicts", "pack in the way", "packs in the way"),
        ("notes", "thing worth tidying", "things worth tidying"),
    )
    counted = [f"{len(found[key])} {one if len(found[key]) == 1 else many}" for key, one, many in counts if found[key]]
    return f"{', '.join(counted)}: see the end" if counted else "All is well"


def _machine(found: Mapping[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {version or 'MISSING'}" for name, version in found["packages"].items())
    host = ", ".join(f"{name} {value}" for name, value in found["comfyui"].items())
    lines = [
        f"Likeness    {found['likeness']} in {found['folder']}",
        f"ComfyUI     {host}",
        f"Models      {', '.join(found['models'])} ({found['free_disk_gb']} GB free)",
        f"Device      {found['device']}",
        f"Python      {found['python']} on {found['system']}",
        f"Packages    {packages}",
    ]
    onnxruntime = found["onnxruntime"]
    lines.append(f"onnxruntime {onnxruntime['version'] or onnxruntime['problem']}")
    lines += [f"  {name:28}{state}" for name, state in onnxruntime["providers"].items()]
    lines += [
        f"  {name} is not installed; it is for {item['for']}"
        for name, item in found["optional"].items()
        if item["version"] is None and not name.startswith("onnxruntime")
    ]
    return lines


def _abilities(found: Mapping[str, Any]) -> list[str]:
    lines = ["What `auto` chooses here"]
    for name, item in found["capabilities"].items():
        works = item["works"] or not any(item["choice"] == problem for problem in found["problems"])
        lines.append(f"  {name}: {item['choice'] if works else 'not until the problem below is solved'}")
        lines += [f"      {reason}" for reason in item["passed"]]
    return lines


def _files(found: Mapping[str, Any]) -> list[str]:
    weights = {name: item for name, item in found["weights"].items() if item["state"] != "archive"}
    there = {name: item for name, item in weights.items() if item["path"]}
    checked = "contents checked" if found["contents_checked"] else "sizes checked, contents are at loading"
    wrong = sum(item["state"] == "wrong" for item in weights.values())
    broken = f", {wrong} with another content: see below" if wrong else ""
    lines = [f"Your weights: {len(there)} of {len(weights)} known files ({checked}){broken}"]
    for name, item in there.items():
        lines.append(f"  + {name:{_width(there)}}{item['size']:>15}  {item['path']}")
        if item["state"] == "elsewhere":
            lines.append(f"    used where it lies; its own place would be {item['target']}")
    return [*lines, *_missing(found, {name: item for name, item in weights.items() if item["state"] == "missing"})]


def _missing(found: Mapping[str, Any], missing: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line per file, below the node and the licence it shares with others."""
    if not missing:
        return []
    base = Path(found["models"][0]) if found["models"] else Path("models")
    lines = [
        "",
        f"Not here: {len(missing)} files. None is needed; each gives its node more.",
        f"To get one: ./likeness fetch ID, or put it below {base} yourself.",
    ]
    groups: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, item in missing.items():
        key = (tuple(item["used_by"]), str(item["licence"]))
        row = f"    - {name:{_width(missing)}}{item['size']:>15}  {_below(base, item['target'])}"
        groups.setdefault(key, []).append(row)
    for nodes in dict.fromkeys(nodes for nodes, _ in groups):
        lines.append(f"  {_titles(nodes)}")
        for (users, licence), rows in groups.items():
            if users == nodes:
                lines += [f"   {licence}", *rows]
    archives = {
        name: item for name, item in found["weights"].items() if item["state"] == "archive" and not item["path"]
    }
    if archives:
        lines.append("  Several of them at once")
        lines += [
            f"    - {name:{_width(missing)}}{item['size']:>15}  {item['licence']}" for name, item in archives.items()
        ]
    return lines


def _width(names: Iterable[str]) -> int:
    return max((len(name) for name in names), default=0)


def _titles(nodes: Iterable[str]) -> str:
    """Node ids as the menu has them: "LikenessLoadDiceTalk" is "Load DICE-Talk"."""
    titles = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    return ", ".join(titles[node]["display_name"] for node in nodes)


def _below(base: Path, target: str) -> str:
    path = Path(target)
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else target


def _findings(found: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for title, key in (("Other packs that change what this one relies on", "conflicts"), ("Worth tidying", "notes")):
        if found[key]:
            lines += ["", title, *(f"  {line}" for line in found[key])]
    problems = [f"PROBLEM: {problem}" for problem in found["problems"]]
    return [*lines, "", *(problems or ["No problems found."])]
