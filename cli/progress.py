"""Shows how far a workflow is: one line that renews itself on a terminal, one line per finished node elsewhere."""

from __future__ import annotations

import shutil
import sys
import time

from .outcome import title_of
from .workflow import Prompt

WIDTH = 24


class Bar:
    """Progress of one prompt over all its nodes."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.done: set[str] = set()
        self.started: dict[str, float] = {}
        self.live = sys.stdout.isatty()

    def show(self, node_id: str, fraction: float, ended: bool) -> None:
        """Called by the runner: a node is at `fraction` (0 to 1), or has ended."""
        began = self.started.setdefault(node_id, time.perf_counter())
        title = title_of(self.prompt, node_id)
        if ended and node_id in self.prompt:
            self.done.add(node_id)
            if not self.live:
                took = time.perf_counter() - began
                print(f"  {len(self.done):3}/{len(self.prompt)}  {title}  {took:.2f} s", flush=True)
        if self.live:
            whole = (len(self.done) + (0.0 if ended else min(fraction, 1.0))) / len(self.prompt)
            bar = "█" * round(whole * WIDTH)
            line = f"[{bar:░<{WIDTH}}] {len(self.done)}/{len(self.prompt)} {title}"
            print("\r" + line[: shutil.get_terminal_size().columns - 1].ljust(self._width()), end="", flush=True)

    def end(self) -> None:
        """Leave the terminal's line."""
        if self.live:
            print("\r" + " " * self._width() + "\r", end="", flush=True)

    @staticmethod
    def _width() -> int:
        return max(shutil.get_terminal_size().columns - 1, 20)
