"""What is measured is true, and what is not as asked for is no result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.benchmark.baseline import Baseline, Decoded, Encoded, Request
from pipeline.benchmark.machine import median_seconds
from pipeline.benchmark.measure import errors_of
from pipeline.benchmark.measure import measure as measure_request
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


def measure(image: RangeImage, one: Baseline, setting: float) -> dict:
    """Figures, label and parts in one dictionary."""
    found = measure_request(image, one, Request(setting))
    return found["figures"] | {"way": found["label"], "parts": found["parts"]}


def baseline(decode: Callable[..., Decoded] | None, goal="max_error", **ways) -> Baseline:
    made = ways or {"only": lambda image, setting: Encoded.of(b"abc")}
    return Baseline("someone", "Someone", goal, made, decode, lambda _: "1")


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
    assert "psnr_db" not in found
    assert found["largest_error_m"] == 0
    # Invalid pixels count where a codec knows no mask.
    assert errors_of(IMAGE, Decoded(values=RANGES[..., None] / RANGES.max()))["psnr_db"] < 40


def test_the_worse_direction_counts_for_d1():
    lonely = np.repeat(POINTS[:1], len(POINTS), axis=0)
    found = errors_of(IMAGE, Decoded(points=lonely))
    spread = np.linalg.norm(POINTS - POINTS[0], axis=1)
    assert found["d1_rmse_m"] == pytest.approx(np.sqrt((spread**2).mean()))


def test_psnr_of_points_is_of_their_image():
    found = errors_of(IMAGE, Decoded(points=POINTS))
    assert found.get("psnr_db", 999) > 120  # but for float32
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
    with pytest.raises(GeometryError, match=r"expected a largest error of 0.49 m"):
        measure(IMAGE, one, 0.49)
    with pytest.raises(GeometryError, match="someone: expected a largest error"):
        measure(IMAGE, replace(one, goal="lossless"), 0.501)


@pytest.mark.parametrize(
    ("decoded", "reason"),
    [
        (Decoded(RANGES, ~MEASURED), "32 pixels"),
        (Decoded(RANGES[:2], MEASURED[:2]), "ranges"),
        (Decoded(points=POINTS[1:]), "points"),
        (Decoded(), "ranges"),
        (Decoded(values=RANGES[..., None] / 41), "largest error"),  # no mask, no bound is kept
        (Decoded(RANGES + np.float32(0.2), MEASURED), "largest error"),
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


def test_a_code_length_needs_no_file():
    one = baseline(None, ideal=lambda image, setting: Encoded(12.5, parts={"mask": 2.5}))
    found = measure(IMAGE, one, 0.1)
    assert found["bytes"] == 12.5
    assert found["bits_per_point"] == pytest.approx(100 / MEASURED.sum())
    assert found["parts"] == {"mask": 2.5}
    assert not {"largest_error_m", "psnr_db", "encode_seconds", "decode_seconds"} & set(found)


def test_pictures_have_a_psnr_and_no_points():
    picture = np.zeros((4, 6, 3), np.uint8)
    encoded = Encoded.of(b"ab", decoded=Decoded(values=np.full((4, 6, 3), 0.5)))
    one = baseline(None, "size", way=lambda image, request: encoded)
    found = measure_request(picture, one, Request(10, channels=3))["figures"]
    assert found["psnr_db"] == pytest.approx(6.0206)
    assert found["bpp"] == pytest.approx(16 / 24, abs=1e-6)
    assert set(found) == {"bytes", "bpp", "psnr_db"}


def test_the_median_of_the_seconds_counts(monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    done = []
    assert median_seconds(lambda: done.append(1) or len(done), 3) == (3, 2.0)
