"""Poses that a data set brings along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pykitti
from numpy.typing import NDArray

from quinr_lidar.errors import DatasetError

FloatArray = NDArray[np.float64]


def read_poses(root: Path, sequence: str) -> dict[str, FloatArray]:
    """The velodyne's poses of a KITTI odometry sequence, or of a synthetic drive.

    Args:
        root: Holds ``poses/<sequence>.txt`` and ``sequences/<sequence>/calib.txt, times.txt``.
        sequence: For instance ``"00"``.

    Returns:
        By frame id, float64 [4, 4]: from the velodyne at the frame to the velodyne at the first.
        Empty without such a file of poses.

    Raises:
        DatasetError: the poses or the calibration cannot be understood.
    """
    file = root / "poses" / f"{sequence}.txt"
    calibration = root / "sequences" / sequence / "calib.txt"
    if not file.is_file() or not calibration.is_file():
        return {}
    try:
        # KITTI's poses are those of the left camera.
        camera = np.asarray(pykitti.odometry(str(root), sequence).calib.T_cam0_velo, float)
        back = np.linalg.inv(camera)
        rows = np.loadtxt(file, ndmin=2).reshape(-1, 3, 4)
        if not np.isfinite(rows).all():
            raise ValueError("a number that is not finite")
    except (KeyError, ValueError, IndexError, OverflowError, OSError) as error:
        raise DatasetError(
            f"{file}: expected 12 numbers a line, and KITTI's calib.txt and times.txt beside the "
            f"scans: {error}"
        ) from error
    poses = np.concatenate([rows, np.broadcast_to([[[0.0, 0, 0, 1]]], (len(rows), 1, 4))], axis=1)
    return {f"{index:06d}": back @ pose @ camera for index, pose in enumerate(poses)}
