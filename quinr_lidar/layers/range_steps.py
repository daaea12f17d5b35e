"""Ranges as whole numbers of steps, so that the error of every pixel stays within a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError
from quinr_lidar.kernel import format_constants

_ULP = 2.0**-23
"""Twice the largest relative error of rounding to float32."""


@dataclass(frozen=True)
class RangeSteps:
    """Steps of even width up to the knee, and of a width that grows with the range behind it.

    Attributes:
        step: Metres, exactly a float32.
        knee: Metres, exactly a float32, or ``None`` for even steps everywhere.
    """

    step: float
    knee: float | None = None

    def to_ranges(self, steps: NDArray[np.integer]) -> NDArray[np.float32]:
        """Ranges in metres. Step 0 is in the middle of what it stands for: no range is 0."""
        warped = steps.astype(np.float64) * self.step
        warped[steps == 0] = self.step / 4
        if self.knee is not None:
            with np.errstate(over="ignore"):  # in a hostile file
                far = self.knee * np.exp(warped / self.knee - 1)
            warped = np.where(warped > self.knee, far, warped)
        return np.minimum(warped, float(np.finfo(np.float32).max)).astype(np.float32)

    def to_steps(self, ranges: NDArray[np.floating]) -> NDArray[np.int32]:
        """Numbers of steps, int32; at most what the coder takes."""
        warped = ranges.astype(np.float64)
        if self.knee is not None:
            far = self.knee * (1 + np.log(np.maximum(warped, self.knee) / self.knee))
            warped = np.where(warped > self.knee, far, warped)
        return np.minimum(np.rint(warped / self.step), most_steps()).astype(np.int32)


def most_steps() -> int:
    """The largest number of steps that the coder takes."""
    return format_constants().most_steps


def step_limits() -> tuple[float, float]:
    """The smallest and the largest step that the coder takes, metres."""
    constants = format_constants()
    return constants.smallest_step, constants.largest_step


def allowed_error(
    ranges: NDArray[np.floating], max_error: float, relative_error: float
) -> NDArray[np.float64]:
    """The largest error of each range: ``max(max_error, relative_error * range)``, metres."""
    return np.maximum(max_error, relative_error * ranges.astype(np.float64))


def choose_steps(max_error: float, relative_error: float, largest: float) -> RangeSteps:
    """The widest steps that keep errors within their limit.

    Args:
        max_error: Largest error, metres.
        relative_error: A range r may err by ``max(max_error, relative_error * r)``; with 0 by the
            same everywhere.
        largest: The largest range, metres.

    Raises:
        GeometryError: the largest error is below what float32 resolves at the largest range, or
            asks for more steps than there can be.
    """
    knee = (
        float(np.float32(max_error / relative_error))
        if relative_error * largest > max_error
        else None
    )
    if knee is None:
        half = max_error - largest * _ULP
    else:
        # Behind the knee an error of e in the warped range is one of the factor exp(e / knee).
        half = knee * (math.log1p(relative_error) - _ULP)
        half = min(half, max_error - knee * _ULP)
    # Rounded towards zero: float32 must not widen it.
    step = float(np.nextafter(np.float32(2 * half), np.float32(0)))
    lowest, highest = step_limits()
    if not (lowest <= step <= highest and largest / step < most_steps()):
        raise GeometryError(
            f"max_error: {max_error:g} m is out of reach of ranges up to {largest:g} m, "
            f"whose float32 values are {largest * _ULP:.2g} m apart"
        )
    return RangeSteps(step, knee)
