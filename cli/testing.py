"""./likeness test: the whole suite, with the ComfyUI of the launcher and a Chromium where one can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .home import CHECKOUT, say
from .run import chosen_comfyui

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
INSTALL_LIMIT_S = 600


def main(arguments: list[str]) -> int:
    """Run pytest with the arguments given; its exit code comes back."""
    environment = dict(os.environ, COMFYUI_DIR=str(chosen_comfyui().folder))
    # More threads only get in each other's way on the small networks and pictures of the tests.
    environment.setdefault("OMP_NUM_THREADS", "1")
    browser = find_chromium() or _installed_chromium()
    if browser:
        environment["LIKENESS_CHROMIUM"] = browser
        say(f"Browser tests use {browser}")
    else:
        say("Browser tests are skipped: no Chromium, Chrome or Edge was found and none could be installed.")
    # Skips are listed with their reasons and counted in the last line. A file's tests share their ComfyUI, so they stay
    # in one process; more than four processes would hold more ComfyUIs in memory than a laptop has.
    spread = ["--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
    command = [sys.executable, "-m", "pytest", "-rs", "--rootdir", str(CHECKOUT), *spread, *arguments]
    return subprocess.call(command, cwd=CHECKOUT, env=environment)


def find_chromium() -> str | None:
    """A browser of the Chromium family on this machine: LIKENESS_CHROMIUM, PATH, the usual places."""
    asked = os.environ.get("LIKENESS_CHROMIUM")
    found = [asked] if asked else [path for name in NAMES if (path := shutil.which(name))]
    found += [place for place in PLACES if Path(place).is_file()]
    return found[0] if found else None


def _installed_chromium() -> str | None:
    """Install Chromium through the system's package manager, where that needs no password."""
    for command in _install_commands():
        say(f"Installing Chromium for the browser tests: {' '.join(command)}")
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            say(f"  gave up after {INSTALL_LIMIT_S} s")
            return None
        if done.returncode:
            say(f"  failed with exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
            return None
    return find_chromium()


def _install_commands() -> list[list[str]]:
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "--quiet", "chromium"]
        return [["apt-get", "update", "--quiet"], install]
    if sys.platform == "darwin" and shutil.which("brew"):
        return [["brew", "install", "--quiet", "--cask", "google-chrome"]]
    if sys.platform == "win32" and shutil.which("winget"):
        agree = ["--accept-package-agreements", "--accept-source-agreements"]
        return [["winget", "install", "--silent", "--exact", "--id", "Google.Chrome", *agree]]
    return []
