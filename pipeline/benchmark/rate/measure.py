"""A baseline on a scan with one setting: bytes, and errors of what was really decoded."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from pipeline.benchmark.rate.baselines import Baseline, Decoded, Encoded, Known
from quinr_lidar import RangeImage
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.images import bits_per_pixel, psnr

Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """One line of the results; ``None`` is what is not defined or was not measured.

    Attributes:
        key: Of the job.
        scan: Its label.
        codec: The baseline's name.
        goal: What ``setting`` is: see :data:`~pipeline.benchmark.rate.baselines.Goal`.
        setting: Bound in metres, bits a pixel asked for, or 0.
        points: Measured pixels.
        bytes: Of the file.
        bits_per_point: Of a valid pixel.
        bpp: Bits of a pixel of the image.
        largest_error_m: Largest distance of a point from its decoded self, metres; of a range image
            that is the error of the range.
        d1_rmse_m: Root mean squared distance to the nearest point, of the worse direction, metres.
        chamfer_m: Mean distance to the nearest point, mean of both directions, metres.
        psnr_db: Of the whole range image, invalid pixels at its maximum, which is the peak.
            Decoded points are projected again: some then lie in another pixel.
        encode_seconds: Of the setting that won, on one thread; of files only.
        decode_seconds: On one thread.
        training_seconds: Not part of encoding, as the setting does not change it; on one thread.
        way: The setting that won.
        parts: Bytes of each layer.
        error: Why there is no result.
    """

    key: str
    scan: str
    codec: str
    goal: str
    setting: float
    points: int
    bytes: float | None = None
    bits_per_point: float | None = None
    bpp: float | None = None
    largest_error_m: float | None = None
    d1_rmse_m: float | None = None
    chamfer_m: float | None = None
    psnr_db: float | None = None
    encode_seconds: float | None = None
    decode_seconds: float | None = None
    training_seconds: float | None = None
    way: str = ""
    parts: dict[str, float] = field(default_factory=dict)
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def measure(image: RangeImage, baseline: Baseline, setting: float) -> dict[str, Any]:
    """What a baseline makes of a scan: fields of :class:`Row` from ``bytes`` on.

    Args:
        image: The scan, with at least one valid pixel.
        baseline: Who codes it.
        setting: Its bound in metres or rate in bits a pixel; ignored by lossless ones.

    Raises:
        GeometryError: what was decoded is not what was asked for: another mask, another number of
            points, or an error above the bound.
        QuinrError: the baseline cannot do it.
    """
    way, encoded, seconds = _smallest(image, baseline, setting)
    found: dict[str, Any] = {
        "bytes": encoded.size,
        "bits_per_point": round(8 * encoded.size / image.valid_count, 6),
        "bpp": round(encoded.size * bits_per_pixel(1, *image.shape), 6),
        "way": way,
        "parts": dict(encoded.parts),
        "encode_seconds": round(seconds, 4) if encoded.data and not encoded.decoded else None,
    }
    if encoded.training_seconds is not None:
        found["training_seconds"] = round(encoded.training_seconds, 4)
    decoded = encoded.decoded
    data, decode = encoded.data, baseline.decode
    if data is not None and decode is not None:
        known = Known(image.projection, image.no_return, setting)
        decoded, seconds = median_seconds(lambda: decode(data, known), baseline.repeats)
        found["decode_seconds"] = round(seconds, 4)
    if decoded is None:
        return found
    errors = errors_of(image, decoded, encoded.order)
    _require_max_error(baseline, setting, errors)
    return found | errors


def errors_of(
    image: RangeImage, decoded: Decoded, order: NDArray[np.intp] | None = None
) -> dict[str, float | None]:
    """Distances and PSNR of what was decoded; PSNR alone where it has no mask.

    Args:
        image: The original.
        decoded: Ranges, or points.
        order: Which original the i-th decoded point is; as in the image by default.

    Raises:
        GeometryError: another mask, shape or number of points.
    """
    ranges, mask = decoded.ranges, decoded.valid
    points = image.projection.back_project(image).astype(np.float64)
    if decoded.points is not None:
        theirs = _in_order(decoded.points, len(points), order)
        # A decoder is not told which pixel a point was of: it has to project them again.
        again = image.projection.project(decoded.points)
        whole = np.where(again.valid, again.ranges.astype(np.float64), image.no_return)
        worst = float(np.linalg.norm(points - theirs, axis=1).max())
    elif ranges is None or ranges.shape != image.shape:
        raise GeometryError(f"decoded: expected an image {list(image.shape)} or points")
    elif mask is None:
        return {"psnr_db": _quality(image, ranges)}
    else:
        wrong = int(np.count_nonzero(mask != image.valid))
        if wrong:
            raise GeometryError(f"decoded: {wrong} pixels are wrongly measured or invalid")
        whole = np.where(mask, ranges.astype(np.float64), image.no_return)
        theirs = image.projection.directions()[mask] * whole[mask, None]
        worst = float(np.abs(whole - image.ranges)[mask].max())
    return {"largest_error_m": worst, "psnr_db": _quality(image, whole)} | _distances(
        points, theirs
    )


def _smallest(image: RangeImage, baseline: Baseline, setting: float) -> tuple[str, Encoded, float]:
    best: tuple[str, Encoded, float] | None = None
    for way, encode in baseline.ways.items():
        encoded, seconds = median_seconds(lambda encode=encode: encode(image, setting))
        if best is None or encoded.size < best[1].size:
            best = way, encoded, seconds if encoded.seconds is None else encoded.seconds
    if best is None:
        raise GeometryError(f"{baseline.name}: no way to encode")
    return best


def median_seconds(work: Callable[[], Result], repeats: int = 1) -> tuple[Result, float]:
    """What some work returns, and the median of its wall-clock seconds."""
    seconds: list[float] = []
    while True:
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
        if len(seconds) >= repeats:
            return result, statistics.median(seconds)


def _in_order(
    points: NDArray[np.floating], count: int, order: NDArray[np.intp] | None
) -> NDArray[np.float64]:
    if points.shape != (count, 3):
        raise GeometryError(f"decoded: expected {count} points, got an array {list(points.shape)}")
    ordered = np.empty((count, 3))
    ordered[slice(None) if order is None else order] = points
    return ordered


def _quality(image: RangeImage, whole: NDArray[np.floating]) -> float | None:
    found = psnr(image.filled(), whole, max_value=image.no_return)
    # JSON knows no infinity, which identical images have.
    return round(found, 4) if math.isfinite(found) else None


def _distances(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> dict[str, float]:
    both = [KDTree(b).query(a)[0] for a, b in ((ours, theirs), (theirs, ours))]
    return {
        "d1_rmse_m": max(float(np.sqrt(np.square(one).mean())) for one in both),
        "chamfer_m": float(sum(one.mean() for one in both)) / 2,
    }


def _require_max_error(baseline: Baseline, setting: float, errors: dict[str, float | None]) -> None:
    max_error = {"max_error": setting, "lossless": 0.0}.get(baseline.goal)
    worst = errors.get("largest_error_m")
    if max_error is None:
        return
    if worst is None or worst > max_error:
        raise GeometryError(
            f"{baseline.name}: expected a maximum error of {max_error:g} m, measured {worst}"
        )
