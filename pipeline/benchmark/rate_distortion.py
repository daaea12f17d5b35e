"""Comparison of rate-distortion curves: Bjontegaard deltas and PSNR at a given size.

A curve is a sequence of points (bytes, PSNR in dB), in any order. PSNR has to rise with bytes: a
point that costs more and is no better than another lies on no curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bjontegaard
import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError

METHOD = "pchip"
"""Piecewise cubic, through all points and monotonic between them.

With the four to six points usual here a single cubic misses points or swings between them, and
Akima splines may fall where the points rise, so that no inverse exists.
"""


@dataclass(frozen=True)
class BjontegaardDelta:
    """Mean difference of two curves where they overlap.

    Attributes:
        psnr_db: PSNR gained at equal bytes, over the common range of log bytes, dB.
        rate_percent: Bytes added at equal PSNR, over the common range of PSNR, percent; negative
            is better.
    """

    psnr_db: float
    rate_percent: float


def bjontegaard_deltas(
    reference_points: Sequence[tuple[float, float]], points: Sequence[tuple[float, float]]
) -> BjontegaardDelta | None:
    """What a curve gains over a reference, of any numbers of points.

    Args:
        reference_points: (bytes, PSNR in dB) of the reference, two points or more.
        points: Those of the curve, two points or more.

    Returns:
        The mean differences; None where the curves share no range of bytes or none of PSNR.

    Raises:
        GeometryError: a curve has fewer than two points, a value that is not finite, bytes that
            are not positive, or PSNR that does not rise with bytes.

    Example:
        >>> twice = bjontegaard_deltas([(100, 10), (400, 14)], [(200, 10), (800, 14)])
        >>> round(twice.rate_percent), round(twice.psnr_db)
        (100, -2)
    """
    reference, curve = _curve("reference_points", reference_points), _curve("points", points)
    if any(
        min(reference[axis, -1], curve[axis, -1]) <= max(reference[axis, 0], curve[axis, 0])
        for axis in (0, 1)
    ):
        return None
    # Without these, curves of unequal length are refused and short overlaps warned of.
    options = {"method": METHOD, "require_matching_points": False, "min_overlap": 0}
    # The package's types allow for the splines too, which are returned on request only.
    psnr_db: Any = bjontegaard.bd_psnr(*reference, *curve, **options)
    rate_percent: Any = bjontegaard.bd_rate(*reference, *curve, **options)
    return BjontegaardDelta(float(psnr_db), float(rate_percent))


def interpolated_psnr(points: Sequence[tuple[float, float]], size: float) -> float | None:
    """PSNR of a curve at a number of bytes, linear in log bytes between points.

    Args:
        points: (bytes, PSNR in dB), one point or more.
        size: Bytes, > 0.

    Returns:
        dB; None outside the range of the points' bytes.

    Raises:
        GeometryError: there is no point, a value is not finite, bytes are not positive, or PSNR
            does not rise with bytes.

    Example:
        >>> interpolated_psnr([(100, 10.0), (400, 14.0)], 400)
        14.0
    """
    rates, quality = _curve("points", points, least=1)
    if not (np.isfinite(size) and size > 0):
        raise GeometryError(f"size: expected a positive number of bytes, got {size}")
    if not rates[0] <= size <= rates[-1]:
        return None
    return float(np.interp(np.log(size), np.log(rates), quality))


def _curve(
    name: str, points: Sequence[tuple[float, float]], *, least: int = 2
) -> NDArray[np.float64]:
    """[2, N]: bytes and PSNR by rising bytes."""
    if len(points) < least:
        raise GeometryError(f"{name}: expected at least {least}, got {len(points)}")
    curve = np.array(sorted(points), dtype=np.float64)
    if curve.shape != (len(points), 2) or not np.isfinite(curve).all() or curve[:, 0].min() <= 0:
        raise GeometryError(f"{name}: expected pairs of positive bytes and finite PSNR")
    if (np.diff(curve, axis=0) <= 0).any():
        raise GeometryError(f"{name}: expected PSNR that rises with bytes, got {sorted(points)}")
    return curve.T
