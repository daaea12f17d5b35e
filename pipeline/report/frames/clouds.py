"""Clouds of the shown frames for the page's 3D view: thinned out, 16 bits a coordinate."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.facts.units import unit_for
from pipeline.report.frames.chosen import ShownFrame
from pipeline.report.frames.colours import ERRORS, HEIGHTS
from pipeline.report.frames.panels import Limits
from quinr_lidar.metrics.clouds import Cloud, match

MAX_POINTS = 16_000
"""Most points of a cloud: enough to see walls and cars, few enough for a phone."""

_LARGEST = 32_767
_LEVELS = 255


def cloud_view(frames: list[ShownFrame], limits: Limits) -> dict[str, Any]:
    """The data of the 3D view, ready for JSON.

    Returns:
        ``limit`` of distances (metres, of the last of 255 levels); ``errors`` and ``heights``,
        colours; ``frames``: names with their clouds. A cloud has ``points``, how many there are;
        ``step``, metres of a step; ``xyz``, int16 [3, N] in steps, base64; and ``errors``, uint8
        [N] levels, base64, or ``None``.
    """
    unit = unit_for("length", [limits.distance])
    return {
        "limit": limits.distance,
        "unit": unit.symbol,
        "factor": unit.factor,
        "errors": ERRORS.stops(),
        "heights": HEIGHTS.stops(),
        "frames": [_frame(frame, limits) for frame in frames if len(frame.decoded_points)],
    }


def _frame(frame: ShownFrame, limits: Limits) -> dict[str, Any]:
    chosen = frame.chosen
    return {"frame": chosen.frame, "role": chosen.role, "clouds": _clouds(frame, limits)}


def _clouds(frame: ShownFrame, limits: Limits) -> list[dict[str, Any]]:
    decoded, matches = frame.decoded_points, frame.matches
    if matches is None or frame.image_points is None:
        return [_cloud("decoded", "Decoded", decoded, None, limits)]
    clouds = [
        _cloud("decoded", "Decoded", decoded, matches.b_distances, limits),
        _cloud("image", "Original range image", frame.image_points, matches.a_distances, limits),
    ]
    if frame.scan is not None and len(frame.scan):
        chosen = _thin(len(frame.scan))
        distances = match(Cloud(frame.scan[chosen]), Cloud(decoded)).a_distances
        one = _cloud("scan", "Original scan", frame.scan[chosen], distances, limits)
        clouds.append(one | {"points": len(frame.scan)})
    return clouds


def _cloud(
    key: str,
    label: str,
    points: NDArray[np.float32],
    distances: NDArray[np.floating] | None,
    limits: Limits,
) -> dict[str, Any]:
    chosen = _thin(len(points))
    shown = points[chosen]
    step = max(float(np.abs(shown).max(initial=0.0)) / _LARGEST, 1e-6)
    xyz = np.round(shown.T / step).astype("<i2")
    levels = None
    if distances is not None:
        shares = np.clip(distances[chosen] / limits.distance, 0, 1)
        levels = _base64(np.round(_LEVELS * shares).astype(np.uint8))
    return {
        "key": key,
        "label": label,
        "points": len(points),
        "shown": len(shown),
        "step": step,
        "xyz": _base64(xyz),
        "errors": levels,
    }


def _thin(count: int) -> NDArray[np.intp]:
    """Choose points at random, always the same ones for clouds with the same number of points."""
    if count <= MAX_POINTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:MAX_POINTS])


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
