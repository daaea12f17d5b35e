"""Every codec's file decodes, alone, to a scan within the bound."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.benchmark.baseline import Baseline, Known, Request
from pipeline.benchmark.baselines.inpainted import decode_mask, encode_mask, fill_holes
from pipeline.benchmark.baselines.lossless_codecs import (
    LOSSLESS_CODECS,
    codestream_of,
    decoded_of,
    encode_jpeg_xl,
    integers_of,
    range_step,
)
from pipeline.benchmark.baselines.point_codecs import POINT_CODECS, point_step
from pipeline.benchmark.measure import measure as measure_request
from pipeline.benchmark.registry import BASELINES
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import GeometryError

BOUNDED = [one for one in (*LOSSLESS_CODECS, *POINT_CODECS) if one.goal == "max_error"]
WAYS = [(one, way) for one in BOUNDED for way in one.ways]
BOUNDS = (0.005, 0.02, 0.5)


def range_image(ranges: np.ndarray, valid: np.ndarray) -> RangeImage:
    ranges = ranges.astype(np.float32)
    no_return = float(ranges[valid].max())
    return RangeImage(
        np.where(valid, ranges, np.float32(no_return)),
        valid,
        SphericalProjection(*ranges.shape),
        no_return,
    )


def street(height: int = 16, width: int = 96, farthest: float = 119.9) -> RangeImage:
    """Slopes, steps, noise and holes, from 5 cm to the farthest."""
    generator = np.random.default_rng(7)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    ranges = 40 - 30 * y + 10 * np.sin(9 * x) + generator.normal(0, 0.05, y.shape)
    ranges[:, width // 3 : width // 2] = 7.5
    ranges[: height // 4, width // 2 :] = farthest - 3 * x[: height // 4, width // 2 :]
    ranges[0, -1], ranges[-1, 0] = farthest, 0.05
    valid = generator.random(y.shape) > 0.1
    valid[height // 2 : -2, 10:25] = False
    valid[0, -1] = valid[-1, 0] = True
    return range_image(ranges, valid)


def known_of(image: RangeImage, max_error: float) -> Known:
    return Known(image.projection, image.no_return, Request(max_error))


def measure(image: RangeImage, one: Baseline, setting: float) -> dict:
    found = measure_request(image, one, Request(setting))
    return found["figures"] | {"parts": found["parts"]}


@pytest.mark.parametrize("max_error", BOUNDS)
@pytest.mark.parametrize(("codec", "way"), WAYS, ids=[f"{c.name}-{w}" for c, w in WAYS])
def test_every_setting_keeps_the_bound(codec, way: str, max_error: float):
    image = street()
    encoded = codec.ways[way](image, Request(max_error))
    assert isinstance(encoded.data, bytes)
    assert encoded.size == len(encoded.data) > 0
    decoded = codec.decode(encoded.data, known_of(image, max_error))
    if decoded.points is None:
        assert np.array_equal(decoded.valid, image.valid)
        assert decoded.ranges.dtype == np.float32
        errors = np.abs(decoded.ranges.astype(float) - image.ranges)[image.valid]
    else:
        points = image.projection.back_project(image).astype(float)
        order = np.arange(len(points)) if encoded.order is None else encoded.order
        assert np.array_equal(np.sort(order), np.arange(len(points)))
        errors = np.linalg.norm(decoded.points - points[order], axis=1)
    # Not vacuous: the bound is used, not only kept.
    assert 0.5 * max_error < errors.max() <= max_error


@pytest.mark.parametrize("codec", BOUNDED, ids=lambda one: one.name)
def test_a_tighter_bound_costs_more(codec):
    image = street()
    sizes = [measure(image, codec, max_error)["bytes"] for max_error in (0.5, 0.05, 0.005)]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("codec", BOUNDED, ids=lambda one: one.name)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (8, 8)])
def test_odd_shapes(codec, shape: tuple[int, int]):
    ranges = np.random.default_rng(0).uniform(2, 60, shape)
    valid = ranges < 50
    valid[0, 0] = True
    found = measure(range_image(ranges, valid), codec, 0.1)
    assert found["largest_error_m"] <= 0.1


@pytest.mark.parametrize("max_error", [4.0, 20.0])
def test_draco_keeps_points_of_one_cell_apart(max_error: float):
    image = street()
    cells = np.rint(image.projection.back_project(image) / point_step(max_error))
    assert len(np.unique(cells, axis=0)) < 0.7 * len(cells)
    assert measure(image, BASELINES["draco"], max_error)["largest_error_m"] <= max_error


def test_raw_points_come_back_as_they_were():
    image, codec = street(), BASELINES["zstd-points"]
    found = measure(image, codec, 0.0)
    assert found["largest_error_m"] == found["chamfer_m"] == 0
    assert found["bytes"] < 12 * image.valid_count


@given(
    st.lists(st.floats(0, 120, width=32), min_size=1, max_size=60),
    st.floats(0.001, 2),
    st.randoms(use_true_random=False),
)
@settings(max_examples=300, deadline=None)
def test_integers_keep_the_bound_in_float32(values: list[float], max_error: float, random):
    ranges = np.array([values])
    valid = np.array([[random.random() > 0.3 for _ in values]])
    valid[0, 0] = True
    image = range_image(ranges, valid)
    integers = integers_of(image, max_error)
    assert np.array_equal(integers > 0, valid)
    decoded = decoded_of(integers, known_of(image, max_error)).ranges
    assert decoded.dtype == np.float32
    assert np.abs(decoded.astype(float) - image.ranges)[valid].max() <= max_error


def test_nearly_the_whole_bound_is_used():
    assert 2 * 0.02 * (1 - 1e-3) < range_step(0.02, 120) < 2 * 0.02
    assert 3 * (point_step(0.02) / 2) ** 2 == pytest.approx(0.02**2, rel=1e-8)


def test_more_than_16_bits_are_refused():
    image = range_image(np.array([[66.0, 3.0]]), np.array([[True, True]]))
    assert integers_of(image, 0.001).max() > 2**15
    with pytest.raises(GeometryError, match="16 bits"):
        integers_of(image, 0.0005)
    with pytest.raises(GeometryError, match="float32"):
        integers_of(image, 1e-6)
    for max_error in (0, -1, float("nan"), float("inf")):
        with pytest.raises(GeometryError, match="max_error"):
            integers_of(image, max_error)


@pytest.mark.parametrize("largest", [200, 3000, 60000])
def test_jpeg_xl_without_its_container(largest: int):
    integers = np.random.default_rng(1).integers(0, largest, (24, 40)).astype(np.uint16)
    integers[0, 0] = largest
    bare = encode_jpeg_xl(integers, effort=9)
    assert bare.startswith(b"\xff\x0a")
    assert np.array_equal(imagecodecs.jpegxl_decode(bare), integers)
    boxed = imagecodecs.jpegxl_encode(integers, lossless=True, effort=9, usecontainer=True)
    inner = codestream_of(boxed)
    assert len(inner) < len(boxed)
    assert np.array_equal(imagecodecs.jpegxl_decode(inner), integers)
    assert codestream_of(inner) == inner
    with pytest.raises(GeometryError, match="without a codestream"):
        codestream_of(boxed[:12])
    with pytest.raises(GeometryError, match="container"):
        codestream_of(b"\0\0\0\1jxlc")


@pytest.mark.parametrize("shape", [(16, 96), (12, 12)])
def test_mask(shape: tuple[int, int]):
    mask = street(*shape).valid if shape[1] > 50 else np.eye(12, dtype=bool)
    assert np.array_equal(decode_mask(encode_mask(mask), shape), mask)
    blocks = np.kron(np.array([[1, 0, 1, 1]]), np.ones((32, 64))) > 0
    assert len(encode_mask(blocks)) < blocks.size / 8 / 4


def test_holes_are_filled_harmonically():
    y, x = np.mgrid[:9, :14].astype(float)
    ramp = 3 * x - 2 * y
    known = np.ones(ramp.shape, bool)
    known[3:6, 4:9] = False
    assert fill_holes(np.where(known, ramp, 99), known) == pytest.approx(ramp)
    assert np.array_equal(fill_holes(ramp, np.ones_like(known)), ramp)
    corner = np.zeros_like(known)
    corner[4, 4] = True
    assert fill_holes(ramp, corner) == pytest.approx(np.full(ramp.shape, ramp[4, 4]))
    noise = np.random.default_rng(2).random(ramp.shape)
    filled = fill_holes(noise, known)
    assert filled[4, 6] == pytest.approx(
        (filled[3, 6] + filled[5, 6] + filled[4, 5] + filled[4, 7]) / 4
    )
    assert np.array_equal(filled[known], noise[known])


def test_jpeg_2000_keeps_its_size_and_the_mask_helps():
    image = street()
    paper, inpainted = (BASELINES[name] for name in ("jpeg2000-16", "jpeg2000-inpainted"))
    whole, filled = (measure(image, one, 768) for one in (paper, inpainted))
    for found in (whole, filled):
        assert 0.75 * 768 < found["bytes"] <= 768
        assert "encode_seconds" not in found
    assert "largest_error_m" not in whole
    assert filled["largest_error_m"] > 0
    assert filled["psnr_db"] > whole["psnr_db"] + 1
    assert sum(filled["parts"].values()) == filled["bytes"]
    assert filled["parts"]["mask"] == len(encode_mask(image.valid))
    with pytest.raises(GeometryError, match="0 bytes"):
        measure(image, inpainted, 20)
