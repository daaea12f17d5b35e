from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from pipeline.fidelity import measure_frame, summarise
from quinr_lidar import RangeImage, SphericalProjection, metrics
from quinr_lidar.errors import GeometryError

PROJECTION = SphericalProjection(16, 64)
POINTS = np.random.default_rng(0).normal(scale=(15, 15, 1.5, 0.2), size=(3000, 4)).astype("f4")


def decoded_from(image: RangeImage, shift: float) -> RangeImage:
    return RangeImage(
        (image.ranges + np.float32(shift)).astype(np.float32),
        image.valid,
        image.projection,
        image.no_return,
    )


def test_a_perfect_codec_leaves_only_the_projection_loss():
    image = PROJECTION.project(POINTS)
    fidelity = measure_frame(
        POINTS, image, decoded_from(image, 0), encoded_bytes=100, raw_bytes=POINTS.nbytes
    )
    assert fidelity.psnr_db == math.inf
    assert fidelity.chamfer_m == 0
    assert fidelity.range_error_max_m == 0
    assert (fidelity.mask_precision, fidelity.mask_recall) == (1, 1)
    assert fidelity.projection_chamfer_m > 0
    assert fidelity.points == 3000
    assert fidelity.points_hidden + fidelity.pixels_valid == 3000
    assert fidelity.kept_fraction == fidelity.pixels_valid / 3000
    assert fidelity.bpp == 800 / 1024
    assert fidelity.ratio_raw == 480
    assert fidelity.ratio_points == fidelity.pixels_valid * 12 / 100
    assert fidelity.as_dict()["psnr_db"] is None
    assert fidelity.as_dict()["max_error_m"] is None
    assert fidelity.preview_psnr_db == math.inf
    assert (fidelity.largest_error_m, fidelity.mask_exact) == (0, True)
    json.dumps(fidelity.as_dict(), allow_nan=False)


def test_a_constant_error_shows_in_every_codec_figure():
    image = PROJECTION.project(POINTS)
    fidelity = measure_frame(
        POINTS, image, decoded_from(image, 0.25), encoded_bytes=100, raw_bytes=POINTS.nbytes
    )
    assert fidelity.range_error_mean_m == pytest.approx(0.25, rel=1e-4)
    assert fidelity.range_error_p95_m == pytest.approx(0.25, rel=1e-4)
    assert fidelity.psnr_db == pytest.approx(20 * math.log10(image.no_return / 0.25), abs=1e-3)
    assert 0 < fidelity.chamfer_m <= 0.25 + 1e-4


def nearest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.square(a[:, None].astype(float) - b[None]).sum(-1)).min(1).mean())


def test_every_figure_by_brute_force():
    image = PROJECTION.project(POINTS)
    generator = np.random.default_rng(1)
    ranges = np.abs(image.ranges + generator.normal(size=image.shape)).astype(np.float32)
    valid = image.valid ^ (generator.random(image.shape) < 0.1)
    decoded = RangeImage(ranges, valid, PROJECTION, image.no_return)
    preview = decoded_from(image, 0.25)
    fidelity = measure_frame(
        POINTS,
        image,
        decoded,
        encoded_bytes=77,
        raw_bytes=POINTS.nbytes,
        preview_psnr_db=metrics.psnr(image.filled(), preview.ranges, max_value=image.no_return),
        max_error=0.5,
    )
    original = PROJECTION.back_project(image)
    cloud, scan = PROJECTION.back_project(decoded), POINTS[:, :3]
    both = image.valid & valid
    errors = np.abs(ranges.astype(float) - image.ranges)[both]
    expected = {
        "projection_scan_to_image_m": nearest(scan, original),
        "projection_image_to_scan_m": nearest(original, scan),
        "projection_chamfer_m": (nearest(scan, original) + nearest(original, scan)) / 2,
        "chamfer_original_to_decoded_m": nearest(original, cloud),
        "chamfer_decoded_to_original_m": nearest(cloud, original),
        "chamfer_m": (nearest(original, cloud) + nearest(cloud, original)) / 2,
        "psnr_db": 20 * math.log10(image.ranges.max())
        - 10 * math.log10(np.mean((ranges.astype(float) - image.ranges) ** 2)),
        "preview_psnr_db": 20 * math.log10(image.ranges.max() / 0.25),
        "largest_error_m": np.abs(ranges.astype(float) - image.ranges)[image.valid].max(),
        "max_error_m": 0.5,
        "mask_exact": False,
        "mask_precision": both.sum() / valid.sum(),
        "mask_recall": both.sum() / image.valid.sum(),
        "mask_f1": 2 * both.sum() / (valid.sum() + image.valid.sum()),
        "mask_iou": both.sum() / (valid | image.valid).sum(),
        "range_error_mean_m": errors.mean(),
        "range_error_median_m": np.sort(errors)[len(errors) // 2],
        "range_error_p95_m": np.quantile(errors, 0.95),
        "range_error_max_m": errors.max(),
        "range_error_rmse_m": math.sqrt((errors**2).mean()),
    }
    figures = fidelity.as_dict()
    # The median of an even count lies between two neighbours.
    assert figures == pytest.approx(figures | expected, rel=5e-3)
    del expected["range_error_median_m"]
    assert figures == pytest.approx(figures | expected, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 3e38, 1e300])
def test_a_dropped_point_does_not_reach_the_distances(bad):
    clean = POINTS[:, :3].astype(np.float64)
    points = np.vstack([clean, [[bad, bad, 0.0]]])
    image = PROJECTION.project(points)
    fidelity = measure_frame(
        points, image, decoded_from(image, 0), encoded_bytes=1, raw_bytes=points.nbytes
    )
    reference = PROJECTION.project(clean)
    without = measure_frame(
        clean, reference, decoded_from(reference, 0), encoded_bytes=1, raw_bytes=clean.nbytes
    )
    assert fidelity.points_dropped == 1
    assert fidelity.projection_chamfer_m == without.projection_chamfer_m


def test_nothing_decoded_is_still_measured():
    image = PROJECTION.project(POINTS)
    nothing = RangeImage(
        image.ranges, np.zeros_like(image.valid), image.projection, image.no_return
    )
    fidelity = measure_frame(POINTS, image, nothing, encoded_bytes=9, raw_bytes=POINTS.nbytes)
    assert math.isnan(fidelity.chamfer_m)
    assert fidelity.mask_recall == 0
    assert fidelity.as_dict()["range_error_max_m"] is None


def test_summary_leaves_out_what_is_not_finite():
    image = PROJECTION.project(POINTS)
    frame = measure_frame(
        POINTS, image, decoded_from(image, 1), encoded_bytes=10, raw_bytes=POINTS.nbytes
    )
    other = dataclasses.replace(frame, psnr_db=math.inf, encoded_bytes=30)
    summary = summarise([frame, other])
    assert summary["encoded_bytes"] == {
        "mean": 20,
        "min": 10,
        "median": 20,
        "max": 30,
        "std": 10,
        "total": 40,
    }
    assert "total" not in summary["psnr_db"]
    assert summary["mask_exact"]["mean"] == 1
    assert summary["max_error_m"]["max"] is None
    assert summary["psnr_db"]["mean"] == pytest.approx(frame.psnr_db)
    assert summarise([])["bpp"]["mean"] is None


def test_images_that_do_not_fit_are_refused():
    image = PROJECTION.project(POINTS)
    small = SphericalProjection(8, 64).project(POINTS)
    with pytest.raises(GeometryError, match="decoded: expected"):
        measure_frame(POINTS, image, small, encoded_bytes=1, raw_bytes=1)
    other = SphericalProjection(16, 64, 10, -10).project(POINTS)
    with pytest.raises(GeometryError, match="decoded: expected"):
        measure_frame(POINTS, image, other, encoded_bytes=1, raw_bytes=1)
    with pytest.raises(GeometryError, match="points: expected the scan"):
        measure_frame(POINTS[:-1], image, image, encoded_bytes=1, raw_bytes=1)
    with pytest.raises(GeometryError, match="projected scan"):
        measure_frame(POINTS, decoded_from(image, 0), image, encoded_bytes=1, raw_bytes=1)
