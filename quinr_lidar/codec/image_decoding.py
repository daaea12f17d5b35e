"""Bytes of a file -> picture; NumPy and the compiled kernel only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.codec.inspection import preview_of
from quinr_lidar.container import ImageHeader, unpack
from quinr_lidar.errors import BitstreamError, GeometryError
from quinr_lidar.fields.grid_values import Window, evaluate_grid, excess_work
from quinr_lidar.fields.quinr import Simulator

CHANNELS = (1, 3)
"""Values of a pixel: grey or RGB."""


def decode_image(
    data: bytes,
    *,
    height: int | None = None,
    width: int | None = None,
    window: Window | None = None,
    simulate: Simulator | None = None,
) -> NDArray[np.uint8]:
    """Reconstruct a picture from the bytes of a ``.quinr`` file.

    Args:
        data: A whole file.
        height: Rows to evaluate the field at, instead of the original's.
        width: Columns, in the same way.
        window: The part that is wanted.
        simulate: Runs the circuits instead of the backend, see
            :func:`quinr_lidar.circuit.devices.device_probabilities`.

    Returns:
        uint8 [H, W] or [H, W, 3], of the window where one is given.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version, or hold a scan.
        GeometryError: a size is out of range.
        BackendError: the simulator cannot run the file's circuits.
        ValueError: the window reaches beyond the picture.
    """
    container = unpack(data)
    header = container.header
    if not isinstance(header, ImageHeader):
        raise BitstreamError("header", 0, "holds a scan, not a picture; decode it as a scan")
    preview = preview_of(container)
    if preview.field.outputs not in CHANNELS:
        raise BitstreamError(
            "preview", 0, f"a picture has 1 or 3 channels, got {preview.field.outputs}"
        )
    try:
        size = ImageHeader(height or header.height, width or header.width)
    except ValueError as error:
        raise GeometryError(f"image: {error}") from error
    if (reason := excess_work(preview.field, *size.size)) is not None:
        raise GeometryError(f"{size.height} x {size.width} pixels: {reason}")
    values = evaluate_grid(preview.field, preview.parameters, *size.size, window, simulate)
    image = np.rint(values * 255).astype(np.uint8)
    return image[..., 0] if image.shape[-1] == 1 else image
