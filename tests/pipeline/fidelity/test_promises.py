"""What files promise: kept by the encoder, and noticed where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fidelity import (
    Promise,
    check_promise,
    largest_error,
    promise_of_file,
    promise_of_profile,
)
from quinr_lidar import Profile, RangeImage, SphericalProjection, codec
from quinr_lidar.errors import GeometryError
from tests.support.tiny import tiny

TINY = Profile(**tiny(steps=2, layers="preview,mask,ranges"))
PROJECTION = SphericalProjection(8, 48)


def image_of(seed: int, nearest: float = 0.5, farthest: float = 120) -> RangeImage:
    generator = np.random.default_rng(seed)
    valid = generator.random((8, 48)) < 0.8
    ranges = generator.uniform(nearest, farthest, (8, 48)).astype(np.float32)
    no_return = float(ranges[valid].max())
    return RangeImage(
        np.where(valid, ranges, np.float32(no_return)).astype(np.float32),
        valid,
        PROJECTION,
        no_return,
    )


def moved(image: RangeImage, pixel: tuple[int, ...], by: float) -> RangeImage:
    ranges = image.ranges.copy()
    ranges[pixel] += np.float32(by)
    return replace(image, ranges=ranges)


def a_pixel(image: RangeImage) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(image.valid)[7])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    max_error=st.sampled_from([0.001, 0.02, 0.3, 5.0]),
    relative_error=st.sampled_from([0.0, 0.001, 0.02, 0.5]),
)
def test_files_keep_what_profile_and_file_promise(seed, max_error, relative_error):
    image = image_of(seed)
    profile = TINY.with_overrides(max_error=max_error, relative_error=relative_error)
    data = codec.encode(image, profile)
    decoded = codec.decode(data)
    asked, stated = promise_of_profile(profile), promise_of_file(codec.inspect(data))
    check_promise(asked, image, decoded)
    check_promise(stated, image, decoded)
    # What the file says of itself is what was asked for, but for float32.
    assert stated.max_error == pytest.approx(max_error, rel=1e-6, abs=2e-5)
    if relative_error * image.no_return > max_error:
        assert stated.relative_error == pytest.approx(relative_error, abs=1e-6)
    else:
        assert stated.relative_error == 0


@pytest.mark.parametrize("relative_error", [0.0, 0.01])
def test_one_range_beyond_the_bound_is_noticed(relative_error):
    image = image_of(1)
    profile = TINY.with_overrides(max_error=0.02, relative_error=relative_error)
    info = codec.inspect(codec.encode(image, profile))
    pixel = a_pixel(image)
    allowed = max(0.02, relative_error * float(image.ranges[pixel]))
    for promise in (promise_of_profile(profile), promise_of_file(info)):
        check_promise(promise, image, moved(image, pixel, 0.99 * allowed))
        for by in (1.01 * allowed, -1.01 * allowed, 1000 * allowed):
            with pytest.raises(GeometryError, match=rf"1 ranges err.*row {pixel[0]}, column"):
                check_promise(promise, image, moved(image, pixel, by))


def test_the_worst_error_is_named():
    image = image_of(2)
    pixels = np.argwhere(image.valid)
    worse = moved(moved(image, tuple(pixels[3]), 0.5), tuple(pixels[9]), -2)
    with pytest.raises(GeometryError, match=r"2 ranges err.*by 2 m instead of at most 0\.02 m"):
        check_promise(Promise(True, 0.02), image, worse)
    assert largest_error(image, worse) == pytest.approx(2, rel=1e-5)


def test_invalid_pixels_count_for_the_mask_only():
    image = image_of(3)
    hole = tuple(int(index) for index in np.argwhere(~image.valid)[0])
    promise = Promise(True, 0.02)
    check_promise(promise, image, moved(image, hole, -1))
    assert largest_error(image, moved(image, hole, -1)) == 0
    for pixel, valid in ((hole, True), (a_pixel(image), False)):
        mask = image.valid.copy()
        mask[pixel] = valid
        with pytest.raises(GeometryError, match=r"mask is not exact: 1 pixels"):
            check_promise(promise, image, replace(image, valid=mask))
        check_promise(Promise(), image, replace(image, valid=mask))


def test_fewer_layers_promise_less():
    image = image_of(4)
    for layers, expected in (("preview", Promise()), ("preview,mask", Promise(mask=True))):
        profile = TINY.with_overrides(layers=layers)
        assert promise_of_profile(profile) == expected
        assert promise_of_file(codec.inspect(codec.encode(image, profile))) == expected


def test_another_image_is_refused():
    image = image_of(5)
    other = SphericalProjection(8, 64).project(np.ones((4, 3)))
    with pytest.raises(GeometryError, match="decoded: expected"):
        check_promise(Promise(), image, other)
