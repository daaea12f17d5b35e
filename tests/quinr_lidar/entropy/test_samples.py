"""What fields see of a pixel, against a definition that searches; and that it was decoded before.

The order of decoding: pixel (v, u) belongs to step ``u + lag v``, steps one after the other. What
a pixel looks at must belong to an earlier step.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.entropy.samples import (
    MaskSamples,
    RangeSamples,
    base_of,
    mask_inputs,
    range_context,
    range_inputs,
)
from quinr_lidar.errors import GeometryError
from quinr_lidar.kernel import format_constants, instruction_sets

CONSTANTS = format_constants()
MASK_INPUTS, RANGE_INPUTS = CONSTANTS.mask_inputs, CONSTANTS.range_inputs
CONTEXT_ROWS, NEIGHBOURS = CONSTANTS.context_rows, CONSTANTS.neighbours
MISSING = CONSTANTS.missing

Mask = NDArray[np.bool_]
MASK_LAG, RANGE_LAG = 6, 4
MASK_NEIGHBOURS = (
    *((0, -1), (0, -2), (0, -3), (0, -4), (0, -6), (-1, -3), (-1, -2), (-1, -1)),
    *((-1, 0), (-1, 1), (-1, 2), (-1, 3), (-1, 5), (-2, -2), (-2, -1), (-2, 0)),
    *((-2, 1), (-2, 2), (-3, -1), (-3, 0), (-3, 1), (-4, 0), (-5, 0), (-6, 0)),
)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    shape = draw(st.integers(1, 9)), draw(st.integers(1, 14))
    density = draw(st.sampled_from((0.0, 0.1, 0.5, 0.9, 1.0)))
    return np.random.default_rng(draw(st.integers(0, 2**32))).random(shape) < density


def steps_of(shape: tuple[int, int], lag: int) -> NDArray[np.int64]:
    v, u = np.indices(shape)
    return u + lag * v


def upward(mask: Mask, v: int, u: int) -> tuple[int, int] | None:
    """The nearest valid pixel at row v or above; columns wrap round to the right only."""
    if u < 0:
        return None
    u %= mask.shape[1]
    return next(((row, u) for row in range(v, -1, -1) if mask[row, u]), None)


def neighbours_of(mask: Mask, v: int, u: int) -> list[tuple[int, int] | None]:
    left: list[tuple[int, int] | None] = [(v, k) for k in range(u - 1, -1, -1) if mask[v, k]][:3]
    left += [None] * (3 - len(left))
    above = [upward(mask, v - 1, u + d) for d in range(-3, 4)]
    second = [upward(mask, v - 2, u + d) for d in range(-1, 2)]
    return [*left, *above, *second, upward(mask, v - 3, u)]


def at(mask: Mask, v: int, u: int) -> int:
    return int(mask[v, u % mask.shape[1]]) if 0 <= v < len(mask) else 0


def rest_of(mask: Mask, v: int, u: int) -> list[int]:
    found = neighbours_of(mask, v, u)
    left, up = found[0], found[6]
    gaps = [u - left[1] if left else 0, v - up[0] if up else 0]
    flags = [at(mask, v, u + 1), at(mask, v, u + 2), at(mask, v + 1, u), at(mask, v - 1, u)]
    return [*gaps, *flags, (2 * v + 1) * 32768 // len(mask)]


@given(masks())
@settings(deadline=None)
def test_neighbours_are_those_that_a_search_finds(mask):
    context = range_context(mask)
    pixels = [(int(v), int(u)) for v, u in np.argwhere(mask)]
    assert context.shape == (CONTEXT_ROWS, len(pixels))
    rank = {pixel: number for number, pixel in enumerate(pixels)}
    for number, (v, u) in enumerate(pixels):
        found = neighbours_of(mask, v, u)
        expected = [MISSING if one is None else rank[one] for one in found]
        assert context[:, number].tolist() == expected + rest_of(mask, v, u)


@given(masks())
@settings(deadline=None)
def test_neighbours_are_decoded_in_earlier_steps(mask):
    context, own = range_context(mask)[:NEIGHBOURS], steps_of(mask.shape, RANGE_LAG)[mask]
    for row in context:
        known = row != MISSING
        assert (own[row[known]] < own[known]).all()


def mask_inputs_of(mask: Mask, v: int, u: int) -> list[float]:
    around: list[float] = [
        -1 if v + rows < 0 or u + columns < 0 else at(mask, v + rows, u + columns)
        for rows, columns in MASK_NEIGHBOURS
    ]
    place = (2 * v + 1) / len(mask) - 1
    return [*around, place, *(f(k * place) for k in (8, 30) for f in (np.sin, np.cos))]


@given(masks())
@settings(deadline=None)
def test_a_mask_field_sees_what_the_offsets_say(mask):
    inputs = mask_inputs(mask)
    assert inputs.shape == (MASK_INPUTS, mask.size)
    expected = [mask_inputs_of(mask, v, u) for v, u in np.ndindex(mask.shape)]
    np.testing.assert_allclose(inputs.T, expected, atol=1e-5)


@given(masks(), st.integers(0, 2**32))
@settings(deadline=None)
def test_a_pixel_is_seen_in_later_steps_only(mask, seed):
    changed = np.random.default_rng(seed).integers(mask.size)
    other = mask.copy()
    other.flat[changed] ^= True
    differ = (mask_inputs(mask) != mask_inputs(other)).any(0)
    steps = steps_of(mask.shape, MASK_LAG).reshape(-1)
    assert (steps[differ] > steps[changed]).all()


def expected_inputs(context, base, step, unit):
    known = context[:NEIGHBOURS] != MISSING
    x = np.where(known, (context[:NEIGHBOURS].astype(float) - base) * (step / unit), 0)
    size = np.abs(x)
    each = np.stack((np.sign(x) * np.log1p(size) / 4, x / (8 + size), known), 1)
    rest = (
        context[20] / 32768 - 1,
        np.log(base.astype(float) * step + 1) - 2,
        np.log(unit) + 2,
        np.log(context[14] + 1) / 2,
        np.log(context[15] + 1) / 2,
        *context[16:20],
    )
    return np.concatenate((each.reshape(-1, x.shape[1]), np.array(rest))), x


@pytest.mark.parametrize("isa", instruction_sets())
def test_a_ranges_field_sees_what_is_defined(isa, monkeypatch):
    monkeypatch.setenv("QUINR_ISA", isa)
    random = np.random.default_rng(0)
    count = 160
    context = random.integers(0, 4000, (CONTEXT_ROWS, count)).astype(np.int32)
    context[:NEIGHBOURS][random.random((NEIGHBOURS, count)) < 0.3] = MISSING
    context[14:16] = random.integers(0, 1000, (2, count))
    context[16:20] = random.integers(0, 2, (4, count))
    context[20] = random.integers(0, 65536, count)
    context[0, 0], context[1, 0] = 1 << 30, 0
    base = random.integers(0, 4000, count).astype(np.int32)
    step = np.exp(random.uniform(np.log(1e-3), np.log(10), count)).astype(np.float32)
    unit = np.sqrt(step**2 + np.float32(0.03) ** 2)
    inputs, differences = range_inputs(context, base, step, unit)
    expected, x = expected_inputs(context, base, step.astype(float), unit.astype(float))
    assert inputs.shape == (RANGE_INPUTS, count)
    np.testing.assert_allclose(differences, x, rtol=1e-6)
    np.testing.assert_allclose(inputs, expected, rtol=1e-6, atol=3e-6)


def image_of(ranges: NDArray[np.floating], mask: Mask) -> RangeImage:
    projection = SphericalProjection(*mask.shape)
    no_return = float(np.float32(ranges[mask].max(initial=1)))
    return RangeImage(
        np.where(mask, ranges, no_return).astype(np.float32), mask, projection, no_return
    )


def test_the_base_is_left_or_above_or_a_guess():
    context = np.full((4, CONTEXT_ROWS), MISSING, np.int32)
    context[:, 0] = (7, 7, MISSING, MISSING)
    context[:, 6] = (3, MISSING, 3, MISSING)
    context[:, 1] = 99
    step = np.full(4, 0.03125, np.float32)
    assert base_of(context, step).tolist() == [7, 7, 3, 320]
    assert base_of(context[3:], np.array([3.0], np.float32)).tolist() == [3]


def test_samples_of_several_images_keep_to_their_own():
    random = np.random.default_rng(1)
    images = []
    for metres in (5, 50):
        mask = random.random((6, 20)) < 0.8
        images.append(image_of(metres + random.random(mask.shape), mask))
    both = RangeSamples(images).everything(0.02)
    parts = [RangeSamples([image]).everything(0.02) for image in images]
    for name in ("inputs", "differences", "target", "scale"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(getattr(both, name), joined), name
    assert len(RangeSamples(images)) == sum(image.valid_count for image in images)


def test_targets_are_distances_from_the_base_in_steps():
    mask = np.ones((1, 5), bool)
    ranges = np.array([[10.25, 10.75, 9.75, 9.7, 12.5]])
    batch = RangeSamples([image_of(ranges, mask)]).everything(0.125)
    assert batch.target.tolist() == [1, 2, -4, 0, 11]
    np.testing.assert_allclose(batch.scale, 0.25 / np.hypot(0.25, 0.03), rtol=1e-6)


def test_drawn_bounds_lie_between_the_two():
    mask = np.ones((4, 16), bool)
    samples = RangeSamples([image_of(np.full(mask.shape, 8.0), mask)])
    batch = samples.draw(2000, torch.Generator().manual_seed(0), (0.01, 1.0))
    assert batch.inputs.shape == (2000, RANGE_INPUTS)
    scale = batch.scale.double().numpy()  # step / hypot(step, 0.03)
    step = 0.03 * scale / np.sqrt(1 - np.minimum(scale, 1 - 1e-7) ** 2)
    assert step.min() == pytest.approx(0.02, rel=0.02)
    assert 0.15 < np.median(step) < 0.27
    again = samples.draw(2000, torch.Generator().manual_seed(0), (0.01, 1.0))
    assert torch.equal(batch.inputs, again.inputs)


def test_masks_are_drawn_with_what_is_around_them():
    mask = np.indices((8, 8)).sum(0) % 2 == 0
    samples = MaskSamples([mask, ~mask])
    drawn = samples.draw(500, torch.Generator().manual_seed(0))
    assert drawn.inputs.shape == (500, MASK_INPUTS)
    assert set(drawn.valid.tolist()) == {0.0, 1.0}
    inside = drawn.inputs[:, 0] >= 0
    assert torch.equal(drawn.valid[inside], 1 - drawn.inputs[inside, 0])


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(GeometryError, match="at least one range image"):
        MaskSamples([])
    empty = image_of(np.ones((3, 3)), np.zeros((3, 3), bool))
    with pytest.raises(GeometryError, match="valid pixels"):
        RangeSamples([empty])
