"""Pictures and clouds of the report, pixel by pixel and point by point."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from scipy.spatial import KDTree

from pipeline.archive.manifest import FrameRow
from pipeline.facts.units import Unit
from pipeline.report.document import Chosen
from pipeline.report.frames.chosen import ShownFrame
from pipeline.report.frames.clouds import MAX_POINTS, cloud_view
from pipeline.report.frames.colours import ERRORS, Scale
from pipeline.report.frames.panels import (
    MAP_SIDE,
    Legend,
    Panel,
    limits_of,
    map_panels,
    range_panels,
)
from quinr_lidar import RangeImage, SphericalProjection

PROJECTION = SphericalProjection(16, 64)


def pixels(panel: Panel) -> np.ndarray:
    data = base64.b64decode(panel.uri.removeprefix("data:image/webp;base64,"))
    image = Image.open(io.BytesIO(data))
    assert image.size == (panel.width, panel.height)
    return np.asarray(image.convert("RGBA"))


def colour(scale: Scale, share: float) -> np.ndarray:
    place = scale.start + (scale.end - scale.start) * share
    return np.round(255 * np.array(colormaps[scale.map](place)))


def shown(points: np.ndarray, error: float = 0.0, max_error: float | None = None) -> ShownFrame:
    """A frame whose decoded ranges are all off by the same."""
    image = PROJECTION.project(points)
    decoded = RangeImage(
        (image.ranges + np.float32(error)).astype(np.float32),
        image.valid,
        PROJECTION,
        image.no_return + error,
    )
    figures = {} if max_error is None else {"max_error_m": max_error}
    row = FrameRow("000000", "ok", number=0, time_ns=0, time_assumed=False, figures=figures)
    chosen = Chosen(frame="000000", role="only", criterion="")
    return ShownFrame(chosen, row, decoded, image, points.astype(np.float32))


def cloud(count: int = 2000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=(15, 15, 1), size=(count, 3))


def test_range_panels_hold_ranges_and_errors():
    frame = shown(cloud(), error=0.5)
    limits = limits_of([frame])
    original, decoded, error = range_panels(frame, limits)
    assert frame.image is not None
    mask = frame.image.valid
    for panel, values, limit, scale in (
        (original, frame.image.ranges, limits.range, original.legend.scale),
        (decoded, frame.decoded.ranges, limits.range, decoded.legend.scale),
        (error, np.full(mask.shape, 0.5), limits.error, ERRORS),
    ):
        found = pixels(panel)
        assert np.array_equal(found[..., 3] > 0, mask), "only valid pixels are painted"
        for row, column in np.argwhere(mask)[::37]:
            expected = colour(scale, min(values[row, column] / limit, 1))
            assert np.abs(found[row, column].astype(float) - expected).max() <= 9, panel.title
    assert limits.error == pytest.approx(0.5)
    assert f"{mask.sum():,} of {mask.size:,} pixels, 50.00\u00a0cm to 50.00\u00a0cm" in error.alt


def test_errors_end_at_the_bound_where_there_is_one():
    frames = [shown(cloud(seed=1), 0.01, 0.02), shown(cloud(seed=2), 0.015, 0.05)]
    assert limits_of(frames).error == limits_of(frames).distance == 0.05
    assert limits_of([frames[0], shown(cloud(), 0.01)]).error == pytest.approx(0.01)


def test_a_view_from_above_has_forward_up_and_left_left():
    points = np.array([[20.0, 5.0, -1.0], [-8.0, -3.0, -1.0], [70.0, 0.0, -1.0]])
    image = SphericalProjection(64, 4096).project(points)
    row = FrameRow("a", "ok", number=0, time_ns=0, time_assumed=False)
    frame = ShownFrame(Chosen(frame="a", role="only", criterion=""), row, image)
    (panel,) = map_panels(frame, limits_of([frame]))
    found = np.argwhere(pixels(panel)[..., 3] > 0) + 0.5
    metres = 50 - found * 100 / MAP_SIDE  # rows are forward, columns are left
    for point in points[:2]:
        assert np.abs(metres - point[:2]).max(axis=1).min() < 0.5
    assert len(found) == 8, "two points of four pixels; the third is too far away"
    assert "2 of 3 points" in panel.alt


def test_views_from_above_are_coloured_by_the_distance_to_the_other_cloud():
    frame = shown(cloud(), error=0.3)
    original, decoded = map_panels(frame, limits_of([frame]))
    assert frame.image_points is not None
    distances = KDTree(frame.decoded_points).query(frame.image_points)[0]
    lonely = distances.argmax()
    limit = original.legend.high
    place = (50 - frame.image_points[lonely, :2]) / 100 * MAP_SIDE
    row, column = place.astype(int)
    expected = colour(ERRORS, min(distances[lonely] / limit, 1))
    assert np.abs(pixels(original)[row, column].astype(float) - expected).max() <= 9
    assert original.legend.label == "distance to the nearest decoded point"
    assert decoded.legend.label == "distance to the nearest original point"


def test_a_frame_without_any_point_is_still_shown():
    nothing = np.zeros((3, 3))
    frame = shown(nothing)
    limits = limits_of([frame])
    for panel in (*range_panels(frame, limits), *map_panels(frame, limits)):
        assert not pixels(panel)[..., 3].any()
    assert cloud_view([frame], limits)["frames"] == []
    assert limits_of([]).range > 0


def test_huge_images_are_thinned_out():
    projection = SphericalProjection(300, 3000)
    image = projection.project(cloud(50_000))
    row = FrameRow("a", "ok", number=0, time_ns=0, time_assumed=False)
    frame = ShownFrame(Chosen(frame="a", role="only", criterion=""), row, image)
    (panel,) = range_panels(frame, limits_of([frame]))
    assert panel.width <= 1024
    assert panel.height <= 128


def test_legends_say_when_values_are_cut_off():
    legend = Legend("error", ERRORS, 0.0, 0.02, Unit("cm", 100.0, 3))
    assert legend.ends() == ("0", "2\u00a0cm")
    assert replace(legend, cut=True).ends() == ("0", "≥2\u00a0cm")


def decode_points(one: dict) -> np.ndarray:
    steps = np.frombuffer(base64.b64decode(one["xyz"]), "<i2").reshape(3, -1)
    return steps.T * one["step"]


def test_clouds_for_the_3d_view_are_the_frames_points():
    frame = shown(cloud(), error=0.3)
    limits = limits_of([frame])
    view = cloud_view([frame], limits)
    clouds = {one["key"]: one for one in view["frames"][0]["clouds"]}
    assert frame.image_points is not None
    for key, points in (
        ("decoded", frame.decoded_points),
        ("image", frame.image_points),
        ("scan", cloud()),
    ):
        found = decode_points(clouds[key])
        assert clouds[key]["points"] == len(points) == len(found)
        np.testing.assert_allclose(found, points, atol=clouds[key]["step"])
        assert clouds[key]["step"] < 0.005
    levels = np.frombuffer(base64.b64decode(clouds["image"]["errors"]), np.uint8)
    distances = KDTree(frame.decoded_points).query(frame.image_points)[0]
    np.testing.assert_allclose(
        levels / 255, np.minimum(distances / limits.distance, 1), atol=1 / 255
    )


def test_many_points_are_thinned_out_and_counted():
    points = cloud(40_000)
    image = SphericalProjection(256, 2048).project(points)
    row = FrameRow("a", "ok", number=0, time_ns=0, time_assumed=False)
    chosen = Chosen(frame="a", role="only", criterion="")
    frame = ShownFrame(chosen, row, image, image, points.astype(np.float32))
    clouds = cloud_view([frame], limits_of([frame]))["frames"][0]["clouds"]
    assert [one["shown"] for one in clouds] == [MAX_POINTS] * 3
    assert clouds[2]["points"] == 40_000
    # The same pixels of the original and of what was decoded.
    assert clouds[0]["xyz"] == clouds[1]["xyz"]
    near = KDTree(points).query(decode_points(clouds[2]))[0]
    assert near.max() < 2 * clouds[2]["step"]
