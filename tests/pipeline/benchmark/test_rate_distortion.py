"""Comparisons of curves against figures worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from pipeline.benchmark.rate_distortion import bjontegaard_deltas, interpolated_psnr
from quinr_lidar.errors import GeometryError

# A doubling of bytes gives 2 dB, at every point.
LINE = [(100 * 2**k, 10.0 + 2 * k) for k in range(5)]


def test_better_by_a_constant():
    deltas = bjontegaard_deltas(LINE, [(size, quality + 1) for size, quality in LINE])
    assert deltas is not None
    assert deltas.psnr_db == pytest.approx(1)
    # 1 dB is half a doubling.
    assert deltas.rate_percent == pytest.approx(100 * (2**-0.5 - 1))


def test_twice_the_bytes_in_another_order_and_number():
    doubled = [(2 * size, quality) for size, quality in LINE]
    deltas = bjontegaard_deltas(LINE, [doubled[i] for i in (4, 0, 2)])
    assert deltas is not None
    assert deltas.rate_percent == pytest.approx(100)
    assert deltas.psnr_db == pytest.approx(-2)


def test_lines_of_different_slopes():
    """On the common log bytes [2, 3] the gain runs from 0 to 1 dB: half a dB on the mean."""
    deltas = bjontegaard_deltas([(100, 10), (1000, 11)], [(100, 10), (1000, 12)])
    assert deltas is not None
    assert deltas.psnr_db == pytest.approx(0.5)
    # At 10 + q dB, q of [0, 1], log bytes are 2 + q and 2 + q / 2: -1/4 on the mean.
    assert deltas.rate_percent == pytest.approx(100 * (10**-0.25 - 1))


def test_curved_reference():
    reference = [(100, 10.0), (200, 13.0), (400, 14.0), (800, 14.2), (1600, 14.3)]
    log_sizes = np.log10([size for size, _ in reference])
    spline = PchipInterpolator(log_sizes, [quality for _, quality in reference])
    mean = float(spline.integrate(2, log_sizes[-1])) / (log_sizes[-1] - 2)
    line = [(100, 10.0), (1600, 15.0)]
    deltas = bjontegaard_deltas(reference, line)
    assert deltas is not None
    assert deltas.psnr_db == pytest.approx(12.5 - mean)


@pytest.mark.parametrize(
    "other",
    [
        [(5000, 10.0), (9000, 18.0)],  # the same PSNR, other bytes
        [(100, 30.0), (400, 40.0)],  # the same bytes, other PSNR
        [(1600, 18.0), (3200, 20.0)],  # they only touch
    ],
)
def test_no_overlap(other: list[tuple[float, float]]):
    assert bjontegaard_deltas(LINE, other) is None
    assert bjontegaard_deltas(other, LINE) is None


def test_interpolation():
    assert interpolated_psnr(LINE, 200) == pytest.approx(12)
    assert interpolated_psnr(LINE[::-1], 100 * math.sqrt(2)) == pytest.approx(11)
    assert interpolated_psnr(LINE, 100) == pytest.approx(10)
    assert interpolated_psnr(LINE, 1600) == pytest.approx(18)
    assert interpolated_psnr(LINE, 99) is None
    assert interpolated_psnr(LINE, 1601) is None
    assert interpolated_psnr([(100, 7.0)], 100) == 7


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(100, 10.0), (200, 9.0)],
        [(100, 10.0), (100, 11.0)],
        [(0, 10.0), (100, 11.0)],
        [(100, 10.0), (200, math.inf)],
        [(100, 10.0, 1.0), (200, 11.0, 1.0)],
    ],
)
def test_refuses(points: Any):
    with pytest.raises(GeometryError, match="points"):
        interpolated_psnr(points, 100)
    with pytest.raises(GeometryError, match="reference_points"):
        bjontegaard_deltas(points, LINE)


def test_refuses_one_point_and_no_size():
    with pytest.raises(GeometryError, match="at least 2"):
        bjontegaard_deltas(LINE, LINE[:1])
    with pytest.raises(GeometryError, match="size"):
        interpolated_psnr(LINE, 0)
