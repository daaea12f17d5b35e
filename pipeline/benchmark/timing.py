"""Stop watches that a noisy machine does not fool, and how many threads they watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


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


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads for torch, and so for the kernel; as before at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
