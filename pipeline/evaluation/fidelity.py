"""Fidelity of one frame, with the two losses kept apart.

*Projection loss*: the original scan against its back-projected range image; it is the price of
the 2D grid, whatever the codec. *Codec loss*: that back-projected range image against the
decoded one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from quinr_lidar import metrics
from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry import RangeImage


@dataclass(frozen=True)
class FrameFidelity:
    """All figures of one frame; lengths in metres, PSNR in dB, sizes in bytes.

    PSNR is the paper's: whole image, maximum of the original image. Chamfer distances are means
    of unsquared nearest-neighbour distances; ``chamfer_m`` is the mean of its two directed
    parts. Codec figures are NaN (``None`` in :meth:`as_dict`) when nothing was decoded as
    measured.
    """

    points: int
    points_outside_fov: int
    points_dropped: int
    points_hidden: int
    pixels_measured: int
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
    chamfer_m: float
    chamfer_original_to_decoded_m: float
    chamfer_decoded_to_original_m: float
    mask_precision: float
    mask_recall: float
    mask_f1: float
    range_error_mean_m: float
    range_error_median_m: float
    range_error_p95_m: float
    range_error_max_m: float

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
) -> FrameFidelity:
    """Compare a scan, its range image and the decoded range image.

    Args:
        points: [N, 3 or more], the original scan, metres.
        image: Its range image, as projected (with ``stats``).
        decoded: The decoded range image, of the same size.
        encoded_bytes: Size of the compressed file.
        raw_bytes: Size of the original file.

    Raises:
        GeometryError: sizes differ, or ``image`` holds no measured pixel.
    """
    if image.stats is None or not image.measured.any():
        raise GeometryError("image: expected a projected scan with at least one measured pixel")
    if decoded.shape != image.shape:
        raise GeometryError(f"decoded: expected {image.shape} pixels, got {decoded.shape}")
    stats = image.stats
    scan = np.asarray(points[:, :3], dtype=np.float64)
    scan = scan[np.isfinite(scan).all(axis=1)]
    scan = scan[(scan != 0).any(axis=1)]
    original = image.projection.back_project(image)
    projection = metrics.chamfer_distance(scan, original)
    codec = _codec_chamfer(original, decoded)
    mask = metrics.mask_scores(image.measured, decoded.measured)
    errors = metrics.range_errors(image.ranges, decoded.ranges, image.measured & decoded.measured)
    return FrameFidelity(
        points=stats.points,
        points_outside_fov=stats.outside_fov,
        points_dropped=stats.non_finite + stats.zero_range,
        points_hidden=stats.collisions,
        pixels_measured=stats.measured,
        kept_fraction=stats.kept_fraction,
        projection_chamfer_m=projection.symmetric,
        projection_scan_to_image_m=projection.a_to_b,
        projection_image_to_scan_m=projection.b_to_a,
        raw_bytes=raw_bytes,
        encoded_bytes=encoded_bytes,
        bpp=metrics.bits_per_pixel(encoded_bytes, *image.shape),
        ratio_raw=metrics.compression_ratio(raw_bytes, encoded_bytes),
        ratio_points=metrics.compression_ratio(
            stats.measured * metrics.BYTES_PER_POINT, encoded_bytes
        ),
        psnr_db=metrics.psnr(image.filled(), decoded.ranges, max_value=image.fill),
        chamfer_m=codec.symmetric,
        chamfer_original_to_decoded_m=codec.a_to_b,
        chamfer_decoded_to_original_m=codec.b_to_a,
        mask_precision=mask.precision,
        mask_recall=mask.recall,
        mask_f1=mask.f1,
        range_error_mean_m=errors.mean,
        range_error_median_m=errors.median,
        range_error_p95_m=errors.p95,
        range_error_max_m=errors.max,
    )


def summarise(frames: Iterable[FrameFidelity]) -> dict[str, dict[str, float | None]]:
    """Mean, minimum, median, maximum and standard deviation of every figure over frames.

    Figures that are not finite are left out; ``None`` stands where none is left.
    """
    rows = [asdict(frame) for frame in frames]
    summary: dict[str, dict[str, float | None]] = {}
    for name in FrameFidelity.__dataclass_fields__:
        values = np.array([row[name] for row in rows if math.isfinite(row[name])])
        summary[name] = {
            label: float(function(values)) if len(values) else None
            for label, function in _STATISTICS.items()
        }
    return summary


_STATISTICS = {
    "mean": np.mean,
    "min": np.min,
    "median": np.median,
    "max": np.max,
    "std": np.std,
}


def _codec_chamfer(original: NDArray[np.float32], decoded: RangeImage) -> metrics.ChamferDistance:
    if not decoded.measured.any():
        return metrics.ChamferDistance(math.nan, math.nan)
    cloud = decoded.projection.back_project(decoded)
    return metrics.chamfer_distance(original, cloud)
