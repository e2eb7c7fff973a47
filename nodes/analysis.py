"""Nodes that load the networks which find and tell apart faces."""

from __future__ import annotations

from comfy_api.latest import io

from ..pipelines.identity.backends import BACKENDS, load_analysis
from . import sockets
from .comfy_runtime import shared_registry
from .reports import SHOWS_REPORT, report_output, shown


class LoadFaceAnalysis(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadFaceAnalysis",
            display_name="Load Face Analysis",
            category="Likeness/identity",
            description="The networks that find faces, measure them and tell people apart.",
            search_aliases=["insightface", "face detector", "arcface", "antelopev2", "buffalo_l"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "backend",
                    options=["auto", *BACKENDS],
                    default="auto",
                    tooltip="auto: the best one whose files are present; the report says which and why. "
                    "embedded: arrives with the pack, free for any use, works everywhere. "
                    "antelopev2, buffalo_l: insightface's, surer with small and turned faces, but for "
                    "non-commercial research only, and their files must be in models/insightface. "
                    "arc2face: what the adapter Arc2Face needs, research only too.",
                ),
            ],
            outputs=[
                sockets.Analysis.Output("analysis", display_name="analysis"),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, backend: str) -> io.NodeOutput:
        analysis, report = load_analysis(shared_registry(), backend)
        return io.NodeOutput(analysis, report, ui=shown(report))
