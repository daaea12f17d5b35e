"""Single files to compress: a scan or a picture, told apart by the name's suffix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.pictures import is_picture, parse_picture
from pipeline.datasets.single_file import read_scan
from pipeline.storage.files import read_bytes
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import ScanError


@dataclass(frozen=True, eq=False)
class Source:
    """One file to compress.

    Attributes:
        path: The file.
        raw_bytes: Its size.
        content: A range image, or a picture: uint8 [H, W] or [H, W, 3].
    """

    path: Path
    raw_bytes: int
    content: RangeImage | NDArray[np.uint8]

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        if isinstance(self.content, RangeImage):
            return self.content.ranges.size
        return self.content.shape[0] * self.content.shape[1]


def read_source(path: Path, projection: SphericalProjection | None = None) -> Source:
    """Read a scan as a range image, or a picture.

    Args:
        path: A velodyne scan (.bin) or a picture.
        projection: Makes the range image of a scan; KITTI's by default.

    Raises:
        StorageError: the file cannot be read.
        ScanError: not a scan, or one without any usable point.
        GeometryError: not a picture.
    """
    if is_picture(path):
        data = read_bytes(path)
        return Source(path, len(data), parse_picture(data, str(path)))
    scan = read_scan(path)
    image = (projection or SphericalProjection()).project(scan.points)
    if not image.valid.any():
        raise ScanError(f"{path}: no point with a range above 0 m, nothing to encode")
    return Source(path, scan.raw_bytes, image)
