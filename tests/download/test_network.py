"""Only one room talks to the network."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NETWORK = re.compile(r"(urllib\.request|http\.client|http\.server|socket|ssl|ftplib|requests|aiohttp|httpx|urllib3)\b")
#: The room; and the command that asks the server it has started whether it is up.
ALLOWED = ("pipelines/download/", "cli/serve.py")
#: aiohttp's server half answers ComfyUI's own page.
SERVES = "aiohttp.web"


def network_imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names] if not node.level else []
        yield from (name for name in names if NETWORK.match(name) and not name.startswith(SERVES))


FOLDERS = ("pipelines", "nodes", "cli", "examples")
FILES = sorted(path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(ALLOWED)])
def test_nothing_outside_the_download_room_can_reach_the_network(file: str) -> None:
    assert list(network_imports((ROOT / file).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    ["import socket", "from urllib import request", "def f():\n    import requests", "from aiohttp import client"],
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert len(list(network_imports(text))) == 1
