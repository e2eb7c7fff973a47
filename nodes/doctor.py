"""The node that examines the installation."""

from __future__ import annotations

import json
from pathlib import Path

import comfyui_version
import folder_paths
from comfy_api.latest import io

from ..pipelines.doctor.checkup import examine
from ..pipelines.doctor.text import as_text
from .comfy_runtime import shared_registry
from .reports import SHOWS_REPORT, report_output, shown


class Doctor(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessDoctor",
            display_name="Check Installation (Doctor)",
            category="Likeness/setup",
            description="Says what is installed, on which device things really run, which backends auto chooses and "
            "why, which weights are missing, misplaced or wrong, and which other packs are in the way. Its button "
            "gets missing weights.",
            search_aliases=["doctor", "missing models", "download models", "weights", "licence", "diagnose"],
            is_output_node=True,
            not_idempotent=True,
            **SHOWS_REPORT,
            inputs=[
                io.Boolean.Input(
                    "check_contents",
                    default=False,
                    tooltip="Read every weights file and compare its sha256: about a second per GB. Otherwise "
                    "sizes are compared, and contents when a model is loaded.",
                ),
            ],
            outputs=[
                report_output(),
                io.String.Output("json", display_name="json", tooltip="The same for programs."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs: object) -> float:
        return float("nan")  # the disk may have changed

    @classmethod
    def execute(cls, check_contents: bool) -> io.NodeOutput:
        host = {"version": comfyui_version.__version__, "in": folder_paths.base_path}
        packs = [Path(path) for path in folder_paths.get_folder_paths("custom_nodes")]
        found = examine(shared_registry(), packs, host, check_contents)
        report = as_text(found)
        return io.NodeOutput(report, json.dumps(found, indent=2), ui=shown(report))
