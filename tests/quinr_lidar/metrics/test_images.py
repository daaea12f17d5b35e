from __future__ import annotations

import doctest
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quinr_lidar import metrics
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics import images


def test_psnr_from_its_definition():
    generator = np.random.default_rng(0)
    original, decoded = generator.random((2, 8, 9)) * 80
    total = sum((a - b) ** 2 for a, b in zip(original.flat, decoded.flat, strict=True))
    expected = 10 * math.log10(79.25**2 / (total / 72))
    assert metrics.psnr(original, decoded, max_value=79.25) == pytest.approx(expected)
    assert metrics.psnr(original, original, max_value=1.0) == math.inf


def test_psnr_equals_opencv():
    original, decoded = np.random.default_rng(3).random((2, 64, 100)) * 80
    peak = float(original.max())
    expected = cv2.PSNR(original, decoded, peak)
    assert metrics.psnr(original, decoded, max_value=peak) == pytest.approx(expected)


def test_examples_in_docstrings_run():
    result = doctest.testmod(images)
    assert result.attempted >= 5
    assert result.failed == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mask_scores_by_counting(pixels):
    original, decoded = (np.array(column) for column in zip(*pixels, strict=True))
    scores = metrics.mask_scores(original, decoded)
    hits = sum(a and b for a, b in pixels)
    wrong, missed = sum(b and not a for a, b in pixels), sum(a and not b for a, b in pixels)
    if hits + wrong:
        assert scores.precision == pytest.approx(hits / (hits + wrong))
    if hits + missed:
        assert scores.recall == pytest.approx(hits / (hits + missed))
    if hits:
        harmonic = 2 / (1 / scores.precision + 1 / scores.recall)
        assert scores.f1 == pytest.approx(harmonic)
        assert scores.iou == pytest.approx(hits / (hits + wrong + missed))


def test_mask_scores_without_any_case():
    nothing, something = np.zeros(3, bool), np.array([True, False, False])
    assert metrics.mask_scores(nothing, nothing) == metrics.MaskScores(1.0, 1.0, 1.0, 1.0)
    assert metrics.mask_scores(something, nothing) == metrics.MaskScores(0.0, 0.0, 0.0, 0.0)


def test_range_errors_by_sorting():
    generator = np.random.default_rng(2)
    original, decoded = generator.random((2, 41)) * 30
    mask = np.arange(41) < 21
    errors = sorted(abs(a - b) for a, b in zip(original[:21], decoded[:21], strict=True))
    result = metrics.range_errors(original, decoded, mask)
    assert result.mean == pytest.approx(sum(errors) / 21)
    assert result.median == pytest.approx(errors[10])
    assert result.p95 == pytest.approx(errors[19])
    assert result.max == pytest.approx(errors[-1])
    assert result.rmse == pytest.approx(math.sqrt(sum(e * e for e in errors) / 21))
    assert result.pixels == 21
    nothing = metrics.range_errors(original, decoded, np.zeros(41, bool))
    assert nothing.pixels == 0
    assert all(math.isnan(getattr(nothing, name)) for name in ("mean", "median", "p95", "max"))
    decoded[30] = np.nan  # not among the compared pixels
    assert metrics.range_errors(original, decoded, mask) == result


def test_sizes():
    assert metrics.bits_per_pixel(286, 64, 1024) == 286 * 8 / 65_536
    assert metrics.compression_ratio(1000, 8) == 125


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: metrics.psnr([1], [1, 2], max_value=1), "one shape"),
        (lambda: metrics.psnr([], [], max_value=1), "non-empty"),
        (lambda: metrics.psnr([1], [1], max_value=0), "max_value"),
        (lambda: metrics.mask_scores(np.ones(2), np.ones(2)), "bool"),
        (lambda: metrics.psnr([np.nan], [1], max_value=1), "original: expected finite"),
        (lambda: metrics.psnr([1], [np.inf], max_value=1), "decoded: expected finite"),
        (lambda: metrics.range_errors([1.0], [1.0], np.ones(2, bool)), "mask"),
        (lambda: metrics.range_errors([1.0, 5.0], [1.0, 2.0], np.array([0, 1])), "mask.*int"),
        (lambda: metrics.range_errors([1.0], [np.nan], np.ones(1, bool)), "decoded"),
        (lambda: metrics.bits_per_pixel(-1, 2, 2), "encoded size"),
        (lambda: metrics.compression_ratio(-1, 2), "original size"),
        (lambda: metrics.bits_per_pixel(1, 0, 5), "image size"),
        (lambda: metrics.compression_ratio(1, 0), "encoded size"),
    ],
)
def test_wrong_input_is_refused(call, reason):
    with pytest.raises(GeometryError, match=reason):
        call()
