"""KITTI's ``calib.txt`` and ``poses`` files of a synthetic drive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CAMERA_FROM_VELODYNE = np.array(
    [
        [4.276802385584e-04, -9.999672484946e-01, -8.084491683471e-03, -1.198459927713e-02],
        [-7.210626507497e-03, 8.081198471645e-03, -9.999413164504e-01, -5.403984729748e-02],
        [9.999738645903e-01, 4.859485810390e-04, -7.206933692422e-03, -2.921968648686e-01],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""``Tr`` of KITTI odometry sequence 00: the synthetic car carries the same sensors."""

FOCAL, CENTRE_X, CENTRE_Y = 718.856, 607.1928, 185.2157
"""The rectified cameras of KITTI odometry sequence 00, pixels."""

BASELINES = (0.0, -386.1448, 45.38225, -337.2877)
"""Focal length times offset of cameras 0..3 to camera 0, pixels times metres."""


def calibration_text() -> str:
    """``calib.txt``: P0..P3 and Tr, row-major 3 x 4, as pykitti reads them."""
    lines = []
    for camera, baseline in enumerate(BASELINES):
        projection = np.array(
            [[FOCAL, 0, CENTRE_X, baseline], [0, FOCAL, CENTRE_Y, 0], [0, 0, 1, 0]]
        )
        lines.append(f"P{camera}: {_row(projection)}")
    lines.append(f"Tr: {_row(CAMERA_FROM_VELODYNE[:3])}")
    return "\n".join(lines) + "\n"


def camera_pose(first: FloatArray, current: FloatArray) -> FloatArray:
    """Pose of camera 0 in the frame of the first camera 0, as KITTI's poses have it.

    Args:
        first: Pose of the velodyne in the world at the first frame, [4, 4].
        current: The same at this frame.

    Returns:
        float64 [4, 4].
    """
    camera = CAMERA_FROM_VELODYNE
    return camera @ np.linalg.inv(first) @ current @ np.linalg.inv(camera)


def pose_line(pose: FloatArray) -> str:
    """One line of ``poses/00.txt``: the first three rows, row-major."""
    return _row(pose[:3])


def _row(matrix: FloatArray) -> str:
    # 0.0 is added so that no "-0" appears.
    return " ".join(f"{value:.12e}" for value in np.asarray(matrix, float).ravel() + 0.0)
