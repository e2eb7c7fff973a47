"""Videos of the speech workflows in a real browser: they play, and they are heard; the blueprint is found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from likeness.tests.browser.test_browser import Page, browser  # noqa: F401
from likeness.tests.comfyui_server import ROOT, ComfyServer

#: Plays a video of the page to its end, and says what was decoded of it.
PLAY = """
async (url) => {
  const film = document.createElement('video');
  film.src = url;
  film.playbackRate = 3;
  document.body.append(film);
  const ended = new Promise((done, failed) => {
    film.onended = done;
    film.onerror = () => failed(new Error(`${film.error.code}: ${film.error.message}`));
  });
  await film.play();
  await ended;
  const found = {
    seconds: film.duration,
    width: film.videoWidth,
    height: film.videoHeight,
    frames: film.getVideoPlaybackQuality().totalVideoFrames,
    heard: film.webkitAudioDecodedByteCount,
    seen: film.webkitVideoDecodedByteCount,
  };
  film.remove();
  return found;
}
"""


@pytest.fixture(scope="module")
def page(browser: Any, comfyui: ComfyServer) -> Iterator[Page]:  # noqa: F811
    opened = Page(browser, comfyui, nodes_2=False)
    yield opened
    opened.tab.close()


def played(page: Page, outputs: dict[str, dict[str, Any]]) -> dict[str, float]:
    """What the browser decoded of the saved video, from its beginning to its end."""
    (film,) = (one for found in outputs.values() for one in found.get("images", ()) if one["filename"].endswith(".mp4"))
    url = f"/api/view?filename={film['filename']}&subfolder={film['subfolder']}&type={film['type']}"
    return page.tab.evaluate(PLAY, url)


@pytest.mark.parametrize(
    ("name", "seconds", "frames"),
    [
        ("talking_portrait", 3.00, 75),
        ("emotional_talk", 3.20, 80),
        ("speech_motion_edited", 3.00, 75),
        ("dubbed_video", 2.99, 38),
        ("two_speakers", 6.20, 155),
    ],
)
def test_the_video_of_a_speech_workflow_plays_to_its_end_with_sound(
    page: Page, name: str, seconds: float, frames: int
) -> None:
    page.load(ROOT / "example_workflows" / f"{name}.json")
    film = played(page, page.press_run())
    page.fit()
    page.shoot(name)
    assert abs(film["seconds"] - seconds) < 0.03
    assert film["frames"] >= 0.5 * frames  # a busy machine drops some
    assert film["seen"] > 10_000
    assert film["heard"] > 1000 * seconds
    assert page.complaints == []


def test_the_blueprint_is_found_in_the_node_search_and_becomes_a_node(page: Page) -> None:
    page.tab.evaluate("() => app.graph.clear()")
    page.tab.locator("#graph-canvas").dblclick(position={"x": 900, "y": 700})
    page.tab.wait_for_timeout(1000)
    page.tab.keyboard.type("talking portrait", delay=30)
    page.tab.wait_for_timeout(1500)
    page.shoot("talking_portrait_search")
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_timeout(1500)
    made = page.tab.evaluate("() => app.graph.nodes.map((n) => [n.title, n.inputs.map((i) => i.name)])")
    assert [title for title, _ in made] == ["Talking Portrait"]
    assert {"image", "audio", "transcript", "emotion"} <= set(made[0][1])
    assert page.complaints == []
