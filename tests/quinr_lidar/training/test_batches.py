from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quinr_lidar import _native
from quinr_lidar.training.batches import draw_batch


@given(
    seed=st.integers(0, 2**63 - 1),
    step=st.integers(0, 2**40),
    samples=st.integers(1, 10**6),
    size=st.integers(1, 3000),
)
def test_the_kernel_draws_the_same_samples(seed, step, samples, size):
    ours = draw_batch(seed, step, samples, size)
    np.testing.assert_array_equal(ours, _native.draw_batch(seed, step, samples, size))
    assert ours.min() >= 0
    assert ours.max() < samples


def test_a_batch_covers_the_image_evenly():
    batch = draw_batch(3, 5, 64_000, 640)
    np.testing.assert_array_equal(batch // 100, np.arange(640))
    within = batch % 100
    assert 40 < within.mean() < 60
    assert len(np.unique(within)) > 90


@pytest.mark.parametrize("change", [{"seed": 1}, {"step": 1}])
def test_seed_and_step_decide(change):
    args = {"seed": 0, "step": 0, "samples": 10_000, "size": 100}
    first = draw_batch(**args)
    np.testing.assert_array_equal(first, draw_batch(**args))
    assert (first != draw_batch(**(args | change))).mean() > 0.9
