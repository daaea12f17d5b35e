"""Which pixels a training step sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def draw_batch(seed: int, step: int, samples: int, size: int) -> NDArray[np.int64]:
    """Indices of a step's samples, which depend on the arguments alone: int64 [size].

    One sample is drawn from each of ``size`` equal stretches of ``range(samples)``, so that every
    batch covers the whole image. Independent draws would leave holes.

    Args:
        seed: Seed of the training.
        step: Number of the step.
        samples: Number of samples.
        size: Number of indices to draw; may exceed ``samples``.
    """
    with np.errstate(over="ignore"):
        step_word = _split_mix(np.asarray(step, dtype=np.uint64))
        base = _split_mix(np.asarray(seed, dtype=np.uint64) ^ step_word)
        words = _split_mix(base + np.arange(size, dtype=np.uint64) * _GOLDEN)
    uniform = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    index = (np.arange(size) + uniform) * (samples / size)
    return np.minimum(index.astype(np.int64), samples - 1)


def _split_mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words that follow ``state`` in SplitMix64 (Steele, Lea and Flood 2014)."""
    word = state + _GOLDEN
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
