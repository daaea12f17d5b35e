"""The compiled extension module: loading it, its instruction sets, its threads.

The instruction set is the best one the machine has, or the one that the environment variable
``QUINR_ISA`` names. Results depend on neither it nor the number of threads, but for the last bits
of a preview's values.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
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


@dataclass(frozen=True)
class FormatConstants:
    """Constants of the format that are written down in C++ (``quinr_lidar/native/strict``).

    Attributes:
        mask_inputs: Inputs of the mask's field.
        mask_outputs: Outputs of the mask's field.
        range_inputs: Inputs of the ranges' field.
        range_outputs: Outputs of the ranges' field.
        components: Logistic distributions in the mixture of a range.
        neighbours: Pixels around a pixel that its range is predicted from.
        context_rows: Rows of the table of what is known of a pixel; neighbours come first.
        second_left: Position among the neighbours of the second one to the left.
        straight_up: Position of the one above.
        second_up: Position of the one two rows above.
        missing: Stands in the table for a neighbour that is not known.
        batch_step: Batches are padded to a multiple of this many pixels.
        noise: Noise of a sensor, metres: differences are measured in it where steps are finer.
        first_guess: Range that pixels without neighbours are predicted from, metres.
        farthest_slope: Limit of slopes, in units.
        farthest_linear: Limit of differences that move the means, in units.
        smallest_log_scale: Smallest logarithm of a component's scale.
        largest_log_scale: Largest logarithm of a component's scale.
        most_steps: Largest number of steps of a range.
        smallest_step: Smallest step, metres.
        largest_step: Largest step, metres.
    """

    mask_inputs: int
    mask_outputs: int
    range_inputs: int
    range_outputs: int
    components: int
    neighbours: int
    context_rows: int
    second_left: int
    straight_up: int
    second_up: int
    missing: int
    batch_step: int
    noise: float
    first_guess: float
    farthest_slope: float
    farthest_linear: float
    smallest_log_scale: float
    largest_log_scale: float
    most_steps: int
    smallest_step: float
    largest_step: float


@cache
def format_constants() -> FormatConstants:
    """The constants of the format, from the extension module.

    Raises:
        BackendError: it cannot be loaded, or was built from other sources than these.
    """
    try:
        return FormatConstants(**load_kernel().format_constants())
    except (AttributeError, TypeError) as error:
        raise BackendError(
            f"the compiled kernel does not fit this version ({error}): build it again with "
            "`pip install`"
        ) from error


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
