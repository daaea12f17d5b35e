"""Picture files of 8 bits a channel, read and written by Pillow.

Pillow is imported where it is used: scans need none.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError

PICTURE_SUFFIXES = (".png", ".ppm", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".webp")


def is_picture(path: Path) -> bool:
    """Whether a file's name is that of a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def parse_picture(data: bytes, name: str) -> NDArray[np.uint8]:
    """Read a picture from a file's bytes.

    Transparency and colour profiles are not kept.

    Args:
        data: The file.
        name: Where the bytes came from, for errors.

    Returns:
        uint8: [H, W] if the picture is grey, else [H, W, 3], RGB.

    Raises:
        GeometryError: no picture, a damaged one, or one of more than 8 bits; names the file.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in ("I", "F") or image.mode.startswith("I;"):
                raise GeometryError(f"{name}: expected 8 bits a channel, got mode {image.mode}")
            grey = image.mode in ("1", "L", "LA")
            return np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        if isinstance(error, GeometryError):
            raise
        raise GeometryError(f"{name}: not a picture that can be read ({error})") from error


def picture_bytes(image: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    """Write a picture as a file.

    Args:
        image: uint8 [H, W] or [H, W, 3].
        suffix: Says which format.

    Raises:
        GeometryError: Pillow does not write this format.
    """
    from PIL import Image

    kind = Image.registered_extensions().get(suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise GeometryError(f"{suffix}: expected the suffix of a picture, for instance .png")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format=kind)
    return buffer.getvalue()
