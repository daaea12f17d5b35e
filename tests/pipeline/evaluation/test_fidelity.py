from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from pipeline.evaluation import measure_frame, summarise
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import GeometryError

PROJECTION = SphericalProjection(16, 64)
POINTS = np.random.default_rng(0).normal(scale=(15, 15, 1.5, 0.2), size=(3000, 4)).astype("f4")


def decoded_from(image: RangeImage, shift: float) -> RangeImage:
    return RangeImage(
        (image.ranges + np.float32(shift)).astype(np.float32),
        image.measured,
        image.projection,
        image.fill,
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
    assert fidelity.points_hidden + fidelity.pixels_measured == 3000
    assert fidelity.kept_fraction == fidelity.pixels_measured / 3000
    assert fidelity.bpp == 800 / 1024
    assert fidelity.ratio_raw == 480
    assert fidelity.ratio_points == fidelity.pixels_measured * 12 / 100
    assert fidelity.as_dict()["psnr_db"] is None
    json.dumps(fidelity.as_dict(), allow_nan=False)


def test_a_constant_error_shows_in_every_codec_figure():
    image = PROJECTION.project(POINTS)
    fidelity = measure_frame(
        POINTS, image, decoded_from(image, 0.25), encoded_bytes=100, raw_bytes=POINTS.nbytes
    )
    assert fidelity.range_error_mean_m == pytest.approx(0.25, rel=1e-4)
    assert fidelity.range_error_p95_m == pytest.approx(0.25, rel=1e-4)
    assert fidelity.psnr_db == pytest.approx(20 * math.log10(image.fill / 0.25), abs=1e-3)
    assert 0 < fidelity.chamfer_m <= 0.25 + 1e-4


def test_nothing_decoded_is_still_measured():
    image = PROJECTION.project(POINTS)
    nothing = RangeImage(image.ranges, np.zeros_like(image.measured), image.projection, image.fill)
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
    assert summary["encoded_bytes"] == {"mean": 20, "min": 10, "median": 20, "max": 30, "std": 10}
    assert summary["psnr_db"]["mean"] == pytest.approx(frame.psnr_db)
    assert summarise([])["bpp"]["mean"] is None


def test_images_that_do_not_fit_are_refused():
    image = PROJECTION.project(POINTS)
    small = SphericalProjection(8, 64).project(POINTS)
    with pytest.raises(GeometryError, match="decoded: expected"):
        measure_frame(POINTS, image, small, encoded_bytes=1, raw_bytes=1)
    with pytest.raises(GeometryError, match="projected scan"):
        measure_frame(POINTS, decoded_from(image, 0), image, encoded_bytes=1, raw_bytes=1)
