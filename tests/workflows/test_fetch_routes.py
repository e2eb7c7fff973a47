"""The server fetches nothing but known files whose very terms were agreed to, asked for by its own page."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from likeness.tests.comfyui_server import ComfyServer
from likeness.tests.download.file_server import FileServer, Served, serving

#: Files without a published hash, so that a small one can stand for them.
WANTED, OTHER = "fastcomposer_sd15", "simswap_256"


@pytest.fixture(scope="module")
def mirror(comfyui: ComfyServer) -> Iterator[FileServer]:
    with serving(port=comfyui.mirror_port) as served:
        yield served


def ask(server: ComfyServer, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, data, headers), timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        content = error.read()
        return error.code, json.loads(content) if content.startswith(b"{") else {}


def listed(server: ComfyServer) -> dict[str, dict[str, Any]]:
    return {file["id"]: file for file in server.get("/likeness/weights")["weights"]}


def settled(server: ComfyServer, weights_id: str) -> dict[str, Any]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        state = server.get("/likeness/weights")["states"].get(weights_id, {})
        if state.get("state") in ("done", "failed", "cancelled"):
            return state
        time.sleep(0.05)
    raise AssertionError(f"{weights_id} did not end")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "The request must be"),
        ([], 400, "The request must be"),
        ({"agreed": {}}, 400, "1 to 100 ids"),
        ({"agreed": {"x" * 10: "y"}}, 400, "There are no weights with the id 'xxxxxxxxxx'"),
        ({"agreed": {"../../etc/passwd": "y"}}, 400, "There are no weights with the id"),
        ({"agreed": {"dlib_resnet_128": "y"}}, 400, "arrives with the pack"),
        ({"agreed": {OTHER: 5}}, 400, "must be texts"),
        ({"agreed": {OTHER: ""}}, 403, "its licence was not agreed to"),
        ({"agreed": {OTHER: "yes"}}, 403, "its licence was not agreed to"),
        (b"{", 400, "no JSON"),
        (b"[" * 30_000, 400, "no JSON"),
        (b"[" * 70_000, 413, "at most 64000 bytes"),
    ],
)
def test_a_request_that_is_not_in_order_is_refused_and_fetches_nothing(
    comfyui: ComfyServer, mirror: FileServer, body: Any, status: int, message: str
) -> None:
    before = len(mirror.asked)
    code, answer = ask(comfyui, "/likeness/fetch", body)
    assert (code, message in answer["error"]) == (status, True), answer
    assert len(mirror.asked) == before
    assert OTHER not in comfyui.get("/likeness/weights")["states"]


def test_other_sites_and_their_forms_are_refused(comfyui: ComfyServer) -> None:
    body = {"agreed": {OTHER: listed(comfyui)[OTHER]["terms"]}}
    assert ask(comfyui, "/likeness/fetch", body, Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(comfyui, "/likeness/fetch", body, Origin="http://evil.example")[0] == 403
    assert ask(comfyui, "/likeness/fetch", body, Content_Type="text/plain")[0] == 415
    assert OTHER not in comfyui.get("/likeness/weights")["states"]


def test_what_was_agreed_to_is_fetched_recorded_and_known_afterwards(comfyui: ComfyServer, mirror: FileServer) -> None:
    file = listed(comfyui)[WANTED]
    assert file["path"] is None and not file["hash_known"]
    mirror.files["/fastcomposer/pytorch_model.bin"] = Served(b"small adapter" * 1000)
    assert ask(comfyui, "/likeness/fetch", {"agreed": {WANTED: file["terms"]}})[1] == {"fetching": [WANTED]}
    place = comfyui.base / "models" / "fastcomposer" / "pytorch_model.bin"
    assert settled(comfyui, WANTED)["message"] == str(place) == file["target"]
    assert place.stat().st_size == 13_000
    assert listed(comfyui)[WANTED]["path"] == str(place)
    assert WANTED in json.loads((comfyui.base / "models" / "likeness" / "fetched.json").read_text())
    assert ask(comfyui, "/likeness/fetch", {"agreed": {WANTED: file["terms"]}})[1] == {"fetching": []}
    place.unlink()
    (comfyui.base / "models" / "likeness" / "fetched.json").unlink()


def test_a_fetch_can_be_stopped(comfyui: ComfyServer, mirror: FileServer) -> None:
    mirror.files["/facefusion/ghost_1_256.onnx"] = Served(bytes(1_000_000), pause_s=0.05)
    terms = {file["id"]: file["terms"] for file in listed(comfyui).values()}
    agreed = {name: terms[name] for name in ("ghost_1_256", *listed(comfyui)["ghost_1_256"]["needs"])}
    ask(comfyui, "/likeness/fetch", {"agreed": agreed})
    assert ask(comfyui, "/likeness/fetch/cancel", {"ids": ["nothing"]})[0] == 400
    for name in agreed:
        assert ask(comfyui, "/likeness/fetch/cancel", {"ids": [name]})[0] == 200
    assert settled(comfyui, "ghost_1_256")["state"] == "cancelled"
