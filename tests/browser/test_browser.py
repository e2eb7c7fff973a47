"""The real frontend in a real browser: load a workflow, press Run, see the picture."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.tests.comfyui_server import ROOT, ComfyServer
from likeness.tests.workflows import tiny_prompts

WORKFLOW = ROOT / "example_workflows" / "swap_a_face.json"
ALL_WORKFLOWS = sorted((ROOT / "example_workflows").glob("*.json"))

#: Where the screenshots go, to be looked at.
SHOTS = Path(os.environ.get("LIKENESS_SCREENSHOTS", ROOT / "output" / "screenshots"))

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")

#: Noise of a fresh ComfyUI that has nothing to do with the pack.
BENIGN = (
    "accessed before initialization",
    "Content Security Policy",  # ComfyUI's first template asks for its models' sizes, which --disable-api-nodes blocks
    "Failed to load resource",  # files of users and themes that a fresh ComfyUI has not
)


def chromium() -> str:
    if os.environ.get("LIKENESS_CHROMIUM"):
        return os.environ["LIKENESS_CHROMIUM"]
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium on this machine: install chromium to run the browser tests")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    executable = chromium()
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield started
        started.close()


class Page:
    """A tab with ComfyUI's frontend, and what it complained about."""

    def __init__(self, browser: Any, server: ComfyServer, nodes_2: bool) -> None:
        server.post("/settings", {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": nodes_2})
        self.server = server
        self.complaints: list[str] = []
        self.tab = browser.new_page(viewport={"width": 1800, "height": 1100})
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("console", self._heard)
        self.tab.goto(server.url, wait_until="domcontentloaded")
        self.tab.wait_for_function(
            "() => window.app?.extensionManager && window.app.graph"
            " && window.LiteGraph?.registered_node_types?.LikenessSwapFaces",
            timeout=60_000,
        )

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not any(word in message.text for word in BENIGN):
            self.complaints.append(message.text)

    def load(self, workflow: Path) -> None:
        graph = json.loads(workflow.read_text(encoding="utf-8"))
        for _ in range(5):
            self.tab.evaluate("async (graph) => { await app.loadGraphData(graph) }", graph)
            self.tab.wait_for_timeout(1000)
            # a page that has just started may still put ComfyUI's first template in place of ours
            if self.tab.evaluate("() => app.graph.nodes.map((n) => n.type).sort()") == sorted(
                node["type"] for node in graph["nodes"]
            ):
                return
        raise AssertionError(f"the page does not keep {workflow.name}")

    def prompt(self) -> dict[str, Any]:
        """The API prompt that the frontend makes of the loaded graph."""
        return self.tab.evaluate("async () => (await app.graphToPrompt()).output")

    def press_run(self) -> dict[str, dict[str, Any]]:
        with self.tab.expect_response(lambda answer: "/api/prompt" in answer.url) as caught:
            self.tab.get_by_test_id("queue-button").click()
        answer = caught.value.json()
        assert not answer.get("node_errors"), answer
        outputs = self.server.wait(answer["prompt_id"])
        self.tab.wait_for_timeout(1500)
        return outputs

    def fit(self) -> None:
        self.tab.evaluate("async () => { await app.extensionManager.command.execute('Comfy.Canvas.FitView') }")
        self.tab.wait_for_timeout(800)

    def shoot(self, name: str) -> Path:
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        self.tab.screenshot(path=path)
        return path


@pytest.mark.parametrize("nodes_2", [False, True], ids=["classic", "nodes 2"])
def test_pressing_run_in_the_browser_shows_the_swapped_picture(
    browser: Any, comfyui: ComfyServer, nodes_2: bool
) -> None:
    page = Page(browser, comfyui, nodes_2)
    page.load(WORKFLOW)
    outputs = page.press_run()
    page.fit()
    shot = page.shoot(f"swap_a_face_{'nodes2' if nodes_2 else 'classic'}")

    assert shot.stat().st_size > 50_000
    result = page.tab.evaluate("() => app.graph.nodes.find((n) => n.title === 'Result').id")
    assert len(outputs[str(result)]["images"]) == 1
    drawn = page.tab.evaluate("() => app.graph.nodes.find((n) => n.title === 'Result').imgs?.length ?? 0")
    shown = page.tab.evaluate("() => [...document.images].filter((i) => i.src.includes('/view?') && i.width).length")
    assert drawn + shown >= 1
    report = page.tab.evaluate(
        "() => app.graph.nodes.find((n) => n.type === 'LikenessSwapFaces')"
        ".widgets.find((w) => w.name === 'likeness_report').value"
    )
    assert report.startswith("1 of 1 face(s) swapped.")
    colours = page.tab.evaluate("() => LGraphCanvas.link_type_colors")
    assert colours["LIKENESS_IDENTITY"] != colours["LIKENESS_FACES"] != ""
    assert page.complaints == []
    page.tab.close()


#: Files that example workflows name and a fresh ComfyUI has not; the page marks nodes whose file is missing.
NAMED_FILES = (
    "likeness/identities/Eileen Collins.safetensors",
    "detection/mediapipe_face_fp32.safetensors",
    *tiny_prompts.NAMED_FILES,
    *tiny_prompts.ADAPTER_FILES,
)


#: Widgets of the page itself that it sends along and the server does not know.
PAGE_ONLY = {"video-preview"}


@pytest.fixture(scope="module")
def classic(browser: Any, comfyui: ComfyServer) -> Iterator[Page]:
    for name in NAMED_FILES:
        path = comfyui.base / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    page = Page(browser, comfyui, nodes_2=False)
    yield page
    page.tab.close()


@pytest.mark.parametrize("workflow", ALL_WORKFLOWS, ids=lambda path: path.stem)
def test_example_workflows_open_without_overlaps_and_without_missing_nodes(classic: Page, workflow: Path) -> None:
    classic.load(workflow)
    boxes = classic.tab.evaluate(
        "() => app.graph.nodes.map((n) => [n.title, n.pos[0], n.pos[1] - 30, n.size[0], n.size[1] + 30, n.has_errors])"
    )
    assert not [box[0] for box in boxes if box[5]]
    assert not [(a[0], b[0]) for i, a in enumerate(boxes) for b in boxes[:i] if _overlap(a, b)]


def _overlap(a: list[Any], b: list[Any]) -> bool:
    return a[1] < b[1] + b[3] and b[1] < a[1] + a[3] and a[2] < b[2] + b[4] and b[2] < a[2] + a[4]


@pytest.mark.parametrize("workflow", ALL_WORKFLOWS, ids=lambda path: path.stem)
def test_the_headless_converter_makes_the_same_prompt_as_the_frontend(
    classic: Page, comfyui: ComfyServer, workflow: Path
) -> None:
    from likeness.cli.workflow import to_prompt

    classic.load(workflow)
    theirs = {
        key: (node["class_type"], {name: value for name, value in node["inputs"].items() if name not in PAGE_ONLY})
        for key, node in classic.prompt().items()
    }
    ours = to_prompt(json.loads(workflow.read_text("utf-8")), comfyui.get("/object_info"))
    assert {key: (node["class_type"], node["inputs"]) for key, node in ours.items()} == theirs


def test_a_layout_drawn_by_hand_reaches_identity_regions(browser: Any, comfyui: ComfyServer) -> None:
    page = Page(browser, comfyui, nodes_2=True)
    page.load(ROOT / "example_workflows" / "two_people_drawn.json")
    page.tab.evaluate(
        "() => { const n = app.graph.nodes.find((n) => n.type === 'CreateBoundingBoxes');"
        " app.canvas.ds.scale = 1; app.canvas.ds.offset = [300 - n.pos[0], 120 - n.pos[1]];"
        " app.canvas.setDirty(true, true) }"
    )
    editor = page.tab.locator('[data-testid="bounding-boxes"]').first
    editor.get_by_text("Clear all").click()
    paper = editor.locator("canvas").bounding_box()
    for left, top, right, bottom in ((0.55, 0.2, 0.95, 0.9), (0.05, 0.3, 0.45, 0.9)):
        page.tab.mouse.move(paper["x"] + left * paper["width"], paper["y"] + top * paper["height"])
        page.tab.mouse.down()
        page.tab.mouse.move(paper["x"] + right * paper["width"], paper["y"] + bottom * paper["height"], steps=6)
        page.tab.mouse.up()
        page.tab.wait_for_timeout(300)
    page.shoot("two_people_drawn_nodes2")

    prompt = page.prompt()
    (key,) = (key for key, node in prompt.items() if node["class_type"] == "CreateBoundingBoxes")
    regions = next(node for node in prompt.values() if node["class_type"] == "LikenessIdentityRegions")
    assert regions["inputs"]["source.boxes"] == [key, 1]
    inputs = prompt[key]["inputs"]
    width, height = inputs["width"], inputs["height"]
    assert (regions["inputs"]["source.width"], regions["inputs"]["source.height"]) == (width, height)
    drawn = [[box[name] for name in ("x", "y", "width", "height")] for box in _boxes(inputs["editor_state"])]
    wanted = [
        [0.55 * width, 0.2 * height, 0.4 * width, 0.7 * height],
        [0.05 * width, 0.3 * height, 0.4 * width, 0.6 * height],
    ]
    assert len(drawn) == 2
    assert (
        max(abs(a - b) for box, other in zip(drawn, wanted, strict=True) for a, b in zip(box, other, strict=True)) < 25
    )
    assert page.complaints == []
    page.tab.close()


def _boxes(value: Any) -> list[dict[str, float]]:
    """A widget's list, which the page wraps so that it is not taken for a link."""
    return value["__value__"] if isinstance(value, dict) else value
