"""The ways to listen to a speech, best first, and the choice among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from ..errors import InputError, MissingPackageError
from .encoder import EncoderListener
from .envelope import EnvelopeListener
from .heard import Heard
from .phones import PhonemesListener
from .progress import Watch, unwatched
from .request import Request
from .speech import Speech


class Listener(Protocol):
    """A way to listen; an object with these members is an entry of `LISTENERS`."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """What the user reads in the list."""
        ...

    @property
    def licence(self) -> str: ...

    def missing(self, request: Request) -> str:
        """What it lacks to serve this request and the way to get it, without a full stop; "" when it lacks nothing."""
        ...

    def listen(self, speech: Speech, request: Request, watch: Watch) -> Heard: ...


#: In the order of preference: "auto" takes the first one that lacks nothing. The last one always works.
LISTENERS: tuple[Listener, ...] = (EncoderListener(), PhonemesListener(), EnvelopeListener())


def listen(
    speech: Speech,
    backend: str = "auto",
    transcript: str = "",
    language: str = "auto",
    features: Any = None,
    watch: Watch = unwatched,
) -> Heard:
    """Hear a speech by the listener of a name, or by the best one that lacks nothing.

    speech: of any length. backend: "auto" or a name of `LISTENERS`. transcript, language, features: as in `Request`.
    watch: makes the progress bar of a number of steps; what its `update` raises stops the work. Returns what was heard;
    `said` begins with which listener it was and why not a better one. Raises InputError for another name,
    MissingPackageError for a named listener that lacks something.
    """
    request = Request(transcript, language, features)
    lines = list[str]()
    for entry in LISTENERS if backend == "auto" else (listener_named(backend),):
        lacking = entry.missing(request)
        if not lacking:
            heard = entry.listen(speech, request, watch)
            return replace(heard, said=(f"Listened by {entry.title} ({entry.licence}).", *lines, *heard.said))
        if backend != "auto":
            raise MissingPackageError(f"The listener {entry.name} cannot be used: {lacking}.")
        lines.append(f"Not {entry.name}: {lacking}.")
    raise MissingPackageError("There is no way to listen. " + " ".join(lines))


def listener_named(name: str) -> Listener:
    """The entry of a name; raises InputError naming those there are."""
    for entry in LISTENERS:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in LISTENERS)
    raise InputError(f"There is no listener {name!r}; there are auto, {known}.")
