"""Which pixels a preview without a mask layer takes for valid: those below a threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.layers.field_section import THRESHOLD_STEPS


def best_threshold(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> float:
    """The threshold that misjudges the fewest pixels: a multiple of 1 / 65535 in [0, 1].

    A pixel is taken for valid when its value lies below the threshold. Among equally good
    thresholds the middle one is taken, where rounding elsewhere does the least harm.

    Args:
        values: What a decoder will see, float64 [H, W] in [0, 1].
        valid: Which pixels were measured, bool [H, W].
    """
    # A value v lies below threshold k / S exactly when k > v * S, that is k >= floor(v * S) + 1.
    bins = np.floor(values * THRESHOLD_STEPS).astype(np.int64)
    size = THRESHOLD_STEPS + 1
    hits = np.bincount(bins[valid], minlength=size)
    misses = np.bincount(bins[~valid], minlength=size)
    gain = np.concatenate(([0], np.cumsum(hits - misses)))[:size]
    best = np.flatnonzero(gain == gain.max())
    return int(best[len(best) // 2]) / THRESHOLD_STEPS
