"""What must hold of the fetches of the page's dialog; run inside ComfyUI by comfy_runtime_cases.py."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def case_a_mistake_in_one_fetch_is_told_and_the_next_files_are_still_fetched(runtime: Any) -> None:
    sys.argv = sys.argv[:1]
    from server import PromptServer

    from likeness.nodes import fetching
    from likeness.pipelines.errors import DownloadError

    class Server:
        def send_sync(self, event: str, data: dict[str, Any]) -> None:
            told.append((data["id"], data["state"], data["message"]))

    def fetch(one: Any, *rest: Any) -> Path:
        if one.id == "broken":
            raise UnicodeError("label empty")
        if one.id == "refused":
            raise DownloadError("another file")
        return Path(one.id)

    def wait(count: int) -> None:
        end = time.monotonic() + 10
        while len(told) < count and time.monotonic() < end:
            time.sleep(0.01)

    told: list[tuple[str, str, str]] = []
    died: list[str] = []
    PromptServer.instance, fetching.fetch = Server(), fetch
    threading.excepthook = lambda args: died.append(repr(args.exc_value))
    fetches = fetching.Fetches(SimpleNamespace(manifest=None, runtime=None))
    fetches.add([(SimpleNamespace(id=name), "") for name in ("broken", "refused", "fine", "good")])
    wait(8)
    fetches.add([(SimpleNamespace(id="broken"), ""), (SimpleNamespace(id="later"), "")])
    wait(12)
    ended = [(name, state) for name, state, _ in told if state != "waiting"]
    assert ended == [
        *(("broken", "failed"), ("refused", "failed"), ("fine", "done"), ("good", "done")),
        *(("broken", "failed"), ("later", "done")),
    ], ended
    texts = [text for name, state, text in told if (name, state) == ("broken", "failed")]
    assert "broken could not be fetched: UnicodeError('label empty'). This is a mistake" in texts[0]
    assert died == ["UnicodeError('label empty')"] * 2, died
