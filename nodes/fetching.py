"""What the page's dialog asks of the server: which weights there are, and to fetch those the user has agreed to."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

from aiohttp import web
from server import PromptServer

from ..pipelines.download.fetch import addresses, fetch
from ..pipelines.download.terms import (
    Published,
    check_agreed,
    check_can_fetch,
    named,
    present,
    size_text,
    terms,
    with_needs,
)  # fmt: skip
from ..pipelines.errors import CancelledError, InputError, LikenessError, NotAgreedError
from ..pipelines.registry import Registry
from ..pipelines.weights import WeightsEntry, target
from .comfy_runtime import shared_registry

EVENT = "likeness.fetch"
_MOST_BYTES, _MOST_IDS = 64_000, 100
_EVERY_S = 0.2
_OURS = "This is a mistake in the pack: please report it with what ComfyUI's console says."


class Fetches:
    """Fetches one file after the other in a thread of its own; `states` says how far each is."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.states: dict[str, dict[str, Any]] = {}
        self._cancelled: set[str] = set()
        self._waiting: SimpleQueue[tuple[Published, str]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, files: list[tuple[Published, str]]) -> None:
        """Queue files with the terms agreed to; those under way already stay as they are."""
        with self._lock:
            for one, agreed in files:
                if self.states.get(one.id, {}).get("state") in ("waiting", "running"):
                    continue
                self._cancelled.discard(one.id)
                self._tell(one.id, "waiting")
                self._waiting.put((one, agreed))
            if self._thread is None:
                self._begin()

    def cancel(self, ids: list[str]) -> None:
        """Stop these; what has arrived is kept."""
        self._cancelled.update(ids)

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._work, name="likeness fetch", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while True:
            one, agreed = self._waiting.get()
            ended = False
            try:
                self._bring(one, agreed)
                ended = True
            finally:
                # a mistake of ours ends this thread, which prints where; the files that wait get another one
                if not ended:
                    self._replace(one.id, sys.exc_info()[1])

    def _replace(self, weights_id: str, mistake: BaseException | None) -> None:
        try:
            self._tell(weights_id, "failed", message=f"{weights_id} could not be fetched: {mistake!r}. {_OURS}")
        finally:
            self._begin()

    def _bring(self, one: Published, agreed: str) -> None:
        try:
            path = fetch(one, self.registry.manifest, self.registry.runtime, agreed, self._report(one.id))
            self._tell(one.id, "done", message=str(path))
        except CancelledError:
            self._tell(one.id, "cancelled", message="Stopped; the next fetch goes on from here.")
        except (LikenessError, OSError) as error:
            self._tell(one.id, "failed", message=str(error))

    def _report(self, weights_id: str) -> Any:
        told = 0.0

        def report(done: int, total: int | None) -> None:
            nonlocal told
            if weights_id in self._cancelled:
                raise CancelledError(f"{weights_id} was stopped.")
            if time.monotonic() - told > _EVERY_S:
                told = time.monotonic()
                self._tell(weights_id, "running", done, total)

        return report

    def _tell(self, weights_id: str, state: str, done: int = 0, total: int | None = None, message: str = "") -> None:
        self.states[weights_id] = {"id": weights_id, "state": state, "done": done, "total": total, "message": message}
        PromptServer.instance.send_sync(EVENT, self.states[weights_id])


def described(one: Published, registry: Registry) -> dict[str, Any]:
    """What the dialog shows of a file or an archive."""
    problem, path = "", None
    try:
        path = present(one, registry.manifest, registry.runtime)
    except LikenessError as error:
        problem = str(error)
    entry = one if isinstance(one, WeightsEntry) else None
    return {
        "id": one.id,
        "file": one.file,
        "bytes": one.size_bytes or (entry.about_bytes if entry else None),
        "size": size_text(one),
        "terms": terms(one),
        "hash_known": one.sha256 is not None,
        "from": [url for url, _ in addresses(one)],
        "target": str(target(one, registry.runtime)),
        "path": str(path) if path else None,
        "problem": problem,
        "needs": list(entry.needs) if entry else [],
        "used_by": list(entry.used_by if entry else registry.manifest.entry(one.contains[0]).used_by),
        "archive": entry is None,
    }


def asked_for(body: Any, registry: Registry) -> list[tuple[Published, str]]:
    """The missing files of a request with the terms agreed to, checked.

    body: {"agreed": {id: terms}}. Raises InputError for another form or an unknown id, NotAgreedError unless exactly
    the terms of every file, and of those it needs, were agreed to.
    """
    agreed = body.get("agreed") if isinstance(body, Mapping) else None
    if not isinstance(agreed, Mapping) or not 0 < len(agreed) <= _MOST_IDS:
        raise InputError(f'The request must be {{"agreed": {{id: terms}}}} with 1 to {_MOST_IDS} ids.')
    if not all(isinstance(text, str) for text in agreed.values()):
        raise InputError("The terms agreed to must be texts.")
    for weights_id in agreed:
        check_can_fetch(named(registry.manifest, weights_id))
    wanted: list[tuple[Published, str]] = []
    for one in with_needs(registry.manifest, list(agreed)):
        is_embedded = isinstance(one, WeightsEntry) and one.embedded
        if not is_embedded and present(one, registry.manifest, registry.runtime) is None:
            check_agreed(one, agreed.get(one.id, ""))
            wanted.append((one, agreed[one.id]))
    return wanted


def register_routes() -> None:
    """Add our routes to ComfyUI's server, which refuses other sites' requests; without a server there are none."""
    server = getattr(PromptServer, "instance", None)
    if server is None:
        return
    fetches = Fetches(shared_registry())
    registry, routes = fetches.registry, server.routes

    @routes.get("/likeness/weights")
    async def list_weights(request: web.Request) -> web.Response:
        manifest = registry.manifest
        files = [*manifest.archives, *(entry for entry in manifest.entries if not entry.embedded)]
        found = await asyncio.to_thread(lambda: [described(one, registry) for one in files])
        return web.json_response({"weights": found, "states": fetches.states})

    @routes.post("/likeness/fetch")
    async def start(request: web.Request) -> web.Response:
        return await _answer(request, lambda body: _start(fetches, body))

    @routes.post("/likeness/fetch/cancel")
    async def cancel(request: web.Request) -> web.Response:
        return await _answer(request, lambda body: _cancel(fetches, body))


def _start(fetches: Fetches, body: Any) -> dict[str, Any]:
    wanted = asked_for(body, fetches.registry)
    fetches.add(wanted)
    return {"fetching": [one.id for one, _ in wanted]}


def _cancel(fetches: Fetches, body: Any) -> dict[str, Any]:
    ids = body.get("ids") if isinstance(body, Mapping) else None
    if not isinstance(ids, list) or not all(isinstance(name, str) and name in fetches.states for name in ids):
        raise InputError('The request must be {"ids": [...]} with ids that are being fetched.')
    fetches.cancel(ids)
    return {"cancelled": ids}


async def _answer(request: web.Request, act: Any) -> web.Response:
    # a form of another site can be posted without asking the browser, JSON cannot
    if request.content_type != "application/json":
        return web.json_response({"error": "The request must be application/json."}, status=415)
    if request.content_length is None or request.content_length > _MOST_BYTES:
        return web.json_response({"error": f"The request must say its size, at most {_MOST_BYTES} bytes."}, status=413)
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return web.json_response({"error": "The request is no JSON."}, status=400)
    try:
        return web.json_response(await asyncio.to_thread(act, body))
    except NotAgreedError as error:
        return web.json_response({"error": str(error)}, status=403)
    except LikenessError as error:
        return web.json_response({"error": str(error)}, status=400)
