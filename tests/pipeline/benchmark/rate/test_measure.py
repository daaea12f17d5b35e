"""What is measured is true, and what is not as asked for is no result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.benchmark.rate.baselines import Baseline, Decoded, Encoded
from pipeline.benchmark.rate.measure import errors_of, measure, median_seconds
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.clouds import chamfer_distance

PROJECTION = SphericalProjection(4, 8)
MEASURED = np.arange(32).reshape(4, 8) % 5 > 0
RANGES = (10 + np.arange(32).reshape(4, 8)).astype(np.float32)
IMAGE = RangeImage(
    np.where(MEASURED, RANGES, RANGES.max()), MEASURED, PROJECTION, float(RANGES.max())
)
POINTS = PROJECTION.back_project(IMAGE).astype(float)


def baseline(decode: Callable[..., Decoded] | None, goal="max_error", **ways) -> Baseline:
    made = ways or {"only": lambda image, setting: Encoded.of(b"abc")}
    return Baseline("someone", "Someone", goal, made, decode, lambda: "1")


def test_ranges():
    decoded = RANGES.copy()
    decoded[1, 3] += 0.25
    decoded[2, 5] -= 0.125
    found = measure(IMAGE, baseline(lambda data, known: Decoded(decoded, MEASURED)), 0.25)
    assert found["bytes"] == 3
    assert found["bits_per_point"] == pytest.approx(24 / MEASURED.sum())
    assert found["bpp"] == pytest.approx(24 / 32)
    assert found["largest_error_m"] == 0.25
    mse = (0.25**2 + 0.125**2) / 32
    assert found["psnr_db"] == pytest.approx(10 * np.log10(41**2 / mse), abs=1e-3)
    theirs = PROJECTION.back_project(replace(IMAGE, ranges=decoded))
    assert found["chamfer_m"] == pytest.approx(chamfer_distance(POINTS, theirs).symmetric, rel=1e-4)
    # Neighbouring pixels are metres apart: the nearest point is the point itself.
    assert found["d1_rmse_m"] == pytest.approx(np.sqrt(32 * mse / MEASURED.sum()), rel=1e-4)
    assert {"encode_seconds", "decode_seconds"} <= set(found)


def test_identical_ranges_have_no_finite_psnr():
    found = errors_of(IMAGE, Decoded(RANGES, MEASURED))
    assert found["psnr_db"] is None
    assert found["largest_error_m"] == 0
    assert errors_of(IMAGE, Decoded(RANGES)) != {"psnr_db": None}  # invalid pixels count there


def test_the_worse_direction_counts_for_d1():
    lonely = np.repeat(POINTS[:1], len(POINTS), axis=0)
    found = errors_of(IMAGE, Decoded(points=lonely))
    spread = np.linalg.norm(POINTS - POINTS[0], axis=1)
    assert found["d1_rmse_m"] == pytest.approx(np.sqrt((spread**2).mean()))


def test_psnr_of_points_is_of_their_image():
    found = errors_of(IMAGE, Decoded(points=POINTS))
    assert found["psnr_db"] is None or found["psnr_db"] > 120  # but for float32
    turned = POINTS[:, [1, 0, 2]] * [1, -1, 1]  # a quarter turn, two columns
    again = np.roll(np.where(MEASURED, RANGES, np.nan), 2, axis=1)
    shifted = [again, np.roll(again, -4, axis=1)]
    images = [np.where(np.isnan(one), IMAGE.no_return, one) for one in shifted]
    expected = [10 * np.log10(41**2 / np.mean((IMAGE.filled() - one) ** 2)) for one in images]
    quality = errors_of(IMAGE, Decoded(points=turned))["psnr_db"]
    assert any(quality == pytest.approx(one, abs=1e-3) for one in expected)


def test_points_in_another_order():
    order = np.random.default_rng(0).permutation(len(POINTS))
    moved = POINTS + np.array([0.3, 0, 0.4])

    def encode(image: RangeImage, setting: float) -> Encoded:
        return Encoded.of(b"abc", order=order)

    one = baseline(lambda data, known: Decoded(points=moved[order]), sorted=encode)
    assert measure(IMAGE, one, 0.501)["largest_error_m"] == pytest.approx(0.5)
    with pytest.raises(GeometryError, match=r"expected a maximum error of 0.49 m"):
        measure(IMAGE, one, 0.49)
    with pytest.raises(GeometryError, match="someone: expected a maximum error"):
        measure(IMAGE, replace(one, goal="lossless"), 0.501)


@pytest.mark.parametrize(
    ("decoded", "reason"),
    [
        (Decoded(RANGES, ~MEASURED), "32 pixels"),
        (Decoded(RANGES[:2], MEASURED[:2]), "image"),
        (Decoded(points=POINTS[1:]), "points"),
        (Decoded(), "image"),
        (Decoded(RANGES), "maximum error"),  # no mask, so no bound is kept
        (Decoded(RANGES + np.float32(0.2), MEASURED), "maximum error"),
    ],
)
def test_what_is_not_as_asked_for_is_no_result(decoded: Decoded, reason: str):
    with pytest.raises(GeometryError, match=reason):
        measure(IMAGE, baseline(lambda data, known: decoded), 0.1)


def test_the_smallest_file_counts_and_is_the_one_decoded():
    seen = []

    def decode(data: bytes, known: object) -> Decoded:
        seen.append(data)
        return Decoded(RANGES, MEASURED)

    one = baseline(
        decode,
        long=lambda image, setting: Encoded.of(b"12345"),
        short=lambda image, setting: Encoded.of(b"1"),
        longer=lambda image, setting: Encoded.of(b"123456"),
    )
    found = measure(IMAGE, one, 0.1)
    assert (found["way"], found["bytes"], seen) == ("short", 1, [b"1"])
    with pytest.raises(GeometryError, match="no way"):
        measure(IMAGE, replace(one, ways={}), 0.1)


def test_a_code_length_needs_no_file():
    one = baseline(None, ideal=lambda image, setting: Encoded(12.5, parts={"mask": 2.5}))
    found = measure(IMAGE, one, 0.1)
    assert found["bytes"] == 12.5
    assert found["bits_per_point"] == pytest.approx(100 / MEASURED.sum())
    assert found["parts"] == {"mask": 2.5}
    assert not {"largest_error_m", "psnr_db", "decode_seconds"} & set(found)
    assert found["encode_seconds"] is None


def test_the_median_of_the_seconds_counts(monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    done = []
    assert median_seconds(lambda: done.append(1) or len(done), 3) == (3, 2.0)
