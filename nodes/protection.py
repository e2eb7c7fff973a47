"""People whom this installation protects: nodes that would use or change their faces refuse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import folder_paths
from torch import Tensor

from ..pipelines.face import Faces, TrackedFrame
from ..pipelines.files.names import SUFFIX, names_in_folder
from ..pipelines.identity.analysis import load_embedded_analysis
from ..pipelines.identity.identity import Identity
from ..pipelines.safety.looks import Looks, MetTracks
from ..pipelines.safety.protected import ProtectedPeople, load_protected
from ..pipelines.safety.statement import Track
from ..pipelines.video.association import State
from ..pipelines.video.face_frames import FaceWork
from .comfy_runtime import shared_registry
from .witness import works_on_a_video

#: ComfyUI's name of the folder that holds the identities of protected people.
FOLDER = "likeness_protected"


def register_protected_folder() -> None:
    """Tell ComfyUI where protected people are kept: the user's own path first, else models/likeness/protected."""
    paths, _ = folder_paths.folder_names_and_paths.get(FOLDER, ([], set()))
    default = str(Path(folder_paths.models_dir) / "likeness" / "protected")
    merged = paths if default in paths else [*paths, default]
    folder_paths.folder_names_and_paths[FOLDER] = (merged, {".safetensors"})


def _folders() -> list[Path]:
    return [Path(path) for path in folder_paths.get_folder_paths(FOLDER)]


def protected_list() -> list[str]:
    """What tells the list of protected people from another one: interrupted work goes on only under the same."""
    files = (folder / f"{name}{SUFFIX}" for folder in _folders() for name in names_in_folder(folder))
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]


def protected_people() -> ProtectedPeople | None:
    """The protected people with the network that knows them; None, and nothing loaded, when there are none."""
    folders = _folders()
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


#: Of `MetTracks`, in the memory of an interrupted work.
_MET = "met.rows"


class _Watched:
    """A work on a video that notes whom it changes, and refuses to change protected people.

    Everybody is looked at when met, and again where more of the face can be seen, as `Looks` decides.
    """

    def __init__(self, work: FaceWork, protected: ProtectedPeople | None) -> None:
        self._work, self._protected = work, protected
        self._looks, self._met = Looks(), MetTracks()

    @property
    def batch(self) -> int:
        return self._work.batch

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        for frame in frames:
            faces = [face for face, _ in frame.people]
            self._met.meet(frame, faces)
            if self._protected is not None:
                due = [(0, face) for face in self._looks.due(frame, faces)]
                self._protected.refuse_faces(frame.picture[None], due, f"the video, at {frame.time_s:.2f} s")
        return self._work.change(frames)

    def tracks(self) -> Sequence[Track]:
        return self._met.tracks()

    def state(self) -> State:
        return {**self._work.state(), _MET: self._met.rows()}

    def restore(self, state: State) -> None:
        # whom it has looked at it forgets: after an interrupt everybody is looked at again
        if _MET in state:
            self._met.restore(state[_MET])
        self._work.restore({name: value for name, value in state.items() if name != _MET})


def watched_work(work: FaceWork, refuses: bool = True) -> FaceWork:
    """A work that notes whom it changes, for the statement, and refuses protected people where `refuses`."""
    watched = _Watched(work, protected_people() if refuses else None)
    works_on_a_video(watched)
    return watched
