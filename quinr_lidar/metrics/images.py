"""Fidelity and size of a decoded scan: pure functions of arrays.

Definitions are spelled out because the field uses several under the same names: distances are
in metres and never squared, PSNR is in dB over whole images, sizes are real file sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quinr_lidar.errors import GeometryError

BYTES_PER_POINT = 12
"""A point as three float32 coordinates, one of the two bases of compression ratios."""


@dataclass(frozen=True)
class MaskScores:
    """Agreement of two masks, each in [0, 1].

    Where a ratio's denominator is 0 it is 1 if the masks agree (both empty), else 0.

    Attributes:
        precision: Share of the pixels decoded as measured that were measured.
        recall: Share of the valid pixels that were decoded as measured.
        f1: Harmonic mean of precision and recall.
        iou: Pixels measured in both over pixels measured in either.
    """

    precision: float
    recall: float
    f1: float
    iou: float


@dataclass(frozen=True)
class RangeErrors:
    """Absolute range errors ``|decoded - original|`` over the compared pixels.

    Attributes:
        mean: Metres; NaN, as all the others, when there is no pixel to compare.
        median: Metres.
        p95: 95th percentile (linear between the two nearest ranks), metres.
        max: Metres.
        rmse: Root of the mean square, metres.
        pixels: Number of pixels compared.
    """

    mean: float
    median: float
    p95: float
    max: float
    rmse: float
    pixels: int


def psnr(original: ArrayLike, decoded: ArrayLike, *, max_value: float) -> float:
    """Peak signal-to-noise ratio ``10 log10(max_value^2 / MSE)`` over all elements, dB.

    The paper takes whole range images, invalid pixels included, and the maximum of the
    original image as ``max_value``.

    Args:
        original: Any shape.
        decoded: The same shape.
        max_value: Peak of the signal, > 0.

    Returns:
        dB; infinity for identical arrays.

    Raises:
        GeometryError: shapes differ, an array is empty or not finite, or ``max_value`` is not
            positive.

    Example:
        >>> round(psnr([0.0, 10.0], [1.0, 10.0], max_value=10.0), 2)
        23.01
    """
    first, second = _same_shape(original, decoded)
    _require_finite(first, second)
    if not (math.isfinite(max_value) and max_value > 0):
        raise GeometryError(f"max_value: expected a positive number, got {max_value}")
    error = float(np.mean(np.square(first - second)))
    return math.inf if error == 0 else 10 * math.log10(max_value**2 / error)


def mask_scores(original: NDArray[np.bool_], decoded: NDArray[np.bool_]) -> MaskScores:
    """How well a decoded mask finds the valid pixels.

    Args:
        original: bool, any shape; true where a pixel was measured.
        decoded: bool, the same shape.

    Returns:
        Precision, recall, F1 and intersection over union.

    Raises:
        GeometryError: shapes or dtypes differ from that.

    Example:
        >>> mask_scores(np.array([True, True]), np.array([True, False])).recall
        0.5
    """
    if original.shape != decoded.shape or {original.dtype, decoded.dtype} != {np.dtype(bool)}:
        raise GeometryError(
            f"masks: expected two bool arrays of one shape, got {original.dtype} "
            f"{list(original.shape)} and {decoded.dtype} {list(decoded.shape)}"
        )
    both = int(np.count_nonzero(original & decoded))
    false_positives = int(np.count_nonzero(decoded)) - both
    false_negatives = int(np.count_nonzero(original)) - both
    return MaskScores(
        precision=_ratio(both, both + false_positives, false_negatives),
        recall=_ratio(both, both + false_negatives, false_positives),
        f1=_ratio(2 * both, 2 * both + false_positives + false_negatives, 0),
        iou=_ratio(both, both + false_positives + false_negatives, 0),
    )


def range_errors(original: ArrayLike, decoded: ArrayLike, mask: NDArray[np.bool_]) -> RangeErrors:
    """Absolute differences of ranges over the pixels of a mask.

    Args:
        original: Ranges in metres, any shape.
        decoded: The same shape.
        mask: bool, the same shape: pixels to compare (usually those measured in both images).

    Returns:
        The errors in metres, all NaN where the mask holds no pixel.

    Raises:
        GeometryError: shapes differ, an array is empty, ``mask`` is not bool, or a range to
            compare is not finite.

    Example:
        >>> range_errors([1.0, 2.0], [1.5, 9.0], np.array([True, False])).max
        0.5
    """
    first, second = _same_shape(original, decoded)
    # An integer mask would pick pixels by index instead.
    if mask.shape != first.shape or mask.dtype != np.bool_:
        raise GeometryError(
            f"mask: expected bool {list(first.shape)}, got {mask.dtype} {list(mask.shape)}"
        )
    first, second = first[mask], second[mask]
    _require_finite(first, second)
    error = np.abs(first - second)
    if not len(error):
        return RangeErrors(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    median, p95 = np.percentile(error, (50, 95))
    return RangeErrors(
        mean=float(error.mean()),
        median=float(median),
        p95=float(p95),
        max=float(error.max()),
        rmse=float(np.sqrt(np.square(error).mean())),
        pixels=len(error),
    )


def bits_per_pixel(encoded_bytes: int, height: int, width: int) -> float:
    """``8 x file size / (H W)``: all pixels count, measured or not.

    Args:
        encoded_bytes: Size of the compressed file, bytes.
        height: Rows of the range image.
        width: Columns of the image.

    Returns:
        Bits per pixel (bpp).

    Raises:
        GeometryError: a side is below 1, or the size is negative.

    Example:
        >>> bits_per_pixel(8192, 64, 1024)
        1.0
    """
    if height < 1 or width < 1:
        raise GeometryError(f"image size: expected at least 1 x 1, got {height} x {width}")
    if encoded_bytes < 0:
        raise GeometryError(f"encoded size: expected at least 0 bytes, got {encoded_bytes}")
    return 8 * encoded_bytes / (height * width)


def compression_ratio(original_bytes: int, encoded_bytes: int) -> float:
    """``original size / encoded size``; say which original is meant wherever it is shown.

    Args:
        original_bytes: The raw file's size, or :data:`BYTES_PER_POINT` times a point count.
        encoded_bytes: Size of the compressed file, bytes.

    Returns:
        How many times smaller the compressed file is.

    Raises:
        GeometryError: ``encoded_bytes`` is below 1, or ``original_bytes`` negative.

    Example:
        >>> compression_ratio(1_994_688, 286) > 6900
        True
    """
    if original_bytes < 0:
        raise GeometryError(f"original size: expected at least 0 bytes, got {original_bytes}")
    if encoded_bytes < 1:
        raise GeometryError(f"encoded size: expected at least 1 byte, got {encoded_bytes}")
    return original_bytes / encoded_bytes


def _ratio(part: int, whole: int, missed: int) -> float:
    if whole == 0:
        return 0.0 if missed else 1.0
    return part / whole


def _same_shape(
    original: ArrayLike, decoded: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = (np.asarray(array, dtype=np.float64) for array in (original, decoded))
    if first.shape != second.shape or first.size == 0:
        raise GeometryError(
            f"expected two non-empty arrays of one shape, "
            f"got {list(first.shape)} and {list(second.shape)}"
        )
    return first, second


def _require_finite(*arrays: NDArray[np.float64]) -> None:
    for name, array in zip(("original", "decoded"), arrays, strict=True):
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise GeometryError(f"{name}: expected finite values, got {bad} that are not")
