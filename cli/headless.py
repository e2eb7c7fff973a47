"""The real ComfyUI, in this process, without its server: nodes, prompt executor and cache."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from .comfyui import ComfyUI
from .errors import CommandError
from .home import CHECKOUT
from .outcome import Outcome, Watch, failure, refusal
from .workflow import Prompt

# node results that stay alive between prompts of one process
CACHED_NODES = 100


class Definitions(Mapping[str, Mapping[str, Any]]):
    """Node type -> its definition, made when it is asked for (making all of them scans every model folder)."""

    def __init__(self, classes: Mapping[str, Any], titles: Mapping[str, str]) -> None:
        self._classes = classes
        self._titles = titles
        self._made: dict[str, dict[str, Any]] = {}

    def __getitem__(self, name: str) -> dict[str, Any]:
        if name not in self._made:
            node = self._classes[name]
            outputs = list(getattr(node, "RETURN_TYPES", ()))
            self._made[name] = {
                "input": node.INPUT_TYPES(),
                "output": outputs,
                "output_name": list(getattr(node, "RETURN_NAMES", None) or outputs),
                "output_node": bool(getattr(node, "OUTPUT_NODE", False)),
                "display_name": self._titles.get(name, name),
            }
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)


class Headless:
    """One ComfyUI per process: its device, folders and progress are module globals.

    output: where saved pictures go. cpu: use no GPU even if there is one.
    """

    def __init__(self, comfy: ComfyUI, output: Path, cpu: bool = False) -> None:
        self.comfy = comfy
        self._import(cpu)
        import comfy.utils
        import execution
        import folder_paths

        import nodes

        self._folders, self._execution, self._nodes = folder_paths, execution, nodes
        self._temp = Path(tempfile.mkdtemp(prefix="likeness-"))
        (self._temp / "temp").mkdir()
        folder_paths.set_temp_directory(str(self._temp / "temp"))
        self.output = output.resolve()
        self.output.mkdir(parents=True, exist_ok=True)
        folder_paths.set_output_directory(str(self.output))
        self._server = _server()
        comfy.utils.set_progress_bar_global_hook(self._progress)
        asyncio.run(self._load_nodes())
        self._executor = execution.PromptExecutor(
            self._server,
            cache_type=execution.CacheType.LRU,
            cache_args={"lru": CACHED_NODES, "ram": 2.0, "ram_inactive": 2.0},
        )
        self.definitions = Definitions(nodes.NODE_CLASS_MAPPINGS, nodes.NODE_DISPLAY_NAME_MAPPINGS)

    @property
    def input(self) -> Path:
        """The folder that Load Image reads from."""
        return Path(self._folders.get_input_directory())

    def close(self) -> None:
        """Remove the pictures that were only previews."""
        shutil.rmtree(self._temp, ignore_errors=True)

    def _import(self, cpu: bool) -> None:
        """Set ComfyUI's options the way its command line would, before its modules read them."""
        os.environ.setdefault("DO_NOT_TRACK", "1")
        sys.path.insert(0, str(self.comfy.folder))
        import comfy.options
        import torch

        comfy.options.enable_args_parsing(False)
        from comfy.cli_args import args

        args.cpu = cpu or not _has_accelerator(torch)
        args.disable_api_nodes = True
        args.use_pytorch_cross_attention = args.cpu
        if self.comfy.base != self.comfy.folder:
            args.base_directory = str(self.comfy.base)
        import utils.extra_config

        paths = self.comfy.folder / "extra_model_paths.yaml"
        if paths.is_file():
            utils.extra_config.load_extra_path_config(str(paths))

    async def _load_nodes(self) -> None:
        await self._nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)
        if not await self._nodes.load_custom_node(str(CHECKOUT), set(self._nodes.NODE_CLASS_MAPPINGS)):
            raise CommandError(
                f"ComfyUI {self.comfy.version} could not load the pack in {CHECKOUT}; its reason is above."
            )

    def _progress(
        self, value: int, total: int, preview: object, prompt_id: str | None = None, node_id: str | None = None
    ) -> None:
        import comfy.model_management
        from comfy_execution.progress import get_progress_state
        from comfy_execution.utils import get_executing_context

        comfy.model_management.throw_exception_if_processing_interrupted()
        context = get_executing_context()
        running = node_id or (context.node_id if context else self._server.last_node_id)
        if running is not None:
            get_progress_state().update_progress(running, value, total, None)

    def run(self, prompt: Prompt, show: Callable[[str, float, bool], None] | None = None) -> Outcome:
        """Run a prompt to its end.

        show: called with (node id, fraction done, whether the node ended).
        Raises CommandError with the node's title and message when the prompt is refused or a node fails.
        """
        prompt_id = str(uuid.uuid4())
        watch = Watch(show or (lambda node_id, fraction, ended: None))
        self._server.watch = watch
        with _quiet(), self._stoppable():
            valid, error, outputs, node_errors = asyncio.run(self._execution.validate_prompt(prompt_id, prompt, None))
            if not valid or node_errors:
                raise CommandError(refusal(prompt, error, node_errors))
            # As the workflow has them: the executor would take them in the order of a set.
            ordered = [node_id for node_id in prompt if node_id in outputs]
            self._executor.execute(prompt, prompt_id, {"client_id": "likeness"}, ordered)
        for event, data in self._executor.status_messages:
            if event == "execution_interrupted":
                raise KeyboardInterrupt
            if event == "execution_error":
                raise CommandError(failure(prompt, data))
        return self._outcome(prompt, self._executor.history_result["outputs"], watch)

    def value(self, node_id: str, slot: int) -> Any:
        """What a node of the last prompt gave at an output. Raises CommandError when it did not run."""
        entry = asyncio.run(self._executor.caches.outputs.get(node_id))
        if entry is None or slot >= len(entry.outputs):
            raise CommandError(f"Node {node_id} has no output {slot} in the last run.")
        return entry.outputs[slot][0]

    def _outcome(self, prompt: Prompt, outputs: dict[str, dict[str, Any]], watch: Watch) -> Outcome:
        files: list[tuple[str, Path]] = []
        texts: list[tuple[str, str]] = []
        order = {node_id: place for place, node_id in enumerate(prompt)}
        # Nodes that a node made while it ran are not in the prompt; their ids begin with its id.
        for node_id in sorted(outputs, key=lambda made: order.get(made.split(".", 1)[0], len(order))):
            for items in outputs[node_id].values():
                for item in items if isinstance(items, (list, tuple)) else ():
                    if isinstance(item, dict) and item.get("filename"):
                        folder = self._folders.get_directory_by_type(item.get("type", "output"))
                        files.append((node_id, Path(folder, item.get("subfolder", ""), item["filename"])))
                    elif isinstance(item, str):
                        texts.append((node_id, item))
        return Outcome(outputs, tuple(files), tuple(texts), watch.seconds, frozenset(watch.cached))

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Ctrl-C stops the running node the way ComfyUI's own button does; a second one leaves at once."""
        import comfy.model_management

        def stop(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            comfy.model_management.interrupt_current_processing()

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _has_accelerator(torch: Any) -> bool:
    return bool(torch.cuda.is_available() or torch.backends.mps.is_available() or torch.xpu.is_available())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the executor from logging the errors that come back as exceptions anyway."""
    logger = logging.getLogger()
    level = logger.level
    if level > logging.INFO:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _server() -> SimpleNamespace:
    """What nodes and executor ask of the server, without sockets."""
    import server
    from aiohttp import web
    from app.node_replace_manager import NodeReplaceManager

    stand_in = SimpleNamespace(
        client_id=None, last_node_id=None, last_prompt_id=None, sockets_metadata={}, watch=None,
        routes=web.RouteTableDef(), node_replace_manager=NodeReplaceManager(), supports=[],
    )  # fmt: skip

    def send_sync(event: Any, data: Any, sid: str | None = None) -> None:
        if stand_in.watch is not None and isinstance(event, str):
            stand_in.watch.event(event, data)

    stand_in.send_sync = send_sync
    stand_in.queue_updated = lambda: None
    stand_in.send_progress_text = lambda text, node_id, sid=None: None
    stand_in.add_on_prompt_handler = lambda handler: None
    server.PromptServer.instance = stand_in
    return stand_in
