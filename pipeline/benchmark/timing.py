"""Stop watches that a noisy machine does not fool."""

from __future__ import annotations

import time
from collections.abc import Callable


def best_seconds(work: Callable[[], object], *, repeats: int, warmup: int = 1) -> float:
    """Wall-clock seconds of the fastest of some runs: noise only ever adds."""
    for _ in range(warmup):
        work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
