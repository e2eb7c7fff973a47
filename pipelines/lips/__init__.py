"""Neural lips: backends that give the mouth of a filmed face the movements of a speech.

`LipSync` is what the dubbing of a video asks of one, whichever it is.
"""

from .lip_sync import AFTER_ENDS, AfterEnd, LipSync, LipWork

__all__ = ["AFTER_ENDS", "AfterEnd", "LipSync", "LipWork"]
