"""Bytes -> range image: as many of a file's layers as are wanted, or as are intact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quinr_lidar.container import Container, Header, unpack
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import BitstreamError, EntropyModelError
from quinr_lidar.fields.grid_values import Window
from quinr_lidar.fields.quinr import Simulator
from quinr_lidar.geometry import RangeImage, SphericalProjection
from quinr_lidar.layers.layer import Draft
from quinr_lidar.layers.registry import LAYERS, NAMES, in_order, missing_needs, to_decode


def decode(
    data: bytes,
    layers: Sequence[str] = NAMES,
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
        layers: Names of the layers to use, in the order of
            :data:`quinr_lidar.layers.registry.NAMES`, each with all that it needs. The file does
            not have to hold them all.
        entropy_models: Models beside the built-in ones, for a file that was coded with one of
            them.
        height: Rows of the image; the scan's by default. The field of view stays the same, so
            with another number the rows lie elsewhere and the image is ``interpolated``.
        width: Columns of the image, in the same way.
        window: Decode this part only; pixels outside are invalid and hold ``no_return``.
        simulate: Runs the preview's circuits instead of the backend, see
            :func:`quinr_lidar.circuit.devices.device_probabilities`.

    Returns:
        The image. Without a mask layer ``ranges`` holds the field's value in every pixel, so that
        the paper's whole-image PSNR can be computed, and ``valid`` tells which of them are
        points; the preview alone of a file that has a mask does not know that: all pixels are
        points and the image is ``interpolated``. With one, invalid pixels hold ``no_return``. With
        the ranges layer every valid pixel is within the file's largest error of the original;
        ``height``, ``width`` and ``simulate`` ask for the preview's values instead.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version, or hold a picture.
        EntropyModelError: the file's entropy model does not code one of its layers.
        UnknownEntropyModelError: the file was coded with an entropy model that is not at hand.
        GeometryError: a size is out of range.
        BackendError: the simulator cannot run the file's circuits.
        ValueError: ``layers`` has no such combination, or the window reaches beyond the image.
    """
    _check_wanted(layers)
    container = unpack(data, layers)
    other_grid = simulate is not None or height is not None or width is not None
    draft = _draft(container, entropy_models)
    own = draft.projection
    draft.grid = replace(own, height=height or own.height, width=width or own.width)
    draft.window, draft.simulate = window, simulate
    return _decode(container, draft, layers, other_grid=other_grid)


@dataclass(frozen=True, eq=False)
class Salvaged:
    """What could be read of a damaged file.

    Attributes:
        image: The best image that could be decoded.
        layers: The intact layers that it was decoded from.
        damage: The first error, or ``None`` for a file without damage.
    """

    image: RangeImage
    layers: tuple[str, ...]
    damage: str | None


def salvage(data: bytes, entropy_models: Iterable[EntropyModel] = ()) -> Salvaged:
    """Decode the best layers of a file that are intact.

    Args:
        data: A file, damaged or cut off.
        entropy_models: Models beside the built-in ones.

    Raises:
        BitstreamError: no layer is intact, or the header is not.
    """
    entropy_models = tuple(entropy_models)
    damage: str | None = None
    layers: tuple[str, ...] = NAMES
    while "ranges" in _given(layers):
        try:
            container = unpack(data, layers)
            present = tuple(layer for layer in layers if layer in container.layers)
            if "ranges" not in _given(present):
                break
            image = _decode(container, _draft(container, entropy_models), layers)
            return Salvaged(image, present, damage)
        except BitstreamError as error:
            damage = damage or str(error)
            layers = _without(layers, error.section)
    raise BitstreamError("file", 0, f"no layer is intact; the first error was: {damage}")


def scan_header(container: Container) -> Header:
    """A scan's header.

    Raises:
        BitstreamError: the file holds a picture.
    """
    if not isinstance(container.header, Header):
        raise BitstreamError("header", 0, "holds a picture, not a scan; decode it as an image")
    return container.header


def _check_wanted(layers: Sequence[str]) -> None:
    if tuple(layers) != in_order(layers):
        raise ValueError(f"layers: expected the order {', '.join(NAMES)}, got {layers!r}")
    if (missing := missing_needs(layers)) is not None:
        raise ValueError(f"layers: {missing}")
    if "ranges" not in _given(layers):
        raise ValueError(f"layers: expected one that gives ranges, got {layers!r}")


def _given(layers: Iterable[str]) -> set[str]:
    """What these layers tell of an image."""
    return {given for name in layers for given in LAYERS[name].gives}


def _without(layers: Sequence[str], damaged: str) -> tuple[str, ...]:
    """The layers to try next, where an error named a damaged section.

    If that one was not asked for, its length is damaged and nothing behind it can be reached.
    """
    if damaged not in NAMES:
        return ()
    beyond = NAMES[NAMES.index(damaged) :] if damaged not in layers else (damaged,)
    left = [name for name in layers if name not in beyond]
    while left and (missing_needs(left) is not None):
        left = [name for name in left if set(LAYERS[name].needs) <= set(left)]
    return tuple(left)


def _draft(container: Container, entropy_models: Iterable[EntropyModel]) -> Draft:
    header = scan_header(container)
    return Draft(
        header.projection,
        header.no_return,
        container.layers,
        tuple(entropy_models),
        grid=header.projection,
    )


def _decode(
    container: Container, draft: Draft, layers: Sequence[str], *, other_grid: bool = False
) -> RangeImage:
    """Decode the layers that are wanted and there, and put the image together."""
    outside = None if draft.window is None else ~_inside(draft.window, draft.grid)
    present = [name for name in layers if name in container.layers]
    for name in to_decode(present, any_grid=other_grid):
        section = container.require(name)
        try:
            LAYERS[name].unpack(section.payload, section.start, draft)
        except EntropyModelError as error:
            # For whoever decodes, the section is at fault: it names a model that does not code it.
            raise BitstreamError(name, section.start, str(error)) from error
    ranges, valid = draft.ranges, draft.valid
    if ranges is None or valid is None:
        raise BitstreamError("file", 0, f"{', '.join(present) or 'no layer'}: gives no ranges")
    if outside is not None:
        valid[outside] = False
    if not draft.keeps_values:
        ranges[~valid] = draft.no_return
    return RangeImage(
        ranges=ranges,
        valid=valid,
        projection=draft.grid,
        no_return=draft.no_return,
        interpolated=draft.guessed or draft.grid != draft.projection,
    )


def _inside(window: Window, grid: SphericalProjection) -> np.ndarray:
    if window.bottom > grid.height or window.right > grid.width:
        raise ValueError(
            f"window: expected rows up to {grid.height} and columns up to {grid.width}, "
            f"got {window.bottom} and {window.right}"
        )
    inside = np.zeros((grid.height, grid.width), bool)
    inside[window.slices] = True
    return inside
