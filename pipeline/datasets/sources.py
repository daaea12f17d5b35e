"""What single files hold: scans by their suffix, pictures by anything Pillow reads."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.datasets.single_file import read_scan
from pipeline.storage.files import read_bytes
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import GeometryError, ScanError

PICTURE_SUFFIXES = (".png", ".ppm", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, eq=False)
class Source:
    """One file to compress.

    Attributes:
        path: Where it is.
        raw_bytes: Its size.
        content: A range image, or a picture: uint8 [H, W] or [H, W, 3].
    """

    path: Path
    raw_bytes: int
    content: RangeImage | NDArray[np.uint8]

    @property
    def pixels(self) -> int:
        """Of the image."""
        if isinstance(self.content, RangeImage):
            return self.content.ranges.size
        return self.content.shape[0] * self.content.shape[1]


def is_picture(path: Path) -> bool:
    """Whether a file's name is that of a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def read_source(path: Path, projection: SphericalProjection | None = None) -> Source:
    """A scan as a range image, or a picture.

    Args:
        path: A velodyne scan (.bin) or a picture.
        projection: Of scans; KITTI's by default.

    Raises:
        StorageError: the file cannot be read.
        ScanError: a scan that is none, or without any measured point.
        GeometryError: a picture that is none.
    """
    if is_picture(path):
        data = read_bytes(path)
        return Source(path, len(data), parse_picture(data, str(path)))
    scan = read_scan(path)
    image = (projection or SphericalProjection()).project(scan.points)
    if not image.valid.any():
        raise ScanError(f"{path}: no point with a range above 0 m, nothing to encode")
    return Source(path, scan.raw_bytes, image)


def parse_picture(data: bytes, name: str) -> NDArray[np.uint8]:
    """A picture from bytes: uint8 [H, W] where it is grey, else [H, W, 3] RGB.

    Transparency and colour profiles are not kept.

    Raises:
        GeometryError: no picture, a damaged one, or one of more than 8 bits; names the file.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in ("I", "F") or image.mode.startswith("I;"):
                raise GeometryError(f"{name}: expected 8 bits a channel, got mode {image.mode}")
            grey = image.mode in ("1", "L", "LA")
            return np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        if isinstance(error, GeometryError):
            raise
        raise GeometryError(f"{name}: no picture that can be read ({error})") from error


def picture_bytes(image: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    """A picture as a file of the format that a suffix stands for.

    Raises:
        GeometryError: Pillow writes no such format.
    """
    kind = Image.registered_extensions().get(suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise GeometryError(f"{suffix}: expected the suffix of a picture, for instance .png")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format=kind)
    return buffer.getvalue()
