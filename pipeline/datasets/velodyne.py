"""KITTI velodyne files: float32 x, y, z, reflectance, little endian, nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.frame import Cloud
from quinr_lidar.errors import GeometryError, ScanError

SUFFIX = ".bin"
BYTES_PER_POINT = 16
MAX_COORDINATE = 1e4
"""Metres; no LiDAR sees a tenth as far, so a file of larger numbers holds something else."""


def parse_velodyne(data: bytes, name: str) -> Cloud:
    """Read a scan from a file's bytes.

    Args:
        data: A ``.bin`` file as KITTI distributes them.
        name: Where the bytes came from, for errors.

    Returns:
        At least one point, and the channel ``reflectance``, float32 [N], 0 to 1.

    Raises:
        ScanError: the file is empty, truncated, or holds no scan.
    """
    if not data:
        raise ScanError(f"{name}: the file is empty, expected {BYTES_PER_POINT} bytes a point")
    if _is_text(data):
        raise ScanError(
            f"{name}: this is a text file, expected binary float32 x, y, z, reflectance"
        )
    if len(data) % BYTES_PER_POINT:
        raise ScanError(
            f"{name}: {len(data)} bytes are not a multiple of {BYTES_PER_POINT} "
            "(float32 x, y, z, reflectance): the file is truncated or no velodyne scan"
        )
    values = np.frombuffer(data, dtype="<f4").reshape(-1, 4).astype(np.float32)
    points, reflectance = np.ascontiguousarray(values[:, :3]), values[:, 3].copy()
    finite = np.isfinite(points).all(axis=1)
    if not finite.any():
        raise ScanError(f"{name}: none of its {len(points)} points has finite coordinates")
    beyond = np.abs(points[finite]).max(axis=1) > MAX_COORDINATE
    if beyond.mean() > 0.5:
        raise ScanError(
            f"{name}: most coordinates lie beyond {MAX_COORDINATE:.0f} m, "
            "expected float32 x, y, z, reflectance"
        )
    return Cloud(points, {"reflectance": reflectance})


def encode_velodyne(points: NDArray[np.floating]) -> bytes:
    """The bytes of a KITTI velodyne file.

    Args:
        points: [N, 3 or more]: x, y, z in metres, and reflectance, which is 0 without a fourth
            column.

    Raises:
        GeometryError: another shape.
    """
    if points.ndim != 2 or points.shape[1] < 3:
        raise GeometryError(f"points: expected [N, 3 or more], got {list(points.shape)}")
    scan = np.zeros((len(points), 4), dtype="<f4")
    columns = min(4, points.shape[1])
    scan[:, :columns] = points[:, :columns]
    return scan.tobytes()


def _is_text(data: bytes) -> bool:
    """Printable ASCII from end to end: as float32 that would be a cloud of absurd numbers."""
    head = np.frombuffer(data[:4096], np.uint8)
    return bool((((head >= 32) & (head < 127)) | ((head >= 9) & (head <= 13))).all())
