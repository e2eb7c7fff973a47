"""People whom this installation protects: nodes that would use or change their faces refuse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import folder_paths
from torch import Tensor

from ..pipelines.face import Faces, TrackedFrame
from ..pipelines.files.names import names_in_folder
from ..pipelines.identity.analysis import load_embedded_analysis
from ..pipelines.identity.identity import Identity
from ..pipelines.safety.protected import ProtectedPeople, load_protected
from ..pipelines.video.association import State
from ..pipelines.video.face_frames import FaceWork
from .comfy_runtime import shared_registry

#: ComfyUI's name of the folder that holds the identities of protected people.
FOLDER = "likeness_protected"


def register_protected_folder() -> None:
    """Tell ComfyUI where protected people are kept: the user's own path first, else models/likeness/protected."""
    paths, _ = folder_paths.folder_names_and_paths.get(FOLDER, ([], set()))
    default = str(Path(folder_paths.models_dir) / "likeness" / "protected")
    merged = paths if default in paths else [*paths, default]
    folder_paths.folder_names_and_paths[FOLDER] = (merged, {".safetensors"})


def protected_people() -> ProtectedPeople | None:
    """The protected people with the network that knows them; None, and nothing loaded, when there are none."""
    folders = [Path(path) for path in folder_paths.get_folder_paths(FOLDER)]
    if not any(names_in_folder(folder) for folder in folders):
        return None
    return load_protected(folders, load_embedded_analysis(shared_registry()))


def refuse_protected(
    identities: Iterable[Identity] = (), image: Tensor | None = None, faces: Faces | None = None
) -> None:
    """Raise ProtectedPersonError when an identity, or a face of the picture, is a protected person's."""
    protected = protected_people()
    if protected is None:
        return
    protected.refuse_identities(identities)
    if image is not None and faces is not None:
        protected.refuse_faces(image, faces, "the input")


class _Guarded:
    """A work on a video that refuses protected people: everybody who is to be changed is looked at once, when met."""

    def __init__(self, work: FaceWork, protected: ProtectedPeople) -> None:
        self._work, self._protected = work, protected
        self._seen: set[int] = set()

    @property
    def batch(self) -> int:
        return self._work.batch

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        for frame in frames:
            met = [(0, face) for face, _ in frame.people if face.track not in self._seen]
            self._protected.refuse_faces(frame.picture[None], met, f"the video, at {frame.time_s:.2f} s")
            self._seen.update(face.track for _, face in met)
        return self._work.change(frames)

    def state(self) -> State:
        return self._work.state()

    def restore(self, state: State) -> None:
        self._work.restore(state)


def guarded(work: FaceWork) -> FaceWork:
    """The work itself where nobody is protected, else one that refuses to change protected people."""
    protected = protected_people()
    return work if protected is None else _Guarded(work, protected)
