"""What the mouth does for each phone: where lips, jaw and tongue go, and how far a phone insists on it.

Targets are ARKit channels (a name without Left or Right means both sides) in everyday speech of one person at rest
before and after, so they are small: a jaw at 0.3 is a full open vowel. Which articulator a sound insists on, and which
one it leaves to its neighbours, follows Cohen and Massaro 1993 (dominance) and the places of articulation of Ladefoged
and Johnson, A Course in Phonetics, chapters 2 and 4. Sizes were chosen on rendered portraits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from ..motion.channels import INDEX
from .heard import ARPABET, SILENCE

#: What moves together: a group's channels share a dominance.
GROUPS: dict[str, tuple[str, ...]] = {
    "jaw": ("jawOpen",),
    "lips": ("mouthUpperUp", "mouthLowerDown", "mouthRollLower", "mouthRollUpper", "mouthShrugUpper", "mouthPress"),
    "round": ("mouthPucker", "mouthFunnel"),
    "spread": ("mouthStretch", "mouthSmile"),
    "tongue": ("tongueOut",),
}

#: How fast each group's dominance fades, 1/s, before a phone begins and after it has ended. Lips round long before the
#: sound (look-ahead coarticulation), the heavy jaw is slower than the lips' edges, the tongue is fastest.
FADES_HZ: dict[str, tuple[float, float]] = {
    "jaw": (24.0, 30.0),
    "lips": (30.0, 36.0),
    "round": (13.0, 17.0),
    "spread": (16.0, 18.0),
    "tongue": (40.0, 40.0),
}

#: Phones whose sound needs closed lips, and the share of their time for which lips stay shut: the burst and the breath
#: after it belong to the phone but are made with parted lips.
CLOSED_SHARE = {"P": 0.65, "B": 0.82, "M": 0.92}


@dataclass(frozen=True)
class _Kind:
    """How far a phone insists on the place of each group, 1 as a plain vowel does."""

    jaw: float = 1.0
    lips: float = 1.0
    round: float = 1.0
    spread: float = 1.0
    tongue: float = 1.0


_VOWEL = _Kind()
_ROUNDED = _Kind(round=1.6, spread=1.4)
_LABIAL = _Kind(jaw=2.4, lips=1.6, round=0.2, spread=0.2)
_TEETH_ON_LIP = _Kind(jaw=1.6, lips=2.6, round=0.3, spread=0.3, tongue=1.5)
_BETWEEN_TEETH = _Kind(jaw=1.3, lips=1.2, round=0.3, spread=0.3, tongue=3.0)
_SIBILANT = _Kind(jaw=2.2, lips=1.4, round=0.35, spread=0.6)
_HUSHING = _Kind(jaw=2.0, lips=1.4, round=1.5, spread=0.9)
_BEHIND_TEETH = _Kind(jaw=0.9, lips=0.6, round=0.15, spread=0.2, tongue=1.5)
_LATERAL = _Kind(jaw=0.9, lips=0.8, round=0.2, spread=0.2, tongue=3.0)
_THROAT = _Kind(jaw=0.35, lips=0.3, round=0.1, spread=0.1, tongue=0.5)
_BREATH = _Kind(jaw=0.15, lips=0.12, round=0.05, spread=0.05, tongue=0.3)
_QUIET = _Kind(jaw=0.9, lips=0.6, round=0.35, spread=0.35)

_Shape = tuple[_Kind, dict[str, float]]

_AA: _Shape = (_VOWEL, {"jawOpen": 0.30, "mouthUpperUp": 0.08, "mouthLowerDown": 0.16})
_AO: _Shape = (_ROUNDED, {"jawOpen": 0.25, "mouthFunnel": 0.34, "mouthPucker": 0.10, "mouthLowerDown": 0.08})
_AE: _Shape = (
    _VOWEL,
    {"jawOpen": 0.26, "mouthUpperUp": 0.16, "mouthLowerDown": 0.22, "mouthStretch": 0.22, "mouthSmile": 0.10},
)
_EH: _Shape = (_VOWEL, {"jawOpen": 0.19, "mouthUpperUp": 0.13, "mouthLowerDown": 0.20, "mouthStretch": 0.16})
_IH: _Shape = (_VOWEL, {"jawOpen": 0.11, "mouthUpperUp": 0.11, "mouthLowerDown": 0.16, "mouthStretch": 0.16})
_IY: _Shape = (
    _VOWEL,
    {"jawOpen": 0.06, "mouthUpperUp": 0.15, "mouthLowerDown": 0.20, "mouthStretch": 0.32, "mouthSmile": 0.22},
)
_UH: _Shape = (_ROUNDED, {"jawOpen": 0.11, "mouthFunnel": 0.20, "mouthPucker": 0.30})
_UW: _Shape = (_ROUNDED, {"jawOpen": 0.06, "mouthFunnel": 0.14, "mouthPucker": 0.62})

_CLOSED: _Shape = (_LABIAL, {"jawOpen": 0.02, "mouthPress": 0.18, "mouthRollLower": 0.10, "mouthRollUpper": 0.06})
_F: _Shape = (_TEETH_ON_LIP, {"jawOpen": 0.02, "mouthRollLower": 0.55, "mouthUpperUp": 0.26, "mouthShrugUpper": 0.05})
_TH: _Shape = (
    _BETWEEN_TEETH,
    {"jawOpen": 0.08, "mouthUpperUp": 0.10, "mouthLowerDown": 0.16, "tongueOut": 0.55},
)
_S: _Shape = (
    _SIBILANT,
    {"jawOpen": 0.02, "mouthUpperUp": 0.16, "mouthLowerDown": 0.26, "mouthStretch": 0.20, "mouthSmile": 0.06},
)
_SH: _Shape = (
    _HUSHING,
    {"jawOpen": 0.03, "mouthUpperUp": 0.10, "mouthLowerDown": 0.14, "mouthFunnel": 0.52, "mouthPucker": 0.16},
)
_T: _Shape = (_BEHIND_TEETH, {"jawOpen": 0.06, "mouthUpperUp": 0.08, "mouthLowerDown": 0.14, "tongueOut": 0.10})
_K: _Shape = (_THROAT, {"jawOpen": 0.10, "mouthUpperUp": 0.06, "mouthLowerDown": 0.10})

#: Phone -> how far it insists, and its targets; a phone with two parts glides from the first to the second.
SHAPES: dict[str, tuple[_Shape, ...]] = {
    "AA": (_AA,),
    "AE": (_AE,),
    "AH": ((_VOWEL, {"jawOpen": 0.18, "mouthUpperUp": 0.08, "mouthLowerDown": 0.14}),),
    "AO": (_AO,),
    "AW": (_AA, _UH),
    "AY": (_AA, _IH),
    "EH": (_EH,),
    "ER": ((_ROUNDED, {"jawOpen": 0.11, "mouthFunnel": 0.30, "mouthPucker": 0.14, "mouthLowerDown": 0.08}),),
    "EY": (_EH, _IY),
    "IH": (_IH,),
    "IY": (_IY,),
    "OW": (_AO, _UW),
    "OY": (_AO, _IH),
    "UH": (_UH,),
    "UW": (_UW,),
    "P": (_CLOSED,),
    "B": (_CLOSED,),
    "M": (_CLOSED,),
    "F": (_F,),
    "V": (_F,),
    "TH": (_TH,),
    "DH": (_TH,),
    "S": (_S,),
    "Z": (_S,),
    "SH": (_SH,),
    "ZH": (_SH,),
    "CH": (_SH,),
    "JH": (_SH,),
    "T": (_T,),
    "D": (_T,),
    "N": (_T,),
    "L": ((_LATERAL, {"jawOpen": 0.11, "mouthUpperUp": 0.09, "mouthLowerDown": 0.14, "tongueOut": 0.30}),),
    "R": ((_ROUNDED, {"jawOpen": 0.07, "mouthFunnel": 0.34, "mouthPucker": 0.22}),),
    "W": ((_ROUNDED, {"jawOpen": 0.03, "mouthFunnel": 0.05, "mouthPucker": 0.78}),),
    "Y": ((_BEHIND_TEETH, {"jawOpen": 0.06, "mouthUpperUp": 0.10, "mouthLowerDown": 0.14, "mouthStretch": 0.26}),),
    "K": (_K,),
    "G": (_K,),
    "NG": (_K,),
    "HH": ((_BREATH, {"jawOpen": 0.14, "mouthUpperUp": 0.05, "mouthLowerDown": 0.10}),),
    SILENCE: ((_QUIET, {}),),
}

#: Where within a phone of two parts the second begins.
GLIDE_SHARE = 0.5

#: Every channel that speech moves through `SHAPES`, in one order.
CHANNELS: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)


def arkit_columns(name: str) -> tuple[int, ...]:
    """Where a channel is in `Motion.blendshapes`: one place, or two for a name that stands for both sides."""
    return (INDEX[name],) if name in INDEX else (INDEX[f"{name}Left"], INDEX[f"{name}Right"])


@cache
def tables() -> tuple[FloatArray, FloatArray]:
    """Targets and dominances of all parts of all phones.

    Returns (P, C) targets in the order of `CHANNELS` and (P, G) dominances in the order of `GROUPS`; where the rows of
    a phone are says `rows_of_phone`.
    """
    parts = [part for name in ARPABET for part in SHAPES[name]]
    targets = np.array([[shape.get(name, 0.0) for name in CHANNELS] for _, shape in parts], np.float32)
    insist = np.array([[getattr(kind, group) for group in GROUPS] for kind, _ in parts], np.float32)
    return targets, insist


@cache
def rows_of_phone() -> dict[str, tuple[int, ...]]:
    """Phone -> its rows in `tables`."""
    rows: dict[str, tuple[int, ...]] = {}
    count = 0
    for name in ARPABET:
        rows[name] = tuple(range(count, count + len(SHAPES[name])))
        count += len(SHAPES[name])
    return rows


def group_columns() -> list[NDArray[np.int64]]:
    """Per group of `GROUPS` where its channels are in `CHANNELS`."""
    return [np.array([CHANNELS.index(name) for name in names]) for names in GROUPS.values()]
