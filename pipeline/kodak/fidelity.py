"""Fidelity of one picture: the size of its file, and how close the decoded picture is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from pipeline.facts import Fact, facts_of
from pipeline.fidelity.statistics import Statistics, statistics_of
from quinr_lidar import metrics
from quinr_lidar.errors import GeometryError

PEAK = 255
SSIM_SIGMA = 1.5
SSIM_WINDOW = 11
"""Side of the Gaussian window in pixels, as scikit-image cuts it off for :data:`SSIM_SIGMA`."""


@dataclass(frozen=True)
class PictureFidelity:
    """All figures of one picture; PSNR in dB, sizes in bytes.

    ``float_psnr_db`` and ``quantisation_loss_db`` are ``None`` where
    they are not known.
    """

    width: Annotated[int, Fact("width", "count", "Columns.")]
    height: Annotated[int, Fact("height", "count", "Rows.")]
    channels: Annotated[int, Fact("channels", "count", "1 for grey, 3 for RGB.")]
    raw_bytes: Annotated[
        int,
        Fact(
            "source's size",
            "bytes",
            "Size of the source file as it is on disk (a PNG, say), not of its pixels.",
        ),
    ]
    encoded_bytes: Annotated[
        int, Fact("size", "bytes", "Size of the compressed file.", better="lower")
    ]
    bpp: Annotated[
        float,
        Fact(
            "bits a pixel",
            "bpp",
            "8 * size / (H * W), for any number of channels.",
            better="lower",
        ),
    ]
    psnr_db: Annotated[
        float,
        Fact(
            "PSNR",
            "psnr",
            "Of the decoded 8-bit picture, over all pixels and channels, peak 255; infinite for "
            "identical pictures.",
            better="higher",
        ),
    ]
    ssim: Annotated[
        float,
        Fact(
            "SSIM",
            "share",
            "Mean structural similarity (Wang et al. 2004): Gaussian window of sigma 1.5, mean "
            "over channels; 1 for identical pictures, NaN where a side is shorter than 11 pixels.",
            better="higher",
        ),
    ]
    float_psnr_db: Annotated[
        float | None,
        Fact(
            "PSNR before rounding",
            "psnr",
            "Before parameters were quantised and values rounded to 8 bits.",
            better="higher",
        ),
    ] = None
    quantisation_loss_db: Annotated[
        float | None,
        Fact(
            "quantisation loss",
            "psnr",
            "By how much quantising the parameters lowered the PSNR of values not yet rounded to "
            "8 bits.",
            better="lower",
        ),
    ] = None

    def as_dict(self) -> dict[str, float | int | None]:
        """Field by field, ready for JSON: ``None`` where a figure is not finite."""
        return {name: value if _is_finite(value) else None for name, value in asdict(self).items()}


FIGURES = {fact.name: fact for fact in facts_of(PictureFidelity)}
"""Figures of a picture by name."""


def measure_picture(
    original: NDArray[np.uint8],
    decoded: NDArray[np.uint8],
    raw_bytes: int,
    encoded_bytes: int,
    *,
    float_psnr_db: float | None = None,
    quantisation_loss_db: float | None = None,
) -> PictureFidelity:
    """Compare a picture with what its file decodes to.

    Args:
        original: uint8 [H, W] grey, or [H, W, 3] RGB.
        decoded: The same shape.
        raw_bytes: Size of the source file.
        encoded_bytes: Size of the compressed file.
        float_psnr_db: PSNR before rounding, known from encoding.
        quantisation_loss_db: PSNR that quantising cost, known from encoding.

    Raises:
        GeometryError: not two pictures of 8 bits and of the same shape.
    """
    for name, image in (("original", original), ("decoded", decoded)):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
            raise GeometryError(
                f"{name}: expected uint8 [H, W] or [H, W, 3], got {image.dtype} {list(image.shape)}"
            )
    height, width = original.shape[:2]
    return PictureFidelity(
        width=width,
        height=height,
        channels=1 if original.ndim == 2 else 3,
        raw_bytes=raw_bytes,
        encoded_bytes=encoded_bytes,
        bpp=metrics.bits_per_pixel(encoded_bytes, height, width),
        psnr_db=metrics.psnr(original, decoded, max_value=PEAK),
        ssim=_ssim(original, decoded),
        float_psnr_db=float_psnr_db,
        quantisation_loss_db=quantisation_loss_db,
    )


def summarise_pictures(pictures: Iterable[dict[str, float | int | None]]) -> dict[str, Statistics]:
    """Statistics of every figure over pictures; each picture counts once, large or small.

    Args:
        pictures: Figures as :meth:`PictureFidelity.as_dict` gives them.
    """
    rows = list(pictures)
    return {name: statistics_of(row.get(name) for row in rows) for name in FIGURES}


def _ssim(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    if min(original.shape[:2]) < SSIM_WINDOW:
        return math.nan
    # Typed as a tuple too, which it is only where its maps or gradient are asked for.
    similarity: Any = structural_similarity(
        original,
        decoded,
        channel_axis=-1 if original.ndim == 3 else None,
        gaussian_weights=True,
        sigma=SSIM_SIGMA,
        use_sample_covariance=False,
        data_range=PEAK,
    )
    return float(similarity)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
