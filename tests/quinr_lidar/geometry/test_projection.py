from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry import RangeImage, SphericalProjection, usable_points

projections = st.builds(
    SphericalProjection,
    height=st.integers(1, 40),
    width=st.integers(1, 90),
    fov_up=st.floats(0, 45),
    fov_down=st.floats(-60, -1),
)


def point_by_point(projection: SphericalProjection, points: np.ndarray) -> dict:
    """DESIGN's formulas, one point at a time: (row, column) -> nearest range."""
    nearest: dict[tuple[int, int], float] = {}
    up, down = math.radians(projection.fov_up), math.radians(projection.fov_down)
    for x, y, z in points.astype(np.float64):
        r = math.sqrt(x * x + y * y + z * z)
        yaw, pitch = -math.atan2(y, x), math.asin(z / r)
        u = math.floor(projection.width * (yaw / math.pi + 1) / 2)
        v = math.floor(projection.height * (1 - (pitch - down) / (up - down)))
        pixel = (
            min(max(v, 0), projection.height - 1),
            min(max(u, 0), projection.width - 1),
        )
        nearest[pixel] = min(r, nearest.get(pixel, math.inf))
    return nearest


@settings(deadline=None)
@given(projections, st.integers(0, 2**32), st.integers(0, 300))
def test_it_equals_the_formulas_point_by_point(projection, seed, count):
    points = np.random.default_rng(seed).normal(scale=(20, 20, 4), size=(count, 3))
    image = projection.project(points.astype(np.float32))
    expected = point_by_point(projection, points.astype(np.float32))
    assert {tuple(pixel) for pixel in np.argwhere(image.valid)} == set(expected)
    for pixel, r in expected.items():
        assert image.ranges[pixel] == pytest.approx(r, rel=1e-6)
    no_return = max(expected.values(), default=0.0)
    assert image.no_return == pytest.approx(no_return, rel=1e-6)
    assert (image.ranges[~image.valid] == np.float32(image.no_return)).all()


@settings(deadline=None)
@given(projections, st.integers(0, 2**32))
def test_back_projection_lands_on_its_own_pixel(projection, seed):
    points = np.random.default_rng(seed).normal(scale=(20, 20, 4), size=(200, 3))
    image = projection.project(points)
    cloud = projection.back_project(image)
    assert cloud.dtype == np.float32
    assert cloud.shape == (image.valid_count, 3)
    np.testing.assert_allclose(np.linalg.norm(cloud, axis=1), image.ranges[image.valid], 1e-6)
    # From float64 directions: in float32 a single-column image's points sit on the yaw seam.
    exact = projection.directions()[image.valid] * image.ranges[image.valid, None]
    again = projection.project(exact)
    np.testing.assert_array_equal(again.valid, image.valid)
    np.testing.assert_allclose(again.ranges, image.ranges, rtol=1e-6)


def test_orientation():
    """Ahead is the middle column, left of the sensor the left half, up the first row."""
    projection = SphericalProjection(2, 4, 45, -45)
    ahead_left = projection.project([[10.0, 1.0, 1.0]])
    assert np.argwhere(ahead_left.valid).tolist() == [[0, 1]]
    ahead_right = projection.project([[10.0, -1.0, -1.0]])
    assert np.argwhere(ahead_right.valid).tolist() == [[1, 2]]


def test_bad_points_are_dropped_and_counted():
    points = np.array(
        [
            [10, 0, 0],
            [20, 0, 0],  # hidden behind the first
            [np.nan, 0, 0],
            [0, np.inf, 0],
            [1e30, 1e30, 0],  # beyond float32 once squared, not once rooted
            [1e300, 0, 0],
            [0, 0, 0],
            [0, 0, 5],  # straight up: outside the field of view
        ]
    )
    image = SphericalProjection().project(points)
    stats = image.stats
    assert stats is not None
    assert stats.points == 8
    assert stats.non_finite == 3
    assert stats.zero_range == 1
    assert stats.outside_fov == 1
    assert stats.points == stats.non_finite + stats.zero_range + stats.collisions + stats.valid
    assert stats.kept_fraction == stats.valid / 8


def test_the_nearest_return_wins():
    image = SphericalProjection(1, 1, 45, -45).project([[9, 0, 0], [3, 0, 0], [5, 0, 0]])
    assert image.ranges[0, 0] == 3
    assert image.stats is not None
    assert image.stats.collisions == 2


@pytest.mark.parametrize("points", [np.empty((0, 3)), np.full((4, 3), np.nan), np.zeros((2, 4))])
def test_nothing_to_see_is_an_empty_image(points):
    image = SphericalProjection().project(points)
    assert image.valid_count == 0
    assert image.no_return == 0
    assert not image.ranges.any()
    assert SphericalProjection().back_project(image).shape == (0, 3)


@pytest.mark.parametrize(
    "points", [np.zeros(3), np.zeros((3, 2)), np.array([["a", "b", "c"]]), np.zeros((2, 3, 3))]
)
def test_other_shapes_are_refused(points):
    with pytest.raises(GeometryError, match="points: expected a numeric array"):
        SphericalProjection().project(points)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"height": 0}, "height"),
        ({"width": 70_000}, "width"),
        ({"height": 60_000, "width": 60_000}, "pixels"),
        ({"fov_up": 91.0}, "fov_up"),
        ({"fov_down": float("nan")}, "fov_down"),
        ({"fov_up": -25.0}, "fov_up > fov_down"),
    ],
)
def test_impossible_sensors_are_refused(settings, reason):
    with pytest.raises(GeometryError, match=reason):
        SphericalProjection(**settings)


def test_field_of_view_has_the_resolution_of_a_file():
    assert SphericalProjection(fov_up=2.0000004).fov_up == 2.0
    assert SphericalProjection(fov_up=2.1) == SphericalProjection(fov_up=2100000 / 10**6)


def test_range_image_checks_itself():
    projection = SphericalProjection(2, 3)
    ranges, valid = np.ones((2, 3), np.float32), np.ones((2, 3), bool)
    image = RangeImage(ranges, valid, projection, 1.0)
    assert image.shape == (2, 3)
    for wrong, reason in (
        ({"ranges": ranges.astype(np.float64)}, "expected float32"),
        ({"ranges": ranges[:1]}, r"expected float32 \[2, 3\]"),
        ({"valid": ranges}, "valid: expected bool"),
        ({"ranges": ranges * np.float32(np.nan)}, "finite"),
        ({"ranges": -ranges}, "finite"),
        ({"no_return": -1.0}, "no_return"),
    ):
        values = {"ranges": ranges, "valid": valid, "projection": projection, "no_return": 1.0}
        with pytest.raises(GeometryError, match=reason):
            RangeImage(**(values | wrong))
    with pytest.raises(GeometryError, match="expected a 64 x 1024 image, got 2 x 3"):
        SphericalProjection().back_project(image)


def test_filled_hides_what_was_not_measured():
    ranges = np.array([[1, 2, 3]], np.float32)
    valid = np.array([[True, False, True]])
    image = RangeImage(ranges, valid, SphericalProjection(1, 3), 9.0)
    assert image.filled().tolist() == [[1, 9, 3]]


def test_usable_points_are_those_that_a_projection_keeps():
    rows = [[1, 2, 3], [np.nan, 0, 1], [0, 0, 0], [4, np.inf, 0], [3e38, 3e38, 0], [-5, 0, 0]]
    points = np.column_stack([np.array(rows, np.float32), np.arange(6, dtype=np.float32)])
    usable = usable_points(points)
    assert usable.dtype == np.float32
    np.testing.assert_array_equal(usable, points[[0, 5], :3])
    stats = SphericalProjection().project(points).stats
    assert stats is not None
    assert stats.collisions + stats.valid == len(usable)
    with pytest.raises(GeometryError, match="numeric array"):
        usable_points(np.zeros((3, 2)))
