"""The ground as a plane, by Open3D's RANSAC, and which points belong to it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.kitti_odometry import SENSOR_HEIGHT
from pipeline.libraries.open3d import import_open3d

FloatArray = NDArray[np.float64]

NEAR = 30.0
"""Points farther from the sensor do not count: distant roads are not flat. Metres, horizontal."""

ASSUMED_SENSOR_HEIGHT = SENSOR_HEIGHT
"""Height of the sensor above the ground where a data set does not say: KITTI's, metres."""

HIGHEST = 0.93
"""Ground is at most this far above where the sensor's height puts it, metres."""

THICKNESS = 0.2
"""Points up to this far from the plane are ground, metres."""

ITERATIONS = 100
FEWEST_POINTS = 50

_random = threading.Lock()
"""Open3D's random numbers are the whole process's: threads take turns, or seeds mean nothing."""


@dataclass(frozen=True, eq=False)
class Ground:
    """A cloud's ground plane.

    Attributes:
        normal: float64 [3], of unit length, upwards.
        offset: The plane is ``normal . x + offset = 0``, metres.
    """

    normal: FloatArray
    offset: float

    def heights(self, points: FloatArray) -> FloatArray:
        """Signed distances of points [N, 3] from the plane, metres, float64 [N]."""
        return points @ self.normal + self.offset

    def labels(self, points: FloatArray) -> NDArray[np.bool_]:
        """Which of the points [N, 3] are ground: near the sensor and the plane, bool [N]."""
        near = np.hypot(points[:, 0], points[:, 1]) < NEAR
        return near & (np.abs(self.heights(points)) < THICKNESS)


def fit_ground(
    points: FloatArray, seed: int = 0, sensor_height: float | None = None
) -> Ground | None:
    """The plane with most of the low, near points.

    Args:
        points: float64 [N, 3], metres, in the sensor's frame, z up.
        seed: Seed of the random sampling.
        sensor_height: Height of the sensor above the ground, metres; ``None`` if unknown, see
            :data:`ASSUMED_SENSOR_HEIGHT`.

    Returns:
        ``None`` where there are too few such points.

    Raises:
        BackendError: Open3D cannot be imported.
    """
    highest = HIGHEST - (ASSUMED_SENSOR_HEIGHT if sensor_height is None else sensor_height)
    low = points[(points[:, 2] < highest) & (np.hypot(points[:, 0], points[:, 1]) < NEAR)]
    if len(low) < FEWEST_POINTS:
        return None
    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(low))
    with _random:
        o3d.utility.random.seed(seed)
        # With a probability of 1 it never stops early, which would depend on threads.
        plane, _ = cloud.segment_plane(THICKNESS, 3, ITERATIONS, probability=1.0)
    plane = np.asarray(plane) * (1 if plane[2] >= 0 else -1)
    return Ground(plane[:3], float(plane[3]))


def label_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Points labelled by both over those labelled by either; 1 where there are none."""
    either = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / either if either else 1.0
