"""What can go wrong, one class per cause worth telling apart.

Every message says what happened with the numbers, for which input, and the way out.
"""


class LikenessError(ValueError):
    """A problem the user can act on; its message is shown on the node as it stands."""


class InputError(LikenessError):
    """An input has the wrong shape, range or content."""


class FaceNotFoundError(LikenessError):
    """A picture that needs a face has none, or none that passes the filter asked for."""


class MissingWeightsError(LikenessError):
    """A weights file is not in any place where it is looked for."""


class WrongWeightsError(LikenessError):
    """A weights file has another content, layout or family than its name says."""


class MissingPackageError(LikenessError):
    """An optional Python package is not installed."""


class EncoderMismatchError(LikenessError):
    """An identity lacks the vector of the recogniser that is asked for."""


class UnsafeFileError(LikenessError):
    """A file or a name is refused because reading or writing it would not be safe."""


class VideoError(LikenessError):
    """A video cannot be read, or there is no room or way to write one."""


class CancelledError(LikenessError):
    """The user stopped the work outside ComfyUI (inside, ComfyUI raises its own interrupt)."""


class NotAgreedError(LikenessError):
    """A file is not fetched because its licence was not agreed to."""


class DownloadError(LikenessError):
    """A file could not be fetched, or what arrived is not what the manifest lists."""
