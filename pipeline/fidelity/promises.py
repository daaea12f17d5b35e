"""What a file promises of its errors, and whether it keeps it.

People delete originals because of this, so the decoded image is compared with the original itself;
neither encoder nor decoder is trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.codec.inspection import FileInfo
from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry import RangeImage
from quinr_lidar.layers.range_steps import allowed_error

if TYPE_CHECKING:
    from quinr_lidar.codec.profiles import Profile

_ROUNDING = 2.0**-23
"""Relative rounding of a range to float32, twice: the step of a file does not count it."""


@dataclass(frozen=True)
class Promise:
    """What holds for every pixel.

    Attributes:
        mask: Whether exactly the valid pixels are decoded as valid.
        max_error: Largest error of a valid range, metres; ``None`` where nothing is promised.
        relative_error: A range r may err by ``max(max_error, relative_error * r)``.
    """

    mask: bool = False
    max_error: float | None = None
    relative_error: float = 0.0


def promise_of_profile(profile: Profile) -> Promise:
    """What files of these settings promise."""
    if "ranges" not in profile.layers:
        return Promise(mask="mask" in profile.layers)
    return Promise(True, profile.max_error, profile.relative_error)


def promise_of_file(info: FileInfo) -> Promise:
    """What a file promises by itself, to within the rounding of ranges to float32."""
    if "ranges" not in info.sections:
        return Promise(mask="mask" in info.sections)
    max_error, relative_error = info.scan["max_error"], info.scan.get("relative_error", 0.0)
    rounding = _ROUNDING * info.scan["no_return"]
    if relative_error == 0:
        return Promise(True, max_error + rounding)
    # The file's is half a step below the knee. From there a step may lead across it, where
    # steps are wider.
    return Promise(
        True,
        max_error * relative_error / math.log1p(relative_error) + rounding,
        relative_error + _ROUNDING,
    )


def check_promise(promise: Promise, image: RangeImage, decoded: RangeImage) -> None:
    """Compare a decoded image with its original.

    Args:
        promise: The file's promise.
        image: The original range image.
        decoded: The decoded range image, of the same projection.

    Raises:
        GeometryError: a pixel breaks the promise; says which and by how much.
    """
    if decoded.shape != image.shape:
        raise GeometryError(f"decoded: expected {image.shape} pixels, got {decoded.shape}")
    if promise.mask:
        wrong = image.valid != decoded.valid
        if wrong.any():
            raise GeometryError(
                f"the mask is not exact: {np.count_nonzero(wrong):,} pixels differ, the first at "
                f"{_place(wrong)}; do not delete the original"
            )
    if promise.max_error is None:
        return
    error = np.abs(decoded.ranges.astype(np.float64) - image.ranges)
    allowed = allowed_error(image.ranges, promise.max_error, promise.relative_error)
    # Negated, so that an error that is no number breaks the promise as well.
    beyond = image.valid & ~(error <= allowed)
    if beyond.any():
        worst = np.unravel_index(np.argmax(np.where(beyond, error - allowed, -1)), beyond.shape)
        raise GeometryError(
            f"the max error is exceeded: {np.count_nonzero(beyond):,} ranges err by more than "
            f"promised, one by {error[worst]:g} m instead of at most {allowed[worst]:g} m, "
            f"the first at {_place(beyond)}; do not delete the original"
        )


def largest_error(image: RangeImage, decoded: RangeImage) -> float:
    """Largest ``|range error|`` over the pixels valid in the original, metres."""
    errors = np.abs(decoded.ranges.astype(np.float64) - image.ranges)[image.valid]
    return float(errors.max(initial=0))


def _place(pixels: NDArray[np.bool_]) -> str:
    row, column = np.argwhere(pixels)[0]
    return f"row {row}, column {column}"
