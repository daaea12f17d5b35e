"""Which squares of ground are occupied, from above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CELL = 0.2
"""Side of a square, metres."""

REACH = 40.0
"""Half the side of the grid, metres: farther away, neighbouring rays miss whole squares."""


def occupancy(points: FloatArray, cell: float = CELL, reach: float = REACH) -> NDArray[np.bool_]:
    """Squares that hold a point.

    Args:
        points: [N, 2 or more], metres, the sensor at the origin.
        cell: Side of a square, metres.
        reach: The grid covers this far to every side, metres.

    Returns:
        bool [squares, squares], by x and by y.
    """
    size = 2 * round(reach / cell)
    indices = np.floor(points[:, :2] / cell).astype(np.int64) + size // 2
    indices = indices[((indices >= 0) & (indices < size)).all(axis=1)]
    grid = np.zeros((size, size), bool)
    grid[indices[:, 0], indices[:, 1]] = True
    return grid


def occupancy_iou(
    original: FloatArray, decoded: FloatArray, cell: float = CELL, reach: float = REACH
) -> float:
    """Squares occupied in both clouds over those occupied in either; 1 where there are none."""
    first, second = (occupancy(points, cell, reach) for points in (original, decoded))
    either = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / either if either else 1.0
