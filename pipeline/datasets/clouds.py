"""Decoded images as files that other software opens: KITTI .bin, .ply, .npy."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.datasets.velodyne import encode_velodyne
from quinr_lidar import RangeImage
from quinr_lidar.errors import StorageError


def cloud_bytes(path: Path) -> Callable[[RangeImage], bytes]:
    """What turns an image into the bytes of a file of this name.

    Raises:
        StorageError: the file's suffix is none of .bin, .ply, .npy.
    """
    try:
        return _WRITERS[path.suffix.lower()]
    except KeyError:
        raise StorageError(f"{path}: expected a name that ends in {', '.join(_WRITERS)}") from None


def _velodyne(image: RangeImage) -> bytes:
    return encode_velodyne(image.projection.back_project(image))


def _ply(image: RangeImage) -> bytes:
    """Binary PLY with float32 coordinates."""
    points = image.projection.back_project(image).astype("<f4")
    comment = "comment interpolated: not the sensor's own rows\n" if image.interpolated else ""
    head = (
        f"ply\nformat binary_little_endian 1.0\n{comment}"
        f"element vertex {len(points)}\n"
        "property float x\nproperty float y\nproperty float z\nend_header\n"
    )
    return head.encode() + points.tobytes()


def _ranges(image: RangeImage) -> bytes:
    """Ranges in metres, float32 [H, W]; invalid pixels are NaN."""
    buffer = io.BytesIO()
    np.save(buffer, np.where(image.valid, image.ranges, np.float32(np.nan)))
    return buffer.getvalue()


_WRITERS: dict[str, Callable[[RangeImage], bytes]] = {
    ".bin": _velodyne,
    ".ply": _ply,
    ".npy": _ranges,
}
