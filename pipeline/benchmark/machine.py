"""What ran a benchmark, on how many threads, and how long it took."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

from pipeline.jobs.workers import available_cores
from quinr_lidar import __version__
from quinr_lidar.kernel import instruction_set

Result = TypeVar("Result")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, instruction set and the versions of what was compared."""
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "instruction_set": instruction_set(),
        "python": platform.python_version(),
        "quinr_lidar": __version__,
        "torch": torch.__version__,
        "pennylane": version("pennylane"),
        "pennylane_lightning": version("pennylane-lightning"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def best_seconds(work: Callable[[], object], *, repeats: int, warmup: int = 1) -> float:
    """Wall-clock seconds of the fastest of several runs: noise only ever adds."""
    for _ in range(warmup):
        work()
    return min(median_seconds(work)[1] for _ in range(repeats))


def median_seconds(work: Callable[[], Result], repeats: int = 1) -> tuple[Result, float]:
    """What some work returns, and the median of its wall-clock seconds."""
    seconds: list[float] = []
    while True:
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
        if len(seconds) >= repeats:
            return result, statistics.median(seconds)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run torch, and so the kernel, on this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
