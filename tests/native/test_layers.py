"""The coders of mask and ranges at their native edge: environments, bytes, bad arguments."""

from __future__ import annotations

import ctypes
import platform

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quinr_lidar import _native
from quinr_lidar.kernel import instruction_sets
from quinr_lidar.layers.ranges import linear_of

Mask = NDArray[np.uint8]
Steps = NDArray[np.int32]
MOST_STEPS = 1 << 30
MASK_LAG, RANGE_LAG = 6, 4
STEP = 0.03125
"""Metres, exactly a float32: rounding it upward on the way in would change it."""
UPWARD = {"x86_64": 0x800, "aarch64": 0x400000}


def sweep_of(shape: tuple[int, int], lag: int) -> NDArray[np.int64]:
    """Pixel numbers in the order of decoding."""
    v, u = np.indices(shape)
    return np.lexsort((v.reshape(-1), (u + lag * v).reshape(-1)))


def scene(height: int, width: int, seed: int = 0) -> tuple[Mask, Steps]:
    random = np.random.default_rng(seed)
    mask = (random.random((height, width)) < 0.8).astype(np.uint8)
    surface = 500 + np.cumsum(random.integers(-3, 4, (height, width)), 1)
    surface[random.random((height, width)) < 0.05] *= 40
    return mask, np.clip(surface, 0, MOST_STEPS).astype(np.int32)


class Layers:
    """Both layers with one entropy model on one instruction set."""

    def __init__(self, entropy_model, isa: str) -> None:
        self.entropy_model, self.isa = entropy_model, isa

    def encode(self, mask: Mask, steps: Steps, step: float = STEP) -> tuple[bytes, bytes]:
        entropy_model, ranges = self.entropy_model, self.entropy_model["ranges"].strict
        return (
            _native.encode_mask(entropy_model["mask"].strict, mask, self.isa),
            _native.encode_ranges(ranges, linear_of(entropy_model), mask, step, steps, self.isa),
        )

    def decode(self, data: tuple[bytes, bytes], shape: tuple[int, int], step: float = STEP):
        mask, steps = np.full(shape, 7, np.uint8), np.full(shape, -7, np.int32)
        entropy_model, ranges = self.entropy_model, self.entropy_model["ranges"].strict
        assert _native.decode_mask(entropy_model["mask"].strict, data[0], mask, self.isa)
        assert _native.decode_ranges(
            ranges, linear_of(entropy_model), data[1], mask, step, steps, self.isa
        )
        return mask, steps


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Mask, Steps, float]:
    longest = draw(st.sampled_from(((8, 30), (1, 150), (140, 1), (135, 4))))
    shape = draw(st.integers(1, longest[0])), draw(st.integers(1, longest[1]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    mask = (random.random(shape) < draw(st.sampled_from((0.0, 0.5, 1.0)))).astype(np.uint8)
    highest = draw(st.sampled_from((0, 1, 300, 2**20, MOST_STEPS)))
    steps = random.integers(0, highest + 1, shape).astype(np.int32)
    if draw(st.booleans()):  # from one end to the other
        steps = np.where(random.random(shape) < 0.5, 0, highest).astype(np.int32)
    return mask, steps, draw(st.sampled_from((1e-6, 1e-3, 0.04, 10.0, 1e6)))


@given(scenes())
@settings(deadline=None, max_examples=60)
def test_every_instruction_set_writes_and_reads_the_same(small_model, one):
    mask, steps, step = one
    written = {
        isa: Layers(small_model, isa).encode(mask, steps, step) for isa in instruction_sets()
    }
    assert len(set(written.values())) == 1
    for isa, data in written.items():
        found_mask, found = Layers(small_model, isa).decode(data, mask.shape, step)
        np.testing.assert_array_equal(found_mask, mask)
        np.testing.assert_array_equal(found[mask == 1], steps[mask == 1])
        assert (found[mask == 0] == -7).all()  # not its business


@pytest.mark.parametrize("isa", instruction_sets())
def test_a_caller_that_flushes_denormals_changes_nothing(small_model, isa):
    mask, steps = scene(40, 90)
    layers = Layers(small_model, isa)
    before = layers.encode(mask, steps, 1e-6)
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        after = layers.encode(mask, steps, 1e-6)
        decoded = layers.decode(before, mask.shape, 1e-6)
    finally:
        torch.set_flush_denormal(False)
    assert after == before
    np.testing.assert_array_equal(decoded[0], mask)
    np.testing.assert_array_equal(decoded[1][mask == 1], steps[mask == 1])


@pytest.mark.parametrize("isa", instruction_sets())
def test_a_caller_that_rounds_upward_changes_nothing(small_model, isa):
    upward = UPWARD.get(platform.machine())
    if upward is None or platform.system() != "Linux":
        pytest.skip("the number of FE_UPWARD is known for x86-64 and arm64 on Linux")
    mask, steps = scene(40, 90)
    layers = Layers(small_model, isa)
    before = layers.encode(mask, steps)
    library = ctypes.CDLL(None)
    nearest = library.fegetround()
    try:
        assert library.fesetround(upward) == 0
        after = layers.encode(mask, steps)
        decoded = layers.decode(before, mask.shape)
        assert library.fegetround() == upward
    finally:
        library.fesetround(nearest)
    assert after == before
    np.testing.assert_array_equal(decoded[1][mask == 1], steps[mask == 1])


def first_difference(found: NDArray, wanted: NDArray, order: NDArray[np.int64]) -> int:
    differ = found.reshape(-1)[order] != wanted.reshape(-1)[order]
    return int(np.argmax(differ)) if differ.any() else len(order)


def test_a_cut_mask_agrees_up_to_the_cut(small_model):
    """What is decoded does not depend on what comes behind it: the order is causal."""
    mask, _ = scene(50, 70)
    field = small_model["mask"].strict
    data = _native.encode_mask(field, mask, "baseline")
    order = sweep_of(mask.shape, MASK_LAG)
    agree = []
    for size in (20, 80, 160, 240, len(data)):
        found = np.zeros_like(mask)
        _native.decode_mask(field, data[:size], found, "baseline")
        agree.append(first_difference(found, mask, order))
    assert agree == sorted(agree)
    assert agree[0] > 50
    assert agree[-1] == mask.size
    assert len(set(agree)) == len(agree)


def test_cut_ranges_agree_up_to_the_cut(small_model):
    mask, steps = scene(50, 70)
    entropy_model, field = small_model, small_model["ranges"].strict
    data = _native.encode_ranges(field, linear_of(entropy_model), mask, 0.04, steps, "baseline")
    order = sweep_of(mask.shape, RANGE_LAG)
    order = order[mask.reshape(-1)[order] == 1]
    agree = []
    for size in (20, 200, 700, len(data)):
        found = np.full_like(steps, -1)
        _native.decode_ranges(
            field, linear_of(entropy_model), data[:size], mask, 0.04, found, "baseline"
        )
        agree.append(first_difference(found, steps, order))
    assert agree == sorted(agree)
    assert agree[0] > 10
    assert agree[-1] == mask.sum()
    assert len(set(agree)) == len(agree)


@pytest.mark.parametrize("data", [b"", b"\0" * 3000, b"\xff" * 3000, bytes(range(256)) * 12])
@pytest.mark.parametrize("step", [1e-6, 0.04, 1e6])
def test_hostile_bytes_end_and_stay_in_range(small_model, data, step):
    mask = np.ones((30, 40), np.uint8)
    steps = np.full((30, 40), -1, np.int32)
    entropy_model = small_model
    sound = _native.decode_ranges(
        entropy_model["ranges"].strict,
        linear_of(entropy_model),
        data,
        mask,
        step,
        steps,
        "baseline",
    )
    found = steps if sound else steps[steps != -1]
    assert ((found >= 0) & (found <= MOST_STEPS)).all()
    _native.decode_mask(entropy_model["mask"].strict, data, mask, "baseline")
    assert set(np.unique(mask)) <= {0, 1}


def test_bytes_that_end_early_end_the_work(small_model):
    """16 million pixels of which a hundred are there: nothing near all of them is decoded."""
    data = np.random.default_rng(0).bytes(60)
    mask = np.full((4096, 4096), 9, np.uint8)
    assert not _native.decode_mask(small_model["mask"].strict, data, mask, "baseline")
    assert np.count_nonzero(mask != 9) < mask.size / 50
    mask[:] = 1
    steps = np.full(mask.shape, -1, np.int32)
    entropy_model = small_model
    assert not _native.decode_ranges(
        entropy_model["ranges"].strict,
        linear_of(entropy_model),
        data,
        mask,
        0.04,
        steps,
        "baseline",
    )
    assert np.count_nonzero(steps != -1) < mask.size / 50


MASK, STEPS = np.ones((3, 4), np.uint8), np.ones((3, 4), np.int32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.ones((0, 4), np.uint8)}, "mask: expected"),
        ({"mask": np.ones(12, np.uint8)}, "mask: expected"),
        ({"steps": np.ones((4, 3), np.int32)}, "steps: unexpected shape"),
        ({"steps": STEPS * -1}, r"steps: expected 0 \.\. 2\^30"),
        ({"steps": STEPS * (MOST_STEPS + 1)}, r"steps: expected 0 \.\. 2\^30"),
        ({"linear": np.ones((10, 13), np.float32)}, "linear: expected components x neighbours"),
        ({"linear": np.full((10, 14), np.nan, np.float32)}, "linear: a value is too large"),
        ({"step": 0.0}, "step: expected"),
        ({"step": float("nan")}, "step: expected"),
        ({"step": 2e6}, "step: expected"),
        ({"isa": "sse9"}, "has no sse9"),
    ],
)
def test_arguments_of_ranges_are_checked(small_model, change, message):
    arguments = {
        "field": small_model["ranges"].strict,
        "linear": linear_of(small_model),
        "mask": MASK,
        "step": 0.04,
        "steps": STEPS,
        "isa": "baseline",
    }
    _native.encode_ranges(**arguments)
    with pytest.raises(ValueError, match=message):
        _native.encode_ranges(**arguments | change)
    if "2^30" not in message.replace("\\", ""):  # a decoder writes steps
        with pytest.raises(ValueError, match=message):
            _native.decode_ranges(data=b"", **arguments | change)


def test_steps_of_pixels_that_are_not_measured_may_be_anything(small_model):
    steps = np.full((3, 4), -(2**31), np.int32)
    layers = Layers(small_model, "baseline")
    assert layers.encode(MASK * 0, steps)[1] == b""


def test_a_layers_field_fits_its_layer(small_model):
    mask, ranges = small_model["mask"].strict, small_model["ranges"].strict
    with pytest.raises(ValueError, match="mask: the field has other inputs"):
        _native.encode_mask(ranges, MASK, "baseline")
    with pytest.raises(ValueError, match="mask: the field has other inputs"):
        _native.decode_mask(ranges, b"", MASK.copy(), "baseline")
    with pytest.raises(ValueError, match="ranges: the field has other inputs"):
        _native.encode_ranges(mask, linear_of(small_model), MASK, 0.04, STEPS, "baseline")


def test_arrays_of_other_types_are_not_converted(small_model):
    with pytest.raises(TypeError):
        _native.encode_mask(small_model["mask"].strict, MASK.astype(bool), "baseline")
    with pytest.raises(TypeError):
        _native.decode_mask(small_model["mask"].strict, b"", MASK[:, ::2], "baseline")


def test_tables_for_training_are_checked():
    context = np.zeros((21, 15), np.int32)
    floats = np.ones(15, np.float32)
    differences, inputs = np.empty((14, 15), np.float32), np.empty((51, 15), np.float32)
    with pytest.raises(ValueError, match="multiple of 16"):
        _native.range_inputs(
            context, context[0].copy(), floats, floats, differences, inputs, "baseline"
        )
    with pytest.raises(ValueError, match="inputs: unexpected shape"):
        _native.mask_inputs(MASK, np.empty((28, 12), np.float32))
    with pytest.raises(ValueError, match="context: unexpected shape"):
        _native.range_context(MASK, np.empty((21, 11), np.int32))
