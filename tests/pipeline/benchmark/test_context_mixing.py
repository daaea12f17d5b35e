"""The hand-made model learns what there is to learn, from what lies before a pixel only."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.benchmark.baselines import context_mixing
from pipeline.benchmark.baselines.context_mixing import BitMixer, coarse, fine, mixed_bits


def test_classes():
    assert [fine(value) for value in (0, 1, 3, 4, 5, 6, 7, 8, 11, 12)] == [
        *(0, 1, 3, 4, 4, 5, 5, 6, 6, 7),
    ]
    assert [fine(value) for value in (-3, -6, -12)] == [-3, -5, -7]
    assert [coarse(value) for value in (0, 1, 2, 3, 4, -4)] == [0, 1, 2, 2, 3, -3]


def test_a_mixer_learns_each_context():
    mixer, generator = BitMixer(), np.random.default_rng(0)
    costs = []
    for _ in range(600):
        known = int(generator.integers(2))
        noise = [int(generator.integers(50)) for _ in range(context_mixing.CONTEXTS - 1)]
        costs.append(mixer.cost(known, "node", (known, *noise), "all"))
    assert costs[0] == pytest.approx(1, abs=0.05)
    assert np.mean(costs[-100:]) < 0.15
    # Another node knows nothing of it.
    assert mixer.cost(1, "other", (1, *[0] * (context_mixing.CONTEXTS - 1)), "new") > 0.9


def test_bits_are_a_code_length():
    generator = np.random.default_rng(1)
    noise = generator.integers(0, 64, (24, 64)) + 500
    mask = np.ones(noise.shape, bool)
    smooth = 500 + np.add.outer(np.arange(24), np.arange(64))
    of_noise, of_ramp = (sum(mixed_bits(steps, mask)) / mask.size for steps in (noise, smooth))
    # No model codes 64 equally likely values in fewer bits, and a ramp is soon foreseen.
    assert 6 < of_noise < 9
    assert of_ramp < 0.5


def test_invalid_pixels_cost_nothing_and_tell_nothing():
    generator = np.random.default_rng(2)
    steps = np.cumsum(generator.integers(-2, 3, (12, 40)), axis=1) + 300
    mask = generator.random(steps.shape) > 0.3
    bits = mixed_bits(steps, mask)
    assert bits == mixed_bits(np.where(mask, steps, 99999), mask)
    assert sum(bits) < sum(mixed_bits(steps, np.ones_like(mask)))


def test_nothing_behind_a_pixel_is_used():
    generator = np.random.default_rng(3)
    steps = np.cumsum(generator.integers(-2, 3, (6, 20)), axis=1) + 300
    mask = generator.random(steps.shape) > 0.2
    whole = mixed_bits(steps, mask)
    assert len(whole) == mask.sum()
    changed = np.where(np.arange(mask.size).reshape(mask.shape) < 90, steps, steps[::-1] + 7)
    again = mixed_bits(changed, mask)
    same = np.count_nonzero(mask.ravel()[:90])
    assert again[:same] == whole[:same]
    assert again[same:] != whole[same:]
