"""Numbers that a file's seed stands for: part of the format, so no library's generator.

SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1


def split_mix_words(state: int, count: int) -> list[int]:
    """The next ``count`` 64-bit words of a generator in the given state."""
    words = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        word = state
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
        words.append(word ^ (word >> 31))
    return words


def split_mix_uniforms(seed: int, count: int) -> NDArray[np.float64]:
    """``count`` numbers in (0, 1)."""
    words = split_mix_words(seed << 32, count)
    return np.array([((word >> 11) + 0.5) * 2.0**-53 for word in words])
