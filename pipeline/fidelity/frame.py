"""Fidelity of one frame, with the two losses kept apart.

*Projection loss*: the original scan against its back-projected range image; it is the price of
the 2D grid and does not depend on the codec. *Codec loss*: that back-projected range image against
the decoded one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.fidelity.figures import FrameFidelity
from pipeline.fidelity.promises import largest_error
from quinr_lidar import metrics
from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry import ProjectionStats, RangeImage, usable_points
from quinr_lidar.metrics.clouds import Cloud, chamfer, match


def measure_frame(
    points: NDArray[np.floating],
    image: RangeImage,
    decoded: RangeImage,
    *,
    encoded_bytes: int,
    raw_bytes: int,
    preview_psnr_db: float | None = None,
    max_error: float | None = None,
) -> FrameFidelity:
    """Compare a scan, its range image and the decoded range image.

    Args:
        points: [N, 3 or more], the original scan, metres.
        image: Its range image, as projected (with ``stats``).
        decoded: The decoded range image, of the same projection. It may hold no valid pixel.
        encoded_bytes: Size of the compressed file.
        raw_bytes: Size of the original file.
        preview_psnr_db: PSNR of what preview and mask decode to; that of ``decoded`` by default,
            which is the same in a file without ranges.
        max_error: Largest error that the file promises, metres.

    Returns:
        Every figure, projection loss and codec loss apart.

    Raises:
        GeometryError: ``image`` holds no valid pixel or is not the range image of ``points``,
            or ``decoded`` is of another projection.
    """
    scan = _projected_points(points, _stats_of(image, decoded))
    # One tree of the original's points serves both comparisons.
    original = Cloud(image.projection.back_project(image))
    projection = chamfer(match(Cloud(scan), original))
    codec = _codec_chamfer(original, decoded)
    figures = image_figures(
        image, decoded, encoded_bytes=encoded_bytes, raw_bytes=raw_bytes, max_error=max_error
    )
    preview = figures["psnr_db"] if preview_psnr_db is None else preview_psnr_db
    return FrameFidelity(
        **figures,
        projection_chamfer_m=projection.symmetric,
        projection_scan_to_image_m=projection.a_to_b,
        projection_image_to_scan_m=projection.b_to_a,
        preview_psnr_db=preview,
        chamfer_m=codec.symmetric,
        chamfer_original_to_decoded_m=codec.a_to_b,
        chamfer_decoded_to_original_m=codec.b_to_a,
    )


def image_figures(
    image: RangeImage,
    decoded: RangeImage,
    *,
    encoded_bytes: int,
    raw_bytes: int,
    max_error: float | None = None,
) -> dict[str, Any]:
    """The cheap figures: all of :class:`FrameFidelity` but Chamfer distances and preview PSNR.

    Args:
        image: The original range image, as projected (with ``stats``).
        decoded: The decoded range image, of the same projection.
        encoded_bytes: Size of the compressed file.
        raw_bytes: Size of the original file.
        max_error: Largest error that the file promises, metres.

    Returns:
        Figures by the names of :class:`FrameFidelity`.

    Raises:
        GeometryError: ``image`` holds no valid pixel or has no ``stats``, or ``decoded`` is of
            another projection.
    """
    stats = _stats_of(image, decoded)
    mask = metrics.mask_scores(image.valid, decoded.valid)
    errors = metrics.range_errors(image.ranges, decoded.ranges, image.valid & decoded.valid)
    return {
        "points": stats.points,
        "points_outside_fov": stats.outside_fov,
        "points_dropped": stats.non_finite + stats.zero_range,
        "points_hidden": stats.collisions,
        "pixels_valid": stats.valid,
        "kept_fraction": stats.kept_fraction,
        "raw_bytes": raw_bytes,
        "encoded_bytes": encoded_bytes,
        "bpp": metrics.bits_per_pixel(encoded_bytes, *image.shape),
        "ratio_raw": metrics.compression_ratio(raw_bytes, encoded_bytes),
        "ratio_points": metrics.compression_ratio(
            stats.valid * metrics.BYTES_PER_POINT, encoded_bytes
        ),
        "psnr_db": metrics.psnr(image.filled(), decoded.ranges, max_value=image.no_return),
        "mask_precision": mask.precision,
        "mask_recall": mask.recall,
        "mask_f1": mask.f1,
        "mask_iou": mask.iou,
        "range_error_mean_m": errors.mean,
        "range_error_median_m": errors.median,
        "range_error_p95_m": errors.p95,
        "range_error_max_m": errors.max,
        "range_error_rmse_m": errors.rmse,
        "largest_error_m": largest_error(image, decoded),
        "max_error_m": math.nan if max_error is None else max_error,
        "mask_exact": bool((image.valid == decoded.valid).all()),
    }


def _stats_of(image: RangeImage, decoded: RangeImage) -> ProjectionStats:
    if image.stats is None or not image.valid.any():
        raise GeometryError("image: expected a projected scan with at least one valid pixel")
    if decoded.projection != image.projection:
        raise GeometryError(f"decoded: expected {image.projection}, got {decoded.projection}")
    return image.stats


def _projected_points(points: NDArray[np.floating], stats: ProjectionStats) -> NDArray[np.float64]:
    """The scan's points that the projection did not drop: float64 [N, 3], metres.

    A point that the projection counts as dropped must not count again as a distance.
    """
    scan = usable_points(points).astype(np.float64)
    expected = stats.collisions + stats.valid
    if len(points) != stats.points or len(scan) != expected:
        raise GeometryError(
            f"points: expected the scan that the image was projected from ({stats.points} points, "
            f"{expected} of them projected), got {len(points)} and {len(scan)}"
        )
    return scan


def _codec_chamfer(original: Cloud, decoded: RangeImage) -> metrics.ChamferDistance:
    if not decoded.valid.any():
        return metrics.ChamferDistance(math.nan, math.nan)
    return chamfer(match(original, Cloud(decoded.projection.back_project(decoded))))
