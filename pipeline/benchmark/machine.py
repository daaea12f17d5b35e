"""What ran a benchmark: figures mean little without it."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pipeline.jobs.workers import available_cores
from quinr_lidar import __version__
from quinr_lidar.kernel import instruction_set


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
