"""What a decoded image or cloud is worth: PSNR, distances, mask scores, sizes."""

from quinr_lidar.metrics.clouds import ChamferDistance, chamfer_distance
from quinr_lidar.metrics.images import (
    BYTES_PER_POINT,
    MaskScores,
    RangeErrors,
    bits_per_pixel,
    compression_ratio,
    mask_scores,
    psnr,
    range_errors,
)

__all__ = [
    "BYTES_PER_POINT",
    "ChamferDistance",
    "MaskScores",
    "RangeErrors",
    "bits_per_pixel",
    "chamfer_distance",
    "compression_ratio",
    "mask_scores",
    "psnr",
    "range_errors",
]
