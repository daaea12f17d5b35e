"""The compiled extension module: loading it, its instruction sets, its threads.

The instruction set is the best one the machine has, or the one that the environment variable
``QUINR_ISA`` names. Results depend on neither it nor the number of threads, but for the last bits
of a preview's values.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from quinr_lidar.errors import BackendError

try:
    import quinr_lidar._native as kernel
except ImportError as error:
    kernel = None
    _import_error: ImportError | None = error
else:
    _import_error = None

ISA_VARIABLE = "QUINR_ISA"
THREADS_VARIABLE = "OMP_NUM_THREADS"


def load_kernel() -> Any:
    """The extension module.

    Raises:
        BackendError: it was not built, or cannot be loaded.
    """
    if kernel is None:
        raise BackendError(
            f"the circuit kernel cannot be loaded ({_import_error}): install quinr-lidar with "
            "`pip install`, which builds it, or set QUINR_BACKEND=torch to do without"
        )
    return kernel


def instruction_sets() -> list[str]:
    """Instruction sets the kernel can use on this machine, the best one first."""
    return load_kernel().instruction_sets()


def instruction_set() -> str:
    """The instruction set in use.

    Raises:
        BackendError: ``QUINR_ISA`` names one that this machine does not have.
    """
    usable = instruction_sets()
    wanted = os.environ.get(ISA_VARIABLE) or usable[0]
    if wanted not in usable:
        raise BackendError(f"{ISA_VARIABLE}: expected one of {', '.join(usable)}, got {wanted!r}")
    return wanted


def thread_count() -> int:
    """Threads that a call of the kernel may use.

    Where torch is loaded, its number: whoever trains or runs worker processes sets it there.
    Otherwise what ``OMP_NUM_THREADS`` says, or all cores that this process may use.
    """
    if (torch := sys.modules.get("torch")) is not None:
        return torch.get_num_threads()
    wanted = os.environ.get(THREADS_VARIABLE, "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_options() -> dict[str, Any]:
    """The arguments ``threads`` and ``isa`` of the kernel's functions.

    Raises:
        BackendError: as :func:`instruction_set`.
    """
    return {"threads": thread_count(), "isa": instruction_set()}
