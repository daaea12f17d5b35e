"""Figures of pictures against computations that share nothing with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pipeline.kodak.fidelity import FIGURES, measure_picture, summarise_pictures
from quinr_lidar.errors import GeometryError


def pair(*shape: int, noise: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(len(shape))
    smooth = gaussian_filter(generator.random(shape), [3, 3, 0][: len(shape)])
    original = 255 * (smooth - smooth.min()) / np.ptp(smooth)
    decoded = original + generator.normal(scale=noise, size=shape)
    return original.astype(np.uint8), decoded.clip(0, 255).astype(np.uint8)


def ssim_by_hand(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004, equation 13, by SciPy: mean over all windows within the picture."""

    def smooth(values):
        return gaussian_filter(values, 1.5, radius=5)

    x, y = x.astype(float), y.astype(float)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = smooth(x), smooth(y)
    vx, vy, vxy = smooth(x * x) - mx**2, smooth(y * y) - my**2, smooth(x * y) - mx * my
    values = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(values[5:-5, 5:-5].mean())


@pytest.mark.parametrize("shape", [(24, 37), (24, 37, 3)])
def test_figures_equal_an_independent_computation(shape):
    original, decoded = pair(*shape)
    figures = measure_picture(original, decoded, 5000, 111)
    error = sum(
        (int(a) - int(b)) ** 2 for a, b in zip(original.flat, decoded.flat, strict=True)
    ) / math.prod(shape)
    assert figures.psnr_db == pytest.approx(20 * math.log10(255) - 10 * math.log10(error))
    planes = [(original, decoded)]
    if len(shape) == 3:
        planes = [(original[..., c], decoded[..., c]) for c in range(3)]
    expected = np.mean([ssim_by_hand(*plane) for plane in planes])
    assert figures.ssim == pytest.approx(expected, abs=1e-9)
    assert 0.05 < figures.ssim < 0.95, "a picture that says something"
    assert (figures.height, figures.width, figures.channels) == (24, 37, len(planes))
    assert (figures.raw_bytes, figures.encoded_bytes) == (5000, 111)
    assert figures.bpp == pytest.approx(8 * 111 / (24 * 37))


def test_identical_pictures():
    original, _ = pair(16, 16, 3)
    figures = measure_picture(original, original, 1, 1)
    assert (figures.psnr_db, figures.ssim) == (math.inf, pytest.approx(1.0))
    assert figures.as_dict()["psnr_db"] is None, "JSON has no infinity"


def test_what_only_the_encoder_knows_is_kept():
    original, decoded = pair(16, 16)
    unknown = measure_picture(original, decoded, 1, 1).as_dict()
    assert (unknown["float_psnr_db"], unknown["quantisation_loss_db"]) == (None, None)
    known = measure_picture(
        original, decoded, 1, 1, float_psnr_db=30.5, quantisation_loss_db=0.25
    ).as_dict()
    assert (known["float_psnr_db"], known["quantisation_loss_db"]) == (30.5, 0.25)


@pytest.mark.parametrize(("side", "defined"), [(10, False), (11, True)])
def test_pictures_smaller_than_the_window_have_no_ssim(side, defined):
    original, decoded = pair(side, 20)
    figures = measure_picture(original, decoded, 1, 1)
    assert math.isfinite(figures.ssim) == defined
    assert math.isfinite(figures.psnr_db)
    assert (figures.as_dict()["ssim"] is not None) == defined


@pytest.mark.parametrize(
    ("original", "decoded", "message"),
    [
        (np.zeros((4, 4), np.float32), np.zeros((4, 4), np.uint8), "original: expected uint8"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), "decoded: expected uint8"),
        (np.zeros(4, np.uint8), np.zeros(4, np.uint8), "original: expected uint8"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8), "shape"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8), "shape"),
    ],
)
def test_other_arrays_are_refused(original, decoded, message):
    with pytest.raises(GeometryError, match=message):
        measure_picture(original, decoded, 1, 1)


def test_a_summary_leaves_out_what_is_unknown():
    rows = [{"psnr_db": 20.0, "ssim": None}, {"psnr_db": 30.0, "ssim": 0.5}, {"psnr_db": None}]
    summary = summarise_pictures(rows)
    expected = {"mean": 25.0, "min": 20.0, "median": 25.0, "max": 30.0, "std": 5.0}
    assert summary["psnr_db"] == expected
    assert summary["ssim"]["mean"] == 0.5
    assert summary["bpp"]["mean"] is None
    assert list(summary) == list(FIGURES)
    assert summarise_pictures([])["bpp"]["max"] is None
