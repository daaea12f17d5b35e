"""Fidelity of one frame, with the two losses kept apart.

*Projection loss*: the original scan against its back-projected range image; it is the price of
the 2D grid, whatever the codec. *Codec loss*: that back-projected range image against the
decoded one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.fidelity.promises import largest_error
from quinr_lidar import metrics
from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry import ProjectionStats, RangeImage
from quinr_lidar.geometry.projection import point_ranges


@dataclass(frozen=True)
class FrameFidelity:
    """All figures of one frame; lengths in metres, PSNR in dB, sizes in bytes.

    Chamfer distances are means of unsquared nearest-neighbour distances. Range errors are
    ``|decoded - original|`` over pixels measured in both images. Where nothing was decoded as
    measured, codec distances are NaN and mask scores 0; range errors are NaN where no pixel is
    measured in both. What the file says of pixels measured in the original alone is in
    ``largest_error_m``.

    Attributes:
        points: Points in the scan.
        points_outside_fov: Of these, clamped to the first or last row.
        points_dropped: Of these, without a usable range (not finite, or zero).
        points_hidden: Of these, behind a nearer point of the same pixel (collisions).
        pixels_valid: Pixels that hold a point: what is left of the scan.
        kept_fraction: ``pixels_valid / points``, in [0, 1].
        projection_chamfer_m: Projection loss, the mean of the next two.
        projection_scan_to_image_m: From the scan to its back-projected range image.
        projection_image_to_scan_m: And back.
        raw_bytes: Size of the original file.
        encoded_bytes: Size of the compressed file.
        bpp: ``8 encoded_bytes / (H W)``.
        ratio_raw: ``raw_bytes / encoded_bytes``.
        ratio_points: 12 bytes for each of ``pixels_valid`` over ``encoded_bytes``: points
            that the projection hid or dropped do not count in the codec's favour.
        psnr_db: The paper's: whole image, peak = maximum of the original image; infinite for
            identical images.
        preview_psnr_db: Likewise of the preview, invalid pixels taken from the mask where the
            file has one; what later layers add does not count.
        chamfer_m: Codec loss, the mean of the next two.
        chamfer_original_to_decoded_m: From the back-projected original to the decoded cloud.
        chamfer_decoded_to_original_m: And back.
        mask_precision: Share of the pixels decoded as measured that were measured.
        mask_recall: Share of the valid pixels that were decoded as measured.
        mask_f1: Harmonic mean of both.
        mask_iou: Pixels measured in both over pixels measured in either.
        range_error_mean_m: Mean.
        range_error_median_m: Median.
        range_error_p95_m: 95th percentile.
        range_error_max_m: Maximum.
        range_error_rmse_m: Root mean square.
        largest_error_m: Maximum over all pixels measured in the original, whatever the decoded
            mask.
        max_error_m: What the file promises ``largest_error_m`` not to exceed (at near ranges,
            where the bound grows with the range); NaN without a promise.
        mask_exact: Whether exactly the valid pixels were decoded as measured.
    """

    points: int
    points_outside_fov: int
    points_dropped: int
    points_hidden: int
    pixels_valid: int
    kept_fraction: float
    projection_chamfer_m: float
    projection_scan_to_image_m: float
    projection_image_to_scan_m: float

    raw_bytes: int
    encoded_bytes: int
    bpp: float
    ratio_raw: float
    ratio_points: float

    psnr_db: float
    preview_psnr_db: float
    chamfer_m: float
    chamfer_original_to_decoded_m: float
    chamfer_decoded_to_original_m: float
    mask_precision: float
    mask_recall: float
    mask_f1: float
    mask_iou: float
    range_error_mean_m: float
    range_error_median_m: float
    range_error_p95_m: float
    range_error_max_m: float
    range_error_rmse_m: float
    largest_error_m: float
    max_error_m: float
    mask_exact: bool

    def as_dict(self) -> dict[str, float | int | None]:
        """Field by field, ready for JSON: ``None`` where a figure is not finite."""
        return {
            name: value if math.isfinite(value) else None for name, value in asdict(self).items()
        }


def measure_frame(
    points: NDArray[np.floating],
    image: RangeImage,
    decoded: RangeImage,
    *,
    encoded_bytes: int,
    raw_bytes: int,
    preview: RangeImage | None = None,
    max_error: float | None = None,
) -> FrameFidelity:
    """Compare a scan, its range image and the decoded range image.

    Args:
        points: [N, 3 or more], the original scan, metres.
        image: Its range image, as projected (with ``stats``).
        decoded: The decoded range image, of the same projection. It may hold no valid pixel.
        encoded_bytes: Size of the compressed file.
        raw_bytes: Size of the original file.
        preview: What preview and mask decode to, where there are ranges as well; ``decoded``
            otherwise.
        max_error: What the file promises, metres.

    Returns:
        Every figure, projection loss and codec loss apart.

    Raises:
        GeometryError: ``image`` holds no valid pixel or is not the range image of ``points``,
            or ``decoded`` is of another projection.
    """
    scan = _projected_points(points, _stats_of(image, decoded))
    original = image.projection.back_project(image)
    projection = metrics.chamfer_distance(scan, original)
    codec = _codec_chamfer(original, decoded)
    return FrameFidelity(
        **image_figures(
            image, decoded, encoded_bytes=encoded_bytes, raw_bytes=raw_bytes, max_error=max_error
        ),
        projection_chamfer_m=projection.symmetric,
        projection_scan_to_image_m=projection.a_to_b,
        projection_image_to_scan_m=projection.b_to_a,
        preview_psnr_db=metrics.psnr(
            image.filled(), (preview or decoded).ranges, max_value=image.no_return
        ),
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
    """Of :class:`FrameFidelity` all but Chamfer distances and the preview's PSNR: the cheap ones.

    Args:
        image: As projected (with ``stats``).
        decoded: Of the same projection.
        encoded_bytes: Size of the compressed file.
        raw_bytes: Size of the original file.
        max_error: What the file promises, metres.

    Returns:
        By the names of :class:`FrameFidelity`.

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


def summarise(frames: Iterable[FrameFidelity]) -> dict[str, dict[str, float | None]]:
    """Mean, minimum, median, maximum and standard deviation of every figure over frames.

    Counts and sizes (points, pixels, bytes) have a ``total`` as well. Figures that are not
    finite are left out; ``None`` stands where none is left.
    """
    rows = [asdict(frame) for frame in frames]
    summary: dict[str, dict[str, float | None]] = {}
    for name in FrameFidelity.__dataclass_fields__:
        values = np.array([float(row[name]) for row in rows if math.isfinite(row[name])])
        summary[name] = {
            label: float(function(values)) if len(values) else None
            for label, function in _STATISTICS.items()
        }
        if name in _COUNTS:
            summary[name]["total"] = float(np.sum(values))
    return summary


_STATISTICS = {
    "mean": np.mean,
    "min": np.min,
    "median": np.median,
    "max": np.max,
    "std": np.std,
}


_COUNTS = frozenset(
    {
        "points",
        "points_outside_fov",
        "points_dropped",
        "points_hidden",
        "pixels_valid",
        "raw_bytes",
        "encoded_bytes",
    }
)


def _projected_points(points: NDArray[np.floating], stats: ProjectionStats) -> NDArray[np.float64]:
    """The scan's points that the projection did not drop: float64 [N, 3], metres.

    The rule is the projection's own, a finite float32 range above zero: a point that it counts
    as dropped must not count again as a distance, least of all one of 1e39 m.
    """
    scan = np.asarray(points)[:, :3].astype(np.float64)
    ranges = point_ranges(scan)
    scan = scan[np.isfinite(ranges) & (ranges > 0)]
    expected = stats.collisions + stats.valid
    if len(points) != stats.points or len(scan) != expected:
        raise GeometryError(
            f"points: expected the scan that the image was projected from ({stats.points} points, "
            f"{expected} of them projected), got {len(points)} and {len(scan)}"
        )
    return scan


def _codec_chamfer(original: NDArray[np.float32], decoded: RangeImage) -> metrics.ChamferDistance:
    if not decoded.valid.any():
        return metrics.ChamferDistance(math.nan, math.nan)
    cloud = decoded.projection.back_project(decoded)
    return metrics.chamfer_distance(original, cloud)
