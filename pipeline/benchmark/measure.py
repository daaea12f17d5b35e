"""A baseline on a source at one setting: bytes, and the errors of what was really decoded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from pipeline.benchmark.baseline import (
    Baseline,
    Content,
    Decoded,
    Encoded,
    Known,
    Request,
    values_of,
)
from pipeline.benchmark.machine import median_seconds
from quinr_lidar import RangeImage
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.images import psnr

Figures = dict[str, float]


def measure(content: Content, baseline: Baseline, request: Request) -> dict[str, Any]:
    """What a baseline makes of a source.

    Returns:
        ``label``, the way or variant that counts; ``parts``, bytes of each layer; and ``figures``,
        of which only those that are defined are there: ``bytes``; ``points`` (valid pixels);
        ``bits_per_point``; ``bpp``, bits a pixel; ``largest_error_m``, the largest distance of a
        point from its decoded self (of a range image the error of the range); ``d1_rmse_m``, the
        root mean squared distance to the nearest point, of the worse direction; ``chamfer_m``, the
        mean distance to the nearest point, mean of both directions; ``psnr_db``, of all pixels
        (points are projected again, some then lie in another pixel); ``float_psnr_db``, before
        rounding; ``encode_seconds`` (of the way that counts), ``decode_seconds`` and
        ``training_seconds``, each on one thread.

    Raises:
        GeometryError: what was decoded is not what was asked for: another mask, another number of
            points, an error above the largest one allowed.
        QuinrError: the baseline cannot do it.
    """
    way, encoded, seconds = _smallest(content, baseline, request)
    variants = baseline.variants(request.setting, request.channels)
    figures: Figures = {"bytes": encoded.size}
    figures["bpp"] = round(8 * encoded.size / values_of(content)[..., 0].size, 6)
    if encoded.data and not encoded.decoded:
        figures["encode_seconds"] = round(seconds, 4)
    figures |= {name: round(value, 6) for name, value in encoded.figures.items()}
    decoded, data, decode = encoded.decoded, encoded.data, baseline.decode
    if isinstance(content, RangeImage):
        figures["points"] = content.valid_count
        figures["bits_per_point"] = round(8 * encoded.size / content.valid_count, 6)
        if data is not None and decode is not None:
            known = Known(content.projection, content.no_return, request)
            decoded, seconds = median_seconds(lambda: decode(data, known), baseline.repeats)
            figures["decode_seconds"] = round(seconds, 4)
    if decoded is not None:
        figures |= errors_of(content, decoded, encoded.order)
        _require_max_error(baseline, request.setting, figures)
    return {
        "label": way or variants[request.variant],
        "parts": dict(encoded.parts),
        "figures": figures,
    }


def errors_of(content: Content, decoded: Decoded, order: NDArray[np.intp] | None = None) -> Figures:
    """Distances and PSNR of what was decoded, see :func:`measure`.

    The i-th decoded point is the original one ``order[i]``; the image's order by default.

    Raises:
        GeometryError: another mask, shape or number of points.
    """
    if decoded.values is not None or not isinstance(content, RangeImage):
        values = values_of(content)
        if decoded.values is None or decoded.values.shape != values.shape:
            raise GeometryError(f"decoded: expected values {list(values.shape)}")
        return _quality(values, decoded.values)
    image, ranges, mask = content, decoded.ranges, decoded.valid
    points = image.projection.back_project(image).astype(np.float64)
    if decoded.points is not None:
        theirs = _in_order(decoded.points, len(points), order)
        # A decoder is not told which pixel a point was in: it has to project them again.
        again = image.projection.project(decoded.points)
        whole = np.where(again.valid, again.ranges.astype(np.float64), image.no_return)
        worst = np.linalg.norm(points - theirs, axis=1).max()
    elif ranges is None or mask is None or ranges.shape != image.shape:
        raise GeometryError(f"decoded: expected ranges {list(image.shape)} with a mask, or points")
    else:
        if wrong := int(np.count_nonzero(mask != image.valid)):
            raise GeometryError(f"decoded: {wrong} pixels are wrongly valid or invalid")
        whole = np.where(mask, ranges.astype(np.float64), image.no_return)
        theirs = image.projection.directions()[mask] * whole[mask, None]
        worst = np.abs(whole - image.ranges)[mask].max()
    both = [KDTree(b).query(a)[0] for a, b in ((points, theirs), (theirs, points))]
    return _quality(image.filled(), whole, image.no_return) | {
        "largest_error_m": float(worst),
        "d1_rmse_m": max(float(np.sqrt(np.square(one).mean())) for one in both),
        "chamfer_m": float(sum(one.mean() for one in both)) / 2,
    }


def _smallest(content: Content, baseline: Baseline, request: Request) -> tuple[str, Encoded, float]:
    tried = []
    for way, encode in baseline.ways.items():
        encoded, seconds = median_seconds(lambda encode=encode: encode(content, request))
        tried.append((way, encoded, seconds if encoded.seconds is None else encoded.seconds))
    return min(tried, key=lambda one: one[1].size)


def _in_order(
    points: NDArray[np.floating], count: int, order: NDArray[np.intp] | None
) -> NDArray[np.float64]:
    if points.shape != (count, 3):
        raise GeometryError(f"decoded: expected {count} points, got an array {list(points.shape)}")
    ordered = np.empty((count, 3))
    ordered[slice(None) if order is None else order] = points
    return ordered


def _quality(
    original: NDArray[np.floating], decoded: NDArray[np.floating], peak: float = 1.0
) -> Figures:
    found = psnr(original, decoded, max_value=peak)
    # JSON has no infinity, which identical images have.
    return {"psnr_db": round(found, 4)} if math.isfinite(found) else {}


def _require_max_error(baseline: Baseline, setting: float, figures: Figures) -> None:
    allowed = {"max_error": setting, "lossless": 0.0}.get(baseline.goal)
    worst = figures.get("largest_error_m")
    if allowed is not None and (worst is None or worst > allowed):
        raise GeometryError(
            f"{baseline.name}: expected a largest error of {allowed:g} m, measured {worst}"
        )
