"""Nodes that keep motions on disk and read those of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import folder_paths
from comfy_api.latest import io

from ..pipelines.files.writing import IfExists
from ..pipelines.motion.live_link import CsvOptions
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.report import describe_motion
from ..pipelines.motion.storage import Format, load_motion, save_motion
from . import sockets
from .expression import CATEGORY, motion_output
from .reports import SHOWS_REPORT, report_output, shown

ENDINGS = (".csv", ".json", ".safetensors")

#: Below ComfyUI's output folder.
SAVED = Path("likeness", "motions")


def motion_files() -> list[str]:
    """Files in the input folder, then those that Save Motion wrote, which carry ComfyUI's mark of the output folder."""
    own = _listed(Path(folder_paths.get_input_directory()))
    saved = _listed(Path(folder_paths.get_output_directory()) / SAVED)
    return own + [f"{(SAVED / name).as_posix()} [output]" for name in saved]


def _listed(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())


class MotionFromFile(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessMotionFromFile",
            display_name="Motion From File",
            category=CATEGORY,
            description="Reads a motion: what Save Motion wrote, a CSV of Apple's Live Link Face app, or JSON.",
            search_aliases=["live link face", "ARKit csv", "load motion", "audio2face", "iPhone"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "file",
                    options=motion_files(),
                    tooltip="A .csv, .json or .safetensors file in ComfyUI's input folder, or one that Save Motion "
                    "wrote (output/likeness/motions). Press R after adding one.",
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=0.01,
                    tooltip="Frames per second of a CSV; 0 takes it from the time codes. Other files know theirs.",
                ),
                io.Boolean.Input(
                    "flip_head",
                    default=False,
                    tooltip="Turn the head the other way: for CSV files of apps and mirrored recordings that count yaw "
                    "and roll the other way.",
                ),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        if file in motion_files():
            return True
        present = ", ".join(motion_files()) or "none yet"
        return f"There is no motion file {file!r}. Motion files: {present}. Put one into ComfyUI's input folder."

    @classmethod
    def fingerprint_inputs(cls, file: str, **_others: object) -> str:
        path = Path(folder_paths.get_annotated_filepath(file))
        return f"{path.stat().st_mtime_ns}:{path.stat().st_size}"

    @classmethod
    def execute(cls, file: str, fps: float, flip_head: bool) -> io.NodeOutput:
        motion, notes = load_motion(Path(folder_paths.get_annotated_filepath(file)), CsvOptions(fps, flip_head))
        report = "\n".join(part for part in (notes, describe_motion(motion)) if part)
        return io.NodeOutput(motion, report, ui=shown(report))


class SaveMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSaveMotion",
            display_name="Save Motion",
            category=CATEGORY,
            description="Writes a motion into output/likeness/motions, for Motion From File or other programs.",
            search_aliases=["export motion", "live link csv", "export blendshapes"],
            is_output_node=True,
            inputs=[
                sockets.Motion.Input("motion", tooltip="What to save."),
                io.String.Input("name", default="motion", tooltip="File name without folder."),
                io.Combo.Input(
                    "format",
                    options=list(get_args(Format)),
                    default="safetensors",
                    tooltip="safetensors keeps everything. csv: as Live Link Face writes it, for Unreal, Blender and "
                    "others. json: for scripts.",
                ),
                io.Combo.Input(
                    "if_exists",
                    options=list(get_args(IfExists)),
                    default="number",
                    tooltip="When there is a file of that name. number: write name_2 beside it. overwrite: replace it. "
                    "error: stop.",
                ),
            ],
            outputs=[io.String.Output("path", display_name="path", tooltip="The file that was written.")],
        )

    @classmethod
    def execute(cls, motion: Motion, name: str, format: Format, if_exists: IfExists) -> io.NodeOutput:
        folder = Path(folder_paths.get_output_directory()) / SAVED
        path = save_motion(motion, folder, name, format, if_exists)
        return io.NodeOutput(str(path), ui=shown(f"Saved {len(motion)} frame(s) as {path}"))
