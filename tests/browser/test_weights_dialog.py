"""The Doctor's button in a real browser: licence read, agreed, fetched from a real server, with its progress."""

from __future__ import annotations

from typing import Any

from likeness.tests.browser.test_browser import Page, browser  # noqa: F401
from likeness.tests.comfyui_server import ROOT, ComfyServer
from likeness.tests.download.file_server import Served, serving

WORKFLOW = ROOT / "example_workflows" / "check_installation.json"
#: No hash of it is published, so that a small file can stand for it; the other one's is, so that it cannot.
RIGHT, WRONG = "simswap_256", "hififace_unofficial_256"


def open_dialog(page: Page) -> None:
    page.load(WORKFLOW)
    page.tab.get_by_role("button", name="Get weights…").first.click()
    page.tab.wait_for_selector("dialog.likeness-weights")


def choose(page: Page, weights_id: str) -> Any:
    page.tab.fill("dialog.likeness-weights input[type=search]", weights_id)
    page.tab.check(f'input[aria-label="get {weights_id}"]')
    return page.tab.locator("dialog.likeness-weights footer button", has_text="Get ")


def test_the_button_fetches_after_agreement_and_says_what_went_wrong(
    browser: Any,  # noqa: F811
    comfyui: ComfyServer,
) -> None:
    folder = comfyui.base / "models" / "facefusion"
    with serving(port=comfyui.mirror_port) as mirror:
        for name in (RIGHT, WRONG):
            mirror.files[f"/facefusion/{name}.onnx"] = Served(b"not the model" * 20_000)
        for needed in ("crossface_simswap", "crossface_hififace"):
            mirror.files[f"/facefusion/{needed}.onnx"] = Served(b"?")
        page = Page(browser, comfyui, nodes_2=True)
        open_dialog(page)
        get = choose(page, RIGHT)
        assert get.is_disabled() and get.inner_text() == "Get 3 file(s), 196 MB and 1 of unknown size"
        assert "Agree to the licence" in page.tab.locator("dialog.likeness-weights footer").inner_text()
        assert mirror.asked == []
        for box in page.tab.locator("dialog.likeness-weights .terms input:visible").all():
            box.check()
        page.shoot("weights_dialog_agreed")
        get.click()
        page.tab.wait_for_selector(f'label:has(input[aria-label="get {RIGHT}"]) [data-state=done]', timeout=20_000)
        assert (folder / f"{RIGHT}.onnx").stat().st_size == 260_000
        choose(page, WRONG)
        for box in page.tab.locator("dialog.likeness-weights .terms input:visible").all():
            box.check()
        get.click()
        failed = page.tab.wait_for_selector(
            f'label:has(input[aria-label="get {WRONG}"]) [data-state=failed]', timeout=20_000
        )
        assert "has 260000 bytes, expected 203784742 bytes: another file" in failed.inner_text()
        page.shoot("weights_dialog_failed")
        page.tab.get_by_role("button", name="Close").last.click()
        assert page.tab.locator("dialog.likeness-weights").count() == 0
        assert page.complaints == []
        page.tab.close()
    (folder / f"{RIGHT}.onnx").unlink()
    (comfyui.base / "models" / "likeness" / "fetched.json").unlink()


def test_a_load_node_offers_its_weights_in_its_menu(browser: Any, comfyui: ComfyServer) -> None:  # noqa: F811
    page = Page(browser, comfyui, nodes_2=False)
    content = page.tab.evaluate(
        """async (type) => {
          const node = LiteGraph.createNode(type);
          app.graph.add(node);
          const items = app.extensions.find((e) => e.name === "Likeness.Weights").getNodeMenuItems(node);
          items.at(-1).callback();
          return items.at(-1).content;
        }""",
        "LikenessLoadDiceTalk",
    )
    assert content == "Likeness: Get weights…"
    page.tab.wait_for_selector("dialog.likeness-weights")
    assert page.tab.input_value("dialog.likeness-weights input[type=search]") == "LoadDiceTalk"
    shown = page.tab.locator("dialog.likeness-weights .file:visible").all_inner_texts()
    assert shown and all("Load DICE-Talk" in text for text in shown)
    page.tab.close()
