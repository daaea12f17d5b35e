"""Bytes -> range image: as many of a file's layers as are wanted, or intact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.codec.grid_values import Window, check_work, evaluate_grid
from quinr_lidar.codec.inspection import read_preview
from quinr_lidar.container import LAYERS, Container, Header, unpack
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import BitstreamError, GeometryError
from quinr_lidar.fields.quinr import Simulator
from quinr_lidar.geometry import RangeImage, SphericalProjection
from quinr_lidar.layers.mask import read_model, unpack_mask
from quinr_lidar.layers.ranges import unpack_ranges

BOUNDED = ("mask", "ranges")
"""What a file of all layers is decoded from: its preview adds nothing."""


def decode(
    data: bytes,
    layers: Sequence[str] = LAYERS,
    *,
    entropy_models: Iterable[EntropyModel] = (),
    height: int | None = None,
    width: int | None = None,
    window: Window | None = None,
    simulate: Simulator | None = None,
) -> RangeImage:
    """Reconstruct a range image from the bytes of a ``.quinr`` file.

    Args:
        data: A whole file. Sections of layers that are not wanted may be damaged or cut off.
        layers: Which of ``("preview", "mask", "ranges")`` to use, from the first on; of those
            that the file does not have, there is nothing to use.
        entropy_models: Beside the built-in ones, for a file that was coded with one of them.
        height: Rows to evaluate the preview's field at, instead of the scan's. The image then is
            ``interpolated``: the field of view is the same, its rows lie elsewhere.
        width: Columns, likewise.
        window: Decode this part only; pixels outside are invalid and hold ``no_return``.
        simulate: Runs the preview's circuits instead of the backend, see
            :func:`quinr_lidar.circuit.devices.device_probabilities`.

    Returns:
        The image. Without a mask layer ``ranges`` holds the field's value in every pixel, so that
        the paper's whole-image PSNR can be computed, and ``valid`` tells which of them are
        points; the preview alone of a file that has a mask does not know that: all pixels are
        points and the image is ``interpolated``. With one, invalid pixels hold ``no_return``. With
        the ranges layer every valid pixel is within the file's bound of the original.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version, or hold a picture.
        UnknownPriorError: of these, the file was coded with an entropy model that is not at hand.
        GeometryError: a size is out of range.
        BackendError: the simulator cannot run the file's circuits.
        ValueError: ``layers`` are not the first ones, or the window reaches beyond the image.
    """
    if not layers or tuple(layers) != LAYERS[: len(layers)]:
        raise ValueError(f"layers: expected the first of {', '.join(LAYERS)}, got {layers!r}")
    container = unpack(data, layers)
    header = scan_header(container)
    other = simulate is not None or height is not None or width is not None
    if not other and container.section("ranges") is not None:
        return _decode_ranges(container, header, entropy_models, window)
    projection = replace(
        header.projection,
        height=height or header.projection.height,
        width=width or header.projection.width,
    )
    return _decode_preview(container, header, projection, entropy_models, window, simulate)


@dataclass(frozen=True, eq=False)
class Salvaged:
    """What could be read of a damaged file.

    Attributes:
        image: The best of it.
        layers: What it was decoded from.
        damage: The first error, or ``None`` for a file without damage.
    """

    image: RangeImage
    layers: tuple[str, ...]
    damage: str | None


def salvage(data: bytes, entropy_models: Iterable[EntropyModel] = ()) -> Salvaged:
    """Decode the best layers of a file that are intact.

    Args:
        data: A file, damaged or cut off.
        entropy_models: As :func:`decode`.

    Raises:
        BitstreamError: no layer is intact, or the header is not.
    """
    entropy_models = tuple(entropy_models)
    damage: str | None = None
    for layers in (LAYERS, BOUNDED, LAYERS[:2], LAYERS[:1]):
        try:
            container = unpack(data, layers)
            header = scan_header(container)
            used = tuple(layer for layer in layers if layer in container.layers)
            if container.section("ranges") is not None:
                return Salvaged(
                    _decode_ranges(container, header, entropy_models, None), used, damage
                )
            if LAYERS[0] in used:
                image = _decode_preview(
                    container, header, header.projection, entropy_models, None, None
                )
                return Salvaged(image, used, damage)
        except BitstreamError as error:
            damage = damage or str(error)
    raise BitstreamError("file", 0, f"no layer is intact; the first error was: {damage}")


def scan_header(container: Container) -> Header:
    """A scan's header.

    Raises:
        BitstreamError: the file holds a picture.
    """
    if not isinstance(container.header, Header):
        raise BitstreamError("header", 0, "holds a picture, not a scan; decode it as an image")
    return container.header


def _decode_ranges(
    container: Container,
    header: Header,
    entropy_models: Iterable[EntropyModel],
    window: Window | None,
) -> RangeImage:
    mask, entropy_model = _decode_mask(container, header, entropy_models)
    section = container.require("ranges")
    ranges = np.full(header.size, header.no_return, np.float32)
    ranges[mask] = unpack_ranges(section.payload, mask, entropy_model, section.start)
    if window is not None:
        inside = _inside(window, header.projection)
        mask &= inside
        ranges[~mask] = header.no_return
    return RangeImage(ranges, mask, header.projection, header.no_return)


def _decode_mask(
    container: Container, header: Header, entropy_models: Iterable[EntropyModel]
) -> tuple[NDArray[np.bool_], EntropyModel]:
    section = container.require("mask")
    entropy_model = read_model(section.payload, section.start, entropy_models)
    return unpack_mask(section.payload, header.size, entropy_model, section.start), entropy_model


def _inside(window: Window, projection: SphericalProjection) -> NDArray[np.bool_]:
    if window.bottom > projection.height or window.right > projection.width:
        raise ValueError(
            f"window: expected rows up to {projection.height} and columns up to "
            f"{projection.width}, got {window.bottom} and {window.right}"
        )
    inside = np.zeros((projection.height, projection.width), bool)
    inside[window.slices] = True
    return inside


def _decode_preview(
    container: Container,
    header: Header,
    projection: SphericalProjection,
    entropy_models: Iterable[EntropyModel],
    window: Window | None,
    simulate: Simulator | None,
) -> RangeImage:
    preview = read_preview(container)
    if (reason := check_work(preview, projection.height, projection.width)) is not None:
        raise GeometryError(f"{projection.height} x {projection.width} pixels: {reason}")
    values = np.ones((projection.height, projection.width))
    inside = window.slices if window else (slice(None), slice(None))
    values[inside] = evaluate_grid(
        preview.field,
        preview.parameters,
        projection.height,
        projection.width,
        window,
        simulate,
    )[..., 0]
    ranges = (values * header.no_return).astype(np.float32)
    if preview.threshold is not None:
        valid = values < preview.threshold
    elif container.section("mask") is not None:
        mask, _ = _decode_mask(container, header, entropy_models)
        valid = _resampled(mask, projection)
    else:
        valid = np.ones(values.shape, bool)
    if preview.threshold is None:
        if window is not None:
            valid &= _inside(window, projection)
        ranges[~valid] = header.no_return
    return RangeImage(
        ranges=ranges,
        valid=valid,
        projection=projection,
        no_return=header.no_return,
        interpolated=projection != header.projection
        or (preview.threshold is None and container.section("mask") is None),
    )


def _resampled(mask: NDArray[np.bool_], projection: SphericalProjection) -> NDArray[np.bool_]:
    """The mask of another grid of the same view: the nearest pixel's."""
    height, width = mask.shape
    rows = (2 * np.arange(projection.height) + 1) * height // (2 * projection.height)
    columns = (2 * np.arange(projection.width) + 1) * width // (2 * projection.width)
    return mask[np.ix_(rows, columns)]
