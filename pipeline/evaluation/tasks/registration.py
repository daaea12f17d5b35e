"""Registration of consecutive frames with Open3D's ICP."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.libraries.open3d import import_open3d

FloatArray = NDArray[np.float64]

VOXEL = 0.3
"""Side of the cubes whose points are averaged before registration, metres."""

NORMAL_NEIGHBOURS = 20
STAGES = ((3.0, 30), (0.6, 50))
"""Largest distance of points taken for the same, metres, and iterations: coarse, then fine."""


@dataclass(frozen=True, eq=False)
class Step:
    """The motion from a frame to the one before.

    Attributes:
        motion: float64 [4, 4]: the sensor's pose in the frame of the sensor one frame before.
        fitness: Share of the points that have a partner within the last stage's distance.
        rmse_m: Root mean square distance of those, metres.
    """

    motion: FloatArray
    fitness: float
    rmse_m: float


class RegistrationCloud:
    """A cloud prepared for registration; each part is computed when it is first needed."""

    def __init__(self, points: NDArray[np.floating]) -> None:
        """``points``: [N, 3 or more], metres."""
        self._points = points[:, :3].astype(np.float64)

    @cached_property
    def thinned(self) -> Any:
        """Open3D's cloud, one point a voxel."""
        o3d = import_open3d()
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(self._points))
        return cloud.voxel_down_sample(VOXEL)

    @cached_property
    def with_normals(self) -> Any:
        """The thinned cloud with the normals that a registration target needs."""
        o3d = import_open3d()
        cloud = o3d.geometry.PointCloud(self.thinned)
        cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(NORMAL_NEIGHBOURS))
        return cloud


def register(previous: RegistrationCloud, current: RegistrationCloud) -> Step:
    """Register a cloud with the one before: point-to-plane ICP that starts from the identity.

    Raises:
        BackendError: Open3D cannot be imported.
    """
    registration = import_open3d().pipelines.registration
    estimation = registration.TransformationEstimationPointToPlane()
    motion = np.eye(4)
    result: Any = None
    for distance, iterations in STAGES:
        criteria = registration.ICPConvergenceCriteria(max_iteration=iterations)
        result = registration.registration_icp(
            current.thinned, previous.with_normals, distance, motion, estimation, criteria
        )
        motion = np.array(result.transformation)
    return Step(motion, float(result.fitness), float(result.inlier_rmse))
