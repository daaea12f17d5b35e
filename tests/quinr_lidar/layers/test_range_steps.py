"""Steps keep their promise for every float32 range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quinr_lidar.errors import GeometryError
from quinr_lidar.layers.range_steps import (
    RangeSteps,
    allowed_error,
    choose_steps,
    most_steps,
)

metres = st.floats(np.float32(1e-3), 300, width=32)
max_errors = st.floats(1e-3, 5)
growths = st.one_of(st.just(0.0), st.floats(0, 0.5))


@given(st.lists(metres, min_size=1, max_size=60), max_errors, growths)
@example([300.0, 299.99997, np.float32(1e-3)], 1e-3, 0.0)
@example([300.0, 0.02], 1e-3, 0.5)
@example([2.0, np.nextafter(np.float32(2), np.float32(3)).item()], 0.02, 0.01)
def test_no_error_is_beyond_the_bound(values, max_error, relative_error):
    ranges = np.array(values, np.float32)
    grid = choose_steps(max_error, relative_error, float(ranges.max()))
    steps = grid.to_steps(ranges)
    decoded = grid.to_ranges(steps)
    assert decoded.dtype == np.float32
    error = np.abs(decoded.astype(np.float64) - ranges)
    assert (error <= allowed_error(ranges, max_error, relative_error)).all()
    assert (decoded > 0).all()
    assert steps.min() >= 0
    np.testing.assert_array_equal(grid.to_steps(decoded), steps)


@given(max_errors, growths)
def test_every_number_near_a_boundary_keeps_the_bound(max_error, relative_error):
    """Halfway between two steps the error is largest; float32 neighbours of it on both sides."""
    grid = choose_steps(max_error, relative_error, 300)
    edges = grid.to_ranges(np.arange(0, grid.to_steps(np.array([300.0]))[0], 37))
    middle = ((edges[1:].astype(np.float64) + edges[:-1]) / 2).astype(np.float32)
    for ranges in (edges, middle, np.nextafter(middle, np.float32(0)), middle + np.spacing(middle)):
        kept = ranges[(ranges >= 1e-3) & (ranges <= 300)]
        error = np.abs(grid.to_ranges(grid.to_steps(kept)).astype(np.float64) - kept)
        assert (error <= allowed_error(kept, max_error, relative_error)).all()


def test_steps_are_as_wide_as_the_bound_allows():
    even = choose_steps(0.02, 0, 80)
    assert even.knee is None
    assert 0.9995 * 0.04 < even.step <= 0.04
    assert even.step == np.float32(even.step)
    # 4 % of 50 m is 2 m, of 80 m 3.2 m: few steps cover the rest.
    growing = choose_steps(0.02, 0.04, 80)
    assert growing.knee == 0.5
    count = growing.to_steps(np.array([80.0]))[0]
    assert 25 + np.log(80 / 0.5) / np.log1p(0.04) / 2 == pytest.approx(count, rel=0.6)
    assert count < even.to_steps(np.array([80.0]))[0] / 10


def test_relative_error_that_no_range_reaches_changes_nothing():
    assert choose_steps(0.5, 0.01, 40) == choose_steps(0.5, 0, 40)
    assert choose_steps(0.5, 0.01, 60).knee == 50


def test_ranges_grow_with_their_steps():
    for relative_error in (0, 0.003, 0.3):
        grid = choose_steps(0.05, relative_error, 300)
        count = int(grid.to_steps(np.array([300.0]))[0])
        assert (np.diff(grid.to_ranges(np.arange(count + 1))) > 0).all()


@pytest.mark.parametrize(
    ("max_error", "largest"), [(1e-5, 300), (2e-5, 200), (1e-7, 1.0), (1e-4, 1e6)]
)
@pytest.mark.parametrize("relative_error", [0, 1e-9])
def test_a_bound_below_what_float32_resolves_is_refused(max_error, largest, relative_error):
    with pytest.raises(GeometryError, match=r"max_error: .* is out of reach of ranges up to"):
        choose_steps(max_error, relative_error, largest)


def test_steps_of_a_hostile_file_give_finite_ranges():
    steps = np.array([0, 1, 2, most_steps()], np.int32)
    for grid in (RangeSteps(1e6), RangeSteps(1e6, 1e-6), RangeSteps(1e-6, 1e-6)):
        decoded = grid.to_ranges(steps)
        assert np.isfinite(decoded).all()
        assert (decoded > 0).all()
    assert RangeSteps(1e-6).to_steps(np.array([3e38])).tolist() == [most_steps()]
