"""Nodes that keep identities on disk."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import folder_paths
from comfy_api.latest import io

from ..pipelines.files.writing import IfExists
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.identity import Identity, ensure_encoded
from ..pipelines.identity.storage import load_identity, save_identity
from . import sockets
from .reports import SHOWS_REPORT, report_output, shown

#: ComfyUI's name of the folder that holds saved identities.
FOLDER = "likeness_identities"


def register_identity_folder() -> None:
    """Tell ComfyUI where identities are kept: the user's own path for it first, else models/likeness/identities."""
    paths, _ = folder_paths.folder_names_and_paths.get(FOLDER, ([], set()))
    default = str(Path(folder_paths.models_dir) / "likeness" / "identities")
    merged = paths if default in paths else [*paths, default]
    folder_paths.folder_names_and_paths[FOLDER] = (merged, {".safetensors"})


class SaveIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSaveIdentity",
            display_name="Save Identity",
            category="Likeness/identity",
            description="Writes an identity as one .safetensors file: reference crops, vectors, consent note, hashes "
            "of the photos. No pickle, no code.",
            search_aliases=["save face model", "export face"],
            is_output_node=True,
            inputs=[
                sockets.Identity.Input("identity"),
                io.String.Input(
                    "name",
                    default="",
                    tooltip="File name without folder; empty takes the identity's name.",
                    placeholder="the identity's name",
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
    def execute(cls, identity: Identity, name: str, if_exists: IfExists) -> io.NodeOutput:
        path = save_identity(identity, Path(folder_paths.get_folder_paths(FOLDER)[0]), name, if_exists)
        return io.NodeOutput(str(path), ui=shown(f"Saved {identity.name!r} as {path}"))


class LoadIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadIdentity",
            display_name="Load Identity",
            category="Likeness/identity",
            description="Reads an identity that Save Identity wrote.",
            search_aliases=["load face model", "import face"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folder_paths.get_filename_list(FOLDER),
                    tooltip="Files in models/likeness/identities. Press R after saving a new one.",
                ),
                sockets.Analysis.Input(
                    "analysis",
                    optional=True,
                    tooltip="Connect it when the file was made with another recogniser: the person is encoded again "
                    "from the stored crops.",
                ),
            ],
            outputs=[
                sockets.Identity.Output("identity", display_name="identity"),
                io.Image.Output("references", display_name="references", tooltip="The 512 px crops that count."),
                report_output(),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        if folder_paths.get_full_path(FOLDER, file) is not None:
            return True
        present = ", ".join(folder_paths.get_filename_list(FOLDER)) or "none yet"
        return f"There is no saved identity {file!r}. Saved identities: {present}. Make one with Save Identity."

    @classmethod
    def fingerprint_inputs(cls, file: str, **_others: object) -> str:
        path = Path(folder_paths.get_full_path_or_raise(FOLDER, file))
        return f"{path.stat().st_mtime_ns}:{path.stat().st_size}"

    @classmethod
    def execute(cls, file: str, analysis: FaceAnalysis | None = None) -> io.NodeOutput:
        identity = load_identity(Path(folder_paths.get_full_path_or_raise(FOLDER, file)))
        if analysis is not None:
            identity = ensure_encoded(identity, analysis)
        references = identity.pictures()
        report = identity.describe()
        return io.NodeOutput(identity, references, report, ui=shown(report, references[:4]))
