"""Nodes that write what was done to faces into files, and read it again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import folder_paths
from comfy.cli_args import args
from comfy_api.latest import Input, Types, io, ui
from torch import Tensor

from ..pipelines.errors import LikenessError
from ..pipelines.safety.credentials import find_credentials, read_credentials, sign_file
from ..pipelines.safety.picture_files import PICTURES, VIDEOS, read_statement, save_picture
from ..pipelines.safety.statement import Statement, to_json
from .operations import statement_of
from .reports import report_output, shown

CATEGORY = "Likeness/provenance"

#: Nodes of ComfyUI that load a file whose statement goes on -> the input that names it.
LOADERS = {"LoadImage": "image", "LoadImageOutput": "image", "LoadVideo": "file"}
#: The newest files that Read Provenance lists.
MOST_LISTED = 500
#: Below ComfyUI's user folder, in a part that is never served over HTTP.
CREDENTIALS = "likeness"


def _save_inputs(prefix: str) -> list[io.Input]:
    return [
        io.String.Input(
            "filename_prefix",
            default=prefix,
            tooltip="Below ComfyUI's output folder; also with %date:yyyy-MM-dd% and the like, as in Save Image.",
        ),
        io.Boolean.Input(
            "provenance",
            default=True,
            tooltip="Write into the file which people, faces and models the nodes of this pack worked with. Off: the "
            "file does not say so, and the report tells you.",
        ),
        io.Boolean.Input(
            "sign",
            default=True,
            advanced=True,
            tooltip="Add signed C2PA content credentials when there is a certificate (certificate.pem and "
            "private_key.pem in ComfyUI/user/__likeness) and the package c2pa-python. Without a certificate nothing "
            "is signed, and the report says so.",
        ),
    ]


def _file_output() -> io.String.Output:
    return io.String.Output("file", display_name="file", tooltip="The (first) file, for Read Provenance.")


def _marked(path: Path) -> str:
    """A file of the output folder as ComfyUI names it in a graph."""
    return f"{path.relative_to(folder_paths.get_output_directory()).as_posix()} [output]"


_HIDDEN = [io.Hidden.unique_id, io.Hidden.dynprompt, io.Hidden.prompt, io.Hidden.extra_pnginfo]


class SavePictures(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSavePictures",
            display_name="Save Pictures",
            category=CATEGORY,
            description="Saves pictures as PNG with a statement of what was done to whose face, signed if you have a "
            "certificate.",
            search_aliases=["save image", "c2pa", "content credentials", "provenance", "ai label"],
            is_output_node=True,
            inputs=[io.Image.Input("images", tooltip="What to save."), *_save_inputs("likeness/picture")],
            hidden=_HIDDEN,
            outputs=[_file_output(), report_output()],
        )

    @classmethod
    def execute(cls, images: Tensor, filename_prefix: str, provenance: bool, sign: bool) -> io.NodeOutput:
        statement = _statement(cls.hidden) if provenance else None
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), images.shape[2], images.shape[1]
        )
        texts = {key: json.dumps(value) for key, value in _graph(cls.hidden).items()}
        saved: list[Path] = []
        for number, image in enumerate(images):
            stem = f"{name.replace('%batch_num%', str(number))}_{counter + number:05}_"
            saved.append(save_picture(image, Path(folder) / f"{stem}.png", statement, texts))
        report = _finish(saved, statement, sign)
        results = [ui.SavedResult(path.name, subfolder, io.FolderType.output) for path in saved]
        return io.NodeOutput(_marked(saved[0]), report, ui=shown(report) | ui.SavedImages(results).as_dict())


class SaveVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSaveVideo",
            display_name="Save Video With Provenance",
            category=CATEGORY,
            description="Saves a video with a statement of what was done to whose face, signed if you have a "
            "certificate. A video file that is connected is copied, not encoded again.",
            search_aliases=["save video", "c2pa", "content credentials", "provenance", "ai label"],
            is_output_node=True,
            inputs=[io.Video.Input("video", tooltip="What to save."), *_save_inputs("likeness/video")],
            hidden=_HIDDEN,
            outputs=[_file_output(), report_output()],
        )

    @classmethod
    def execute(cls, video: Input.Video, filename_prefix: str, provenance: bool, sign: bool) -> io.NodeOutput:
        statement = _statement(cls.hidden) if provenance else None
        width, height = video.get_dimensions()
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), width, height
        )
        metadata = _graph(cls.hidden)
        if statement is not None:
            metadata["likeness"] = json.loads(to_json(statement))
        path = Path(folder) / f"{name}_{counter:05}_.mp4"
        temporary = path.with_name(f".{path.stem}.part.mp4")
        try:
            video.save_to(str(temporary), format=Types.VideoContainer.MP4, metadata=metadata)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        report = _finish([path], statement, sign)
        preview = ui.PreviewVideo([ui.SavedResult(path.name, subfolder, io.FolderType.output)])
        return io.NodeOutput(_marked(path), report, ui=shown(report) | preview.as_dict())


def _graph(hidden: Any) -> dict[str, Any]:
    """What ComfyUI's own save nodes write, so that the file opens as a workflow."""
    if args.disable_metadata:
        return {}
    graph = dict(hidden.extra_pnginfo or {})
    return graph | ({"prompt": hidden.prompt} if hidden.prompt is not None else {})


def _statement(hidden: Any) -> Statement:
    return statement_of(hidden.dynprompt, hidden.unique_id, _loaded)


def _loaded(node: Mapping[str, Any]) -> Statement | None:
    """What the file says that a node of ComfyUI loads: it was worked on before it came here."""
    name = node["inputs"].get(LOADERS.get(node["class_type"], ""))
    if not isinstance(name, str):
        return None
    path = Path(folder_paths.get_annotated_filepath(name))
    return read_statement(path) if path.is_file() and path.suffix.lower() in (*PICTURES, *VIDEOS) else None


def _finish(saved: list[Path], statement: Statement | None, sign: bool) -> str:
    lines = [f"Saved {len(saved)} file(s): {saved[0]}" + (" and on" if len(saved) > 1 else "")]
    if statement is None:
        return "\n".join(
            [*lines, "Provenance is off: the file does not say that faces were changed or whose they are."]
        )
    lines.append(statement.describe())
    credentials = find_credentials(Path(folder_paths.get_system_user_directory(CREDENTIALS))) if sign else None
    if credentials is None:
        lines.append("Not signed: " + ("there is no certificate." if sign else "signing is off."))
        return "\n".join(lines)
    for path in saved:
        sign_file(path, statement, credentials)
    return "\n".join([*lines, f"Signed with {credentials.certificate}."])


def _files() -> list[str]:
    """The newest files of ComfyUI's output and input folders that can carry a statement."""
    found: list[tuple[float, str]] = []
    for folder, mark in ((folder_paths.get_output_directory(), " [output]"), (folder_paths.get_input_directory(), "")):
        for at, _, names in os.walk(folder):
            kept = (name for name in names if name.lower().endswith((*PICTURES, *VIDEOS)) and not name.startswith("."))
            found += [_listed(Path(at) / name, Path(folder), mark) for name in kept]
    return [name for _, name in sorted(found, reverse=True)[:MOST_LISTED]]


def _listed(path: Path, folder: Path, mark: str) -> tuple[float, str]:
    return path.lstat().st_mtime, path.relative_to(folder).as_posix() + mark


class ReadProvenance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessReadProvenance",
            display_name="Read Provenance",
            category=CATEGORY,
            description="Shows what a picture or video says about itself: which people, faces and models, and whether "
            "its content credentials still hold.",
            search_aliases=["c2pa", "content credentials", "metadata", "verify picture"],
            is_output_node=True,
            inputs=[
                io.Combo.Input(
                    "file",
                    options=_files(),
                    tooltip="A PNG or a video in ComfyUI's output or input folder, newest first. Press R after saving.",
                ),
                io.String.Input(
                    "saved",
                    optional=True,
                    force_input=True,
                    tooltip="The file that a save node wrote in this graph, instead of the one above.",
                ),
            ],
            outputs=[io.String.Output("statement", display_name="statement", tooltip="As JSON."), report_output()],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        if folder_paths.exists_annotated_filepath(file):
            return True
        return f"There is no file {file!r} in ComfyUI's input or output folder. Press R to list the files anew."

    @classmethod
    def fingerprint_inputs(cls, file: str, saved: str | None = None) -> str:
        path = Path(folder_paths.get_annotated_filepath(saved or file))
        return f"{path.stat().st_mtime_ns}:{path.stat().st_size}" if path.is_file() else "missing"

    @classmethod
    def execute(cls, file: str, saved: str | None = None) -> io.NodeOutput:
        # ComfyUI refuses names that lead out of its folders
        path = Path(folder_paths.get_annotated_filepath(saved or file))
        statement = read_statement(path)
        lines = [f"{path.name}: {statement.describe()}" if statement else f"{path.name} carries no statement."]
        try:
            signature = read_credentials(path)
        except LikenessError as error:
            lines.append(str(error))
        else:
            lines.append(signature.describe() if signature else "No content credentials.")
            if signature and statement and signature.statement != statement:
                lines.append("The signed statement differs from the plain one: the plain one was changed.")
        report = "\n".join(lines)
        return io.NodeOutput(to_json(statement) if statement else "", report, ui=shown(report))
