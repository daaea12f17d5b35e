"""Point clouds and decoded images as files that other software opens.

A new format is a function here and an entry in :data:`WRITERS`: `quinr decode`, `quinr archive
extract` and restoring then know it by its suffix.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.velodyne import encode_velodyne
from quinr_lidar import RangeImage
from quinr_lidar.errors import StorageError

ImageWriter = Callable[[RangeImage], bytes]
"""Turns a decoded image into the bytes of a file; the same image always gives the same bytes."""


def image_writer(path: Path) -> ImageWriter:
    """What writes a decoded image to a file of this name.

    Raises:
        StorageError: the name ends in none of the suffixes of :data:`WRITERS`.
    """
    try:
        return WRITERS[path.suffix.lower()]
    except KeyError:
        raise StorageError(f"{path}: expected a name that ends in {', '.join(WRITERS)}") from None


def encode_ply(
    points: NDArray[np.floating], colours: NDArray[np.uint8] | None = None, comment: str = ""
) -> bytes:
    """Binary PLY with float32 coordinates.

    Args:
        points: [N, 3], metres.
        colours: uint8 [N, 3], red, green and blue of every point.
        comment: A line for the file's head; characters that are not ASCII become "?".
    """
    # Decoding to other formats needs no plyfile.
    from plyfile import PlyData, PlyElement

    columns = dict(zip("xyz", points.astype("<f4").T, strict=True))
    if colours is not None:
        columns |= dict(zip(("red", "green", "blue"), colours.T, strict=True))
    vertices = np.empty(len(points), [(name, value.dtype) for name, value in columns.items()])
    for name, value in columns.items():
        vertices[name] = value
    comments = [comment.encode("ascii", "replace").decode()] if comment else []
    buffer = io.BytesIO()
    element = PlyElement.describe(vertices, "vertex")
    PlyData([element], byte_order="<", comments=comments).write(buffer)
    return buffer.getvalue()


def encode_pcd(points: NDArray[np.floating]) -> bytes:
    """Binary PCD 0.7 with float32 coordinates, as PCL and CloudCompare read it.

    Args:
        points: [N, 3], metres.
    """
    # Decoding to other formats needs no pypcd4.
    from pypcd4.pypcd4 import PointCloud

    buffer = io.BytesIO()
    PointCloud.from_xyz_points(points.astype("<f4")).save(buffer)
    return buffer.getvalue()


def _points(image: RangeImage) -> NDArray[np.float32]:
    return image.projection.back_project(image)


def _velodyne(image: RangeImage) -> bytes:
    return encode_velodyne(_points(image))


def _ply(image: RangeImage) -> bytes:
    comment = "interpolated: not the sensor's own rows" if image.interpolated else ""
    return encode_ply(_points(image), comment=comment)


def _pcd(image: RangeImage) -> bytes:
    return encode_pcd(_points(image))


def _ranges(image: RangeImage) -> bytes:
    """Ranges in metres, float32 [H, W]; invalid pixels are NaN."""
    buffer = io.BytesIO()
    np.save(buffer, np.where(image.valid, image.ranges, np.float32(np.nan)))
    return buffer.getvalue()


WRITERS: Mapping[str, ImageWriter] = {
    ".bin": _velodyne,
    ".ply": _ply,
    ".npy": _ranges,
    ".pcd": _pcd,
}
"""By the file's suffix: KITTI velodyne, PLY, the range image as a NumPy array, PCD."""

VELODYNE = "bin"

KINDS = tuple(suffix[1:] for suffix in WRITERS)
"""What an image can be written as, as options name it."""
