"""The figures of one frame: what they are called and what they mean."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated

from pipeline.facts import Fact


@dataclass(frozen=True)
class FrameFidelity:
    """All figures of one frame; lengths in metres, PSNR in dB, sizes in bytes.

    Where no pixel was decoded as valid, codec distances are NaN and mask scores 0; range errors
    are NaN where no pixel is valid in both images, ``max_error_m`` is NaN without a promise.
    """

    points: Annotated[int, Fact("points", "count", "Points in the scan.", in_notes=True)]
    points_outside_fov: Annotated[
        int,
        Fact(
            "points outside the field of view",
            "count",
            "Points of the scan that were clamped to the first or last row.",
        ),
    ]
    points_dropped: Annotated[
        int,
        Fact(
            "points dropped",
            "count",
            "Points of the scan without a usable range (not finite, or zero).",
        ),
    ]
    points_hidden: Annotated[
        int,
        Fact(
            "points hidden", "count", "Points of the scan behind a nearer point of the same pixel."
        ),
    ]
    pixels_valid: Annotated[
        int,
        Fact(
            "valid pixels",
            "count",
            "Pixels that hold a point: what is left of the scan.",
            in_notes=True,
        ),
    ]
    kept_fraction: Annotated[
        float,
        Fact(
            "points kept",
            "share",
            "Valid pixels over points of the scan: of the points in a pixel the nearest is kept.",
            better="higher",
            in_notes=True,
        ),
    ]
    projection_chamfer_m: Annotated[
        float,
        Fact(
            "projection's Chamfer distance",
            "length",
            "Between the scan and its range image's points, mean of both directions: the "
            "price of the grid, independent of the codec.",
            tables=("sequence",),
            better="lower",
        ),
    ]
    projection_scan_to_image_m: Annotated[
        float,
        Fact(
            "from the scan to its range image",
            "length",
            "The projection's Chamfer distance, from the scan's points only.",
            better="lower",
        ),
    ]
    projection_image_to_scan_m: Annotated[
        float,
        Fact(
            "from the range image to its scan",
            "length",
            "The projection's Chamfer distance, from the range image's points only.",
            better="lower",
        ),
    ]

    raw_bytes: Annotated[
        int, Fact("scan's size", "bytes", "Bytes of the scan's file.", in_notes=True)
    ]
    encoded_bytes: Annotated[
        int,
        Fact(
            "size",
            "bytes",
            "Bytes of the frame's .quinr file.",
            tables=("sequence",),
            better="lower",
        ),
    ]
    bpp: Annotated[
        float,
        Fact(
            "bits a pixel",
            "bpp",
            "8 * bytes / (H * W) of the range image, invalid pixels included.",
            tables=("sequence", "archive", "report"),
            better="lower",
        ),
    ]
    ratio_raw: Annotated[
        float,
        Fact(
            "ratio",
            "ratio",
            "Bytes of the scan over bytes of the file.",
            tables=("sequence",),
            better="higher",
        ),
    ]
    ratio_points: Annotated[
        float,
        Fact(
            "ratio, points kept",
            "ratio",
            "12 bytes for each valid pixel over bytes of the file: points that the "
            "projection hid or dropped do not count in the codec's favour.",
            better="higher",
        ),
    ]

    psnr_db: Annotated[
        float,
        Fact(
            "PSNR",
            "psnr",
            "Of the whole range image, invalid pixels included, as in the paper: 20 "
            "log10(peak / RMSE), peak = the largest range of the original image; infinite "
            "for identical images.",
            tables=("sequence", "archive", "report"),
            better="higher",
            in_notes=True,
        ),
    ]
    preview_psnr_db: Annotated[
        float,
        Fact(
            "preview's PSNR",
            "psnr",
            "PSNR of the preview, with invalid pixels taken from the mask where the file "
            "has one. What later layers add does not count.",
            better="higher",
        ),
    ]
    chamfer_m: Annotated[
        float,
        Fact(
            "Chamfer distance",
            "length",
            "Between the original range image's points and the decoded ones: mean of the "
            "two directed mean nearest-neighbour distances, not squared.",
            tables=("sequence", "archive", "report"),
            better="lower",
            in_notes=True,
        ),
    ]
    chamfer_original_to_decoded_m: Annotated[
        float,
        Fact(
            "from original to decoded",
            "length",
            "The Chamfer distance, from the original range image's points only.",
            better="lower",
        ),
    ]
    chamfer_decoded_to_original_m: Annotated[
        float,
        Fact(
            "from decoded to original",
            "length",
            "The Chamfer distance, from the decoded points only.",
            better="lower",
        ),
    ]
    mask_precision: Annotated[
        float,
        Fact(
            "mask precision",
            "share",
            "Share of the pixels decoded as valid that are valid.",
            tables=("sequence",),
            better="higher",
        ),
    ]
    mask_recall: Annotated[
        float,
        Fact(
            "mask recall",
            "share",
            "Share of the valid pixels that were decoded as valid.",
            tables=("sequence",),
            better="higher",
        ),
    ]
    mask_f1: Annotated[
        float,
        Fact(
            "mask F1",
            "share",
            "Harmonic mean of the mask's precision and recall; 1 where the mask is exact.",
            better="higher",
        ),
    ]
    mask_iou: Annotated[
        float,
        Fact(
            "mask IoU",
            "share",
            "Pixels valid in both images over pixels valid in either.",
            better="higher",
        ),
    ]
    range_error_mean_m: Annotated[
        float,
        Fact(
            "mean error",
            "length",
            "Mean of |decoded - original| over pixels valid in both images.",
            better="lower",
        ),
    ]
    range_error_median_m: Annotated[
        float,
        Fact(
            "median error",
            "length",
            "Median of |decoded - original| over pixels valid in both images.",
            tables=("sequence",),
            better="lower",
        ),
    ]
    range_error_p95_m: Annotated[
        float,
        Fact(
            "95th percentile of errors",
            "length",
            "95 % of the pixels valid in both images err by no more.",
            better="lower",
        ),
    ]
    range_error_max_m: Annotated[
        float,
        Fact(
            "largest error, both valid",
            "length",
            "Maximum of |decoded - original| over pixels valid in both images.",
            better="lower",
        ),
    ]
    range_error_rmse_m: Annotated[
        float,
        Fact(
            "RMS error",
            "length",
            "Root mean square of decoded - original over pixels valid in both images.",
            better="lower",
        ),
    ]
    largest_error_m: Annotated[
        float,
        Fact(
            "largest error",
            "length",
            "Maximum of |decoded - original| over all pixels valid in the original, "
            "independent of the decoded mask.",
            tables=("sequence", "archive", "report"),
            better="lower",
            in_notes=True,
        ),
    ]
    max_error_m: Annotated[
        float,
        Fact(
            "max error",
            "length",
            "What the file promises the largest error not to exceed (at near ranges, where "
            "it grows with the range); none for previews.",
            tables=("sequence", "archive", "report"),
            in_notes=True,
        ),
    ]
    mask_exact: Annotated[bool, Fact("mask exact", in_notes=True)]

    def as_dict(self) -> dict[str, float | int | None]:
        """Field by field, ready for JSON: ``None`` where a figure is not finite."""
        return {
            name: value if math.isfinite(value) else None for name, value in asdict(self).items()
        }
