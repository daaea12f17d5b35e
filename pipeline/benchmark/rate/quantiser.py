"""Ranges to integers and back so that a bound holds, down to the rounding of float32."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.rate.baselines import Known
from quinr_lidar import RangeImage
from quinr_lidar.errors import GeometryError

LARGEST = 2**16 - 1
"""Of an integer: image codecs take 16 bits."""


def range_step(max_error: float, no_return: float) -> float:
    """The step whose half, and the rounding of a decoded range to float32, is the bound.

    Args:
        max_error: Largest error allowed, metres.
        no_return: Largest range, metres.

    Raises:
        GeometryError: the bound is not positive, or finer than float32 at that range.
    """
    rounding = float(np.spacing(np.float32(no_return + max_error))) / 2
    if not (math.isfinite(max_error) and max_error > 2 * rounding):
        raise GeometryError(
            f"max_error: expected more than {2 * rounding:g} m, the resolution of float32 at "
            f"{no_return:g} m, got {max_error:g}"
        )
    return 2 * (max_error - rounding)


def integers_of(image: RangeImage, max_error: float) -> NDArray[np.uint16]:
    """A range image as integers; 0 is invalid, so measured ones are one more than their steps.

    Args:
        image: The ranges.
        max_error: Largest error allowed, metres.

    Returns:
        uint16 [H, W].

    Raises:
        GeometryError: the bound is out of range, or an integer does not fit 16 bits. Nothing is
            split or clipped: such a bound (half a millimetre at 66 m) has no row.
    """
    step = range_step(max_error, image.no_return)
    steps = np.rint(image.ranges.astype(np.float64) / step) + 1
    integers = np.where(image.valid, steps, 0)
    largest = int(integers.max())
    if largest > LARGEST:
        raise GeometryError(
            f"bound {max_error:g} m: {image.no_return:g} m are {largest} steps, image codecs take "
            f"{LARGEST} (16 bits)"
        )
    return integers.astype(np.uint16)


def ranges_of(integers: NDArray[np.uint16], known: Known) -> NDArray[np.float32]:
    """What :func:`integers_of` was given, to the bound: float32 [H, W], metres; 0 if invalid."""
    steps = np.maximum(integers.astype(np.float64) - 1, 0)
    return (steps * range_step(known.setting, known.no_return)).astype(np.float32)


def point_step(max_error: float) -> float:
    """The step of coordinates that keeps a point within a bound, metres.

    Half of it in each of three coordinates is the bound; coordinates are decoded in float64,
    whose rounding the last factor covers.
    """
    return 2 * max_error / math.sqrt(3) * (1 - 1e-9)
