"""The cases of a file, `case_<sentence>`, one after the other: what each raised is told and does not end the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def outcomes(
    names: Mapping[str, Any], given: Callable[[], Sequence[Any]] = tuple, only: Sequence[str] = ()
) -> dict[str, str]:
    """Case -> "" or its traceback, of all cases or those that are named. given: what each is called with, made anew."""
    found: dict[str, str] = {}
    for name, case in list(names.items()):
        if name.startswith("case_") and (not only or name in only):
            try:
                case(*given())
                found[name] = ""
            except Exception:
                found[name] = traceback.format_exc()
    return found
