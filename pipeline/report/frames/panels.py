"""Images of a frame for an HTML page: range images and views from above, as data URIs."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.facts.units import Unit, unit_for
from pipeline.report.frames.chosen import ShownFrame
from pipeline.report.frames.colours import ERRORS, HEIGHTS, RANGES, Scale
from quinr_lidar import RangeImage

EXTENT_M = 50.0
"""Half the side of a view from above, metres."""

MAP_SIDE = 640
"""Pixels of a view from above."""

RINGS = (10, 20, 30, 40)
"""Rings drawn in a view from above, metres around the sensor."""

_MAX_WIDTH, _MAX_HEIGHT = 1024, 128
_SMALLEST = 1e-4
"""Smallest limit of a scale, metres: an image without errors needs a scale, too."""

_HEIGHT_LOW, _HEIGHT_HIGH = -2.5, 2.0
"""Heights relative to the sensor, metres: from the road to the roofs of cars."""


@dataclass(frozen=True)
class Legend:
    """What the colours of a panel mean.

    Attributes:
        label: What is shown, without the unit.
        scale: Colours.
        low: Value of the first colour.
        high: Value of the last colour.
        unit: Unit of both values.
        cut: Whether some values are larger.
    """

    label: str
    scale: Scale
    low: float
    high: float
    unit: Unit
    cut: bool = False

    def ends(self) -> tuple[str, str]:
        """Both ends as text."""
        short = Unit(self.unit.symbol, self.unit.factor)
        low, high = (f"{short.factor * value:.4g}" for value in (self.low, self.high))
        return low, f"{'≥' if self.cut else ''}{high}\u00a0{short.symbol}"


@dataclass(frozen=True)
class Panel:
    """An image with a text for people who do not see it.

    Attributes:
        uri: Data URI of the image.
        width: Width of the image, pixels.
        height: Height of the image, pixels.
        title: Short title.
        alt: A sentence that describes it.
        legend: Legend of its colours.
    """

    uri: str
    width: int
    height: int
    title: str
    alt: str
    legend: Legend


@dataclass(frozen=True)
class Limits:
    """Largest values of the colour scales, the same for all frames of a report, metres.

    Attributes:
        range: Largest range.
        error: Largest range error.
        distance: Largest distance from a point to the other cloud.
    """

    range: float
    error: float
    distance: float


def limits_of(frames: list[ShownFrame]) -> Limits:
    """Limits that suit all frames; errors end at the max error if there is one."""
    ranges, errors, distances = [1.0], [_SMALLEST], [_SMALLEST]
    for frame in frames:
        if frame.decoded.valid.any():
            ranges.append(_most(frame.decoded.ranges[frame.decoded.valid]))
        if frame.image is not None:
            both, values = range_errors(frame)
            if both.any():
                errors.append(_most(values[both]))
        if frame.matches is not None:
            distances += [_most(frame.matches.a_distances), _most(frame.matches.b_distances)]
    top = float(np.ceil(max(ranges) / 5) * 5)
    max_errors = [frame.row.figures.get("max_error_m") for frame in frames]
    if max_errors and None not in max_errors:
        max_error = max(max_error for max_error in max_errors if max_error is not None)
        return Limits(top, max_error, max_error)
    return Limits(top, max(errors), max(distances))


def _most(values: NDArray[np.floating]) -> float:
    """The 98th percentile, rounded up to two digits: a few outliers must not hide the rest."""
    value = max(float(np.percentile(values, 98)), _SMALLEST)
    digit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(round(value / digit, 3)) * digit


def range_errors(frame: ShownFrame) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Pixels valid in both images, and ``|decoded - original|`` of all pixels: [H, W], metres."""
    assert frame.image is not None  # noqa: S101 (callers have looked)
    error = np.abs(frame.decoded.ranges.astype(np.float64) - frame.image.ranges)
    return frame.image.valid & frame.decoded.valid, error


def range_panels(frame: ShownFrame, limits: Limits) -> list[Panel]:
    """Original, decoded and error range images; the decoded one alone without the original."""
    unit = unit_for("length", [limits.range])
    images = {"Decoded": frame.decoded}
    if frame.image is not None:
        images = {"Original": frame.image} | images
    panels = [
        _range_panel(
            f"{name} range image",
            frame.chosen.frame,
            image.ranges,
            image.valid,
            Legend("range", RANGES, 0.0, limits.range, unit, _beyond(image, limits.range)),
        )
        for name, image in images.items()
    ]
    if frame.image is not None:
        both, errors = range_errors(frame)
        unit = unit_for("length", [limits.error])
        cut = bool((errors[both] > limits.error).any())
        legend = Legend("range error", ERRORS, 0.0, limits.error, unit, cut)
        panels.append(
            _range_panel("Absolute range error", frame.chosen.frame, errors, both, legend)
        )
    return panels


def map_panels(frame: ShownFrame, limits: Limits) -> list[Panel]:
    """The clouds from above, coloured by the distance to each other, or by height without one."""
    name = frame.chosen.frame
    if frame.matches is None:
        unit = Unit("m")
        legend = Legend("height", HEIGHTS, _HEIGHT_LOW, _HEIGHT_HIGH, unit)
        points = frame.decoded_points
        return [_map_panel("Decoded cloud from above", name, points, points[:, 2], legend)]
    unit = unit_for("length", [limits.distance])
    panels = []
    for title, label, points, distances in (
        (
            "Original range image's points from above",
            "distance to the nearest decoded point",
            frame.image_points,
            frame.matches.a_distances,
        ),
        (
            "Decoded points from above",
            "distance to the nearest original point",
            frame.decoded_points,
            frame.matches.b_distances,
        ),
    ):
        cut = bool((distances > limits.distance).any())
        legend = Legend(label, ERRORS, 0.0, limits.distance, unit, cut)
        panels.append(_map_panel(title, name, points, distances, legend))
    return panels


def _beyond(image: RangeImage, limit: float) -> bool:
    return bool((image.ranges[image.valid] > limit).any())


def _range_panel(
    title: str,
    frame: str,
    values: NDArray[np.floating],
    mask: NDArray[np.bool_],
    legend: Legend,
) -> Panel:
    """Values where the mask holds, transparent elsewhere."""
    pixels = legend.scale.paint(values, legend.low, legend.high)
    pixels[~mask] = 0
    # Huge images are thinned out: a mean over a pixel and the hole beside it would be neither.
    pixels = pixels[:: -(-len(mask) // _MAX_HEIGHT), :: -(-mask.shape[1] // _MAX_WIDTH)]
    count = np.count_nonzero(mask)
    alt = f"{title} of frame {frame}: {count:,} of {mask.size:,} pixels"
    if count:
        shown = unit_for("length", [float(values[mask].max())])
        low, high = (shown.text(float(edge(values[mask]))) for edge in (np.min, np.max))
        alt += f", {low} to {high}"
    return Panel(_webp(pixels), pixels.shape[1], pixels.shape[0], title, alt + ".", legend)


def _map_panel(
    title: str, frame: str, points: Any, values: NDArray[np.floating], legend: Legend
) -> Panel:
    """Forward (x) is up and left (y) is left; the largest values are on top."""
    pixels = np.zeros((MAP_SIDE, MAP_SIDE, 4), np.uint8)
    places = (0.5 - points[:, :2] / (2 * EXTENT_M)) * MAP_SIDE
    inside = ((places >= 0) & (places < MAP_SIDE - 1)).all(axis=1)
    order = np.flatnonzero(inside)[np.argsort(values[inside], kind="stable")]
    rows, columns = places[order].astype(np.intp).T
    colours = legend.scale.paint(values[order], legend.low, legend.high)
    for down in (0, 1):
        for right in (0, 1):
            pixels[rows + down, columns + right] = colours
    alt = (
        f"{title}, frame {frame}: {len(order):,} of {len(points):,} points lie in the square of "
        f"{2 * EXTENT_M:g} m around the sensor, coloured by {legend.label}."
    )
    return Panel(_webp(pixels), MAP_SIDE, MAP_SIDE, title, alt, legend)


def _webp(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", lossless=True, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
