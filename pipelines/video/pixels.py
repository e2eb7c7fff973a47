"""Between FFmpeg's frames and pictures: precise conversion, odd sizes, and samples that stay exactly as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import MissingPackageError

#: What a frame is converted through: 16 bit per colour, so that neither 10-bit video nor rounding loses anything.
_EXACT = "rgb48le"


def pyav() -> Any:
    """The module av. Raises MissingPackageError."""
    try:
        import av
    except ImportError as error:
        raise MissingPackageError("Videos need the package av: `pip install av`.") from error
    return av


def precise() -> dict[str, Any]:
    """Options of PyAV's conversions: exact rounding, which older versions of PyAV cannot ask for."""
    kinds = pyav().video.reformatter.Interpolation
    exact = getattr(kinds, "ACCURATE_RND", None)
    return {} if exact is None else {"interpolation": kinds.BILINEAR | exact}


def rgb_of(frame: Any) -> Tensor:
    """A PyAV frame as a picture (H, W, 3) float in [0, 1], in its own colour space and at its own bit depth."""
    pixels = even(frame).to_ndarray(format=_EXACT, **precise())[: frame.height, : frame.width]
    return torch.from_numpy(pixels.astype(np.float32)).div_(65535)


def frame_of(picture: Tensor, size: tuple[int, int]) -> Any:
    """A picture (H, W, 3) as a PyAV frame of `size` (width, height); where that is larger its last lines repeat."""
    pixels = (picture.clamp(0, 1) * 65535).round().to("cpu").numpy().astype(np.uint16)
    return _padded(pixels, size)


def resized(frame: Any, size: tuple[int, int]) -> Any:
    """The frame at `size` (width, height): the same, or with its last row and column repeated."""
    if (frame.width, frame.height) == size:
        return frame
    whole = even(frame)
    return whole if (whole.width, whole.height) == size else _padded(frame.to_ndarray(format=_EXACT, **precise()), size)


def _padded(pixels: NDArray[np.uint16], size: tuple[int, int]) -> Any:
    grown = ((0, size[1] - pixels.shape[0]), (0, size[0] - pixels.shape[1]), (0, 0))
    return pyav().VideoFrame.from_ndarray(np.pad(pixels, grown, mode="edge"), format=_EXACT)


def even(frame: Any) -> Any:
    """The frame with an even number of columns and rows where its chroma is halved; FFmpeg misreads odd ones there."""
    width, height = encodable((frame.width, frame.height), frame.format.name)
    if (width, height) == (frame.width, frame.height):
        return frame
    larger = pyav().VideoFrame(width, height, frame.format.name)
    for index in range(len(frame.planes)):
        old, new = _plane(frame, index), _plane(larger, index)
        new[:] = np.pad(old, ((0, new.shape[0] - old.shape[0]), (0, new.shape[1] - old.shape[1])), mode="edge")
    for name in ("color_primaries", "color_trc", "colorspace", "color_range", "pts", "time_base"):
        setattr(larger, name, getattr(frame, name))
    return larger


def encodable(size: tuple[int, int], pixel_format: str) -> tuple[int, int]:
    """(width, height) px: where chroma is halved an odd side gets one more column or row."""
    across, down = halved(pixel_format)
    return -(-size[0] // across) * across, -(-size[1] // down) * down


def halved(pixel_format: str) -> tuple[int, int]:
    """Pixels per chroma sample, across and down, of planar YUV; (1, 1) for everything else."""
    if not pixel_format.startswith("yuv") or "p" not in pixel_format:
        return 1, 1
    return (2 if "444" not in pixel_format else 1), (2 if "420" in pixel_format else 1)


def keep_untouched(coded: Any, source: Any, touched: NDArray[np.bool_]) -> None:
    """Give `coded` the samples of `source` wherever no pixel under a sample was touched.

    Both are planar and of one format and size. touched: (H, W), may lack the lines that were added.
    """
    for index in range(len(coded.planes)):
        ours, theirs = _plane(coded, index), _plane(source, index)
        across, down = -(-touched.shape[1] // ours.shape[1]), -(-touched.shape[0] // ours.shape[0])
        grown = ((0, ours.shape[0] * down - touched.shape[0]), (0, ours.shape[1] * across - touched.shape[1]))
        whole = np.pad(touched, grown, mode="edge")
        blocks = [whole[row::down, column::across] for row in range(down) for column in range(across)]
        np.copyto(ours, theirs, where=~np.logical_or.reduce(blocks))


def _plane(frame: Any, index: int) -> NDArray[np.integer[Any]]:
    """The samples of a plane, as a view into the frame."""
    plane = frame.planes[index]
    kind: np.dtype[Any] = np.dtype(np.uint8 if frame.format.components[index].bits == 8 else np.uint16)
    rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
    return rows[:, : plane.width]
