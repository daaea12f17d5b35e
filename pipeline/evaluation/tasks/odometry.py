"""LiDAR odometry with KISS-ICP (Vizzo et al., RA-L 2023): a drive's trajectory from its clouds."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.libraries.extras import install_hint
from quinr_lidar.errors import BackendError, GeometryError

FloatArray = NDArray[np.float64]

MAX_RANGE = 100.0
"""Metres; KISS-ICP's own default, from which its voxels of 1 m follow."""

FEWEST_POINTS = 100
"""A cloud of fewer cannot be registered."""


class Odometry:
    """KISS-ICP on one cloud after the other.

    Clouds are taken as corrected for the sensor's motion within a turn, as KITTI's are. One thread
    is used, so that the same clouds give the same poses on a machine.

    Raises:
        BackendError: KISS-ICP is not installed.
    """

    def __init__(self) -> None:
        config = _kiss_icp("kiss_icp.config").load_config(None)
        config.data.deskew = False
        config.data.max_range = MAX_RANGE
        config.registration.max_num_threads = 1
        self._kiss: Any = _kiss_icp("kiss_icp.kiss_icp").KissICP(config)

    def add(self, points: NDArray[np.floating]) -> FloatArray:
        """Add the next cloud and return the sensor's pose.

        Args:
            points: [N >= :data:`FEWEST_POINTS`, 3 or more], metres, in the sensor's frame.

        Returns:
            float64 [4, 4], in the frame of the first cloud's sensor.

        Raises:
            GeometryError: fewer points.
        """
        if points.ndim != 2 or points.shape[1] < 3 or len(points) < FEWEST_POINTS:
            raise GeometryError(
                f"odometry: expected points [N >= {FEWEST_POINTS}, 3], got {list(points.shape)}"
            )
        self._kiss.register_frame(points[:, :3].astype(np.float64), np.empty(0))
        return np.array(self._kiss.last_pose)


def check_odometry() -> None:
    """Check that KISS-ICP is installed, before hours of work.

    Raises:
        BackendError: KISS-ICP is missing.
    """
    Odometry()


def _kiss_icp(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise BackendError(
            f"odometry needs {error.name}, install it with: {install_hint('kiss_icp')}"
        ) from error
