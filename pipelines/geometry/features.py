"""Which points of the dense mesh make which feature of the face (MediaPipe's numbering).

Left and right are sides of the picture. Rows run from the picture's left to its right for the mouth and from the
outer to the inner corner for the eyes, so that upper[i] lies above lower[i].
"""

from __future__ import annotations

from dataclasses import dataclass

from .mesh import FACE_OVAL


@dataclass(frozen=True, eq=False)
class Rows:
    """A ring of points as two rows between two corners."""

    corners: tuple[int, int]
    upper: tuple[int, ...]
    lower: tuple[int, ...]

    @property
    def loop(self) -> tuple[int, ...]:
        """Closed, in order around the ring."""
        return (self.corners[0], *self.upper, self.corners[1], *reversed(self.lower))


@dataclass(frozen=True, eq=False)
class Eye:
    """One eye: its lids, the iris' centre and the four points on the iris' edge."""

    lids: Rows
    iris: int
    iris_edge: tuple[int, int, int, int]


#: Rings of the mouth from the outer edge of the lips to the inner one.
LIP_RINGS = (
    Rows((61, 291), (185, 40, 39, 37, 0, 267, 269, 270, 409), (146, 91, 181, 84, 17, 314, 405, 321, 375)),
    Rows((76, 306), (184, 74, 73, 72, 11, 302, 303, 304, 408), (77, 90, 180, 85, 16, 315, 404, 320, 307)),
    Rows((62, 292), (183, 42, 41, 38, 12, 268, 271, 272, 407), (96, 89, 179, 86, 15, 316, 403, 319, 325)),
    Rows((78, 308), (191, 80, 81, 82, 13, 312, 311, 310, 415), (95, 88, 178, 87, 14, 317, 402, 318, 324)),
)
EYES = (
    Eye(Rows((33, 133), (246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155)), 468, (469, 470, 471, 472)),
    Eye(Rows((263, 362), (466, 388, 387, 386, 385, 384, 398), (249, 390, 373, 374, 380, 381, 382)), 473, (474, 475, 476, 477)),
)
BROWS = ((70, 63, 105, 66, 107, 46, 53, 52, 65, 55), (300, 293, 334, 296, 336, 276, 283, 282, 295, 285))
#: The ring around each eye next to the lids: where the crease and the bags are.
ORBITS = (
    (247, 30, 29, 27, 28, 56, 190, 243, 112, 26, 22, 23, 24, 110, 25, 130),
    (467, 260, 259, 257, 258, 286, 414, 463, 341, 256, 252, 253, 254, 339, 255, 359),
)
NOSE = (
    168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 97, 326, 327, 48, 115, 220, 45, 275, 440, 344, 278, 64, 294, 129, 358,
    49, 279, 102, 331, 219, 439, 218, 438, 59, 289, 235, 455, 240, 460, 51, 281, 3, 248, 236, 456, 196, 419, 122, 351,
    198, 420, 131, 360, 134, 363, 174, 399, 217, 437, 75, 305, 60, 290, 20, 250, 238, 458, 79, 309, 166, 392, 241, 461,
    242, 462, 99, 328, 125, 354, 44, 274, 237, 457, 141, 370, 239, 459,
)  # fmt: skip
NOSTRILS = (79, 166, 60, 75, 20, 238, 239, 241, 242, 99, 309, 392, 290, 305, 250, 458, 459, 461, 462, 328)
OVAL = FACE_OVAL
#: Points that hardly move with the expression, for aligning one head to another.
RIGID = (
    33, 133, 362, 263, 168, 6, 197, 195, 127, 356, 162, 389, 234, 454, 93, 323, 10, 338, 109, 67, 297, 54, 284,
    122, 351, 174, 399, 198, 420, 4, 143, 372, 116, 345,
)  # fmt: skip
LIPS: tuple[int, ...] = tuple(index for ring in LIP_RINGS for index in ring.loop)
LIDS: tuple[int, ...] = tuple(index for eye in EYES for index in eye.lids.loop)
#: Where skin has its plain colour: cheeks, the sides and the back of the nose, chin.
PLAIN_SKIN = (
    50, 101, 118, 117, 123, 205, 36, 187, 147, 207, 280, 330, 347, 346, 352, 425, 266, 411, 376, 427,
    195, 5, 197, 6, 45, 275, 51, 281, 199, 200, 201, 421, 175,
)  # fmt: skip
