"""Layer 3, bounded ranges: the range of every valid pixel within a stated error.

The step, the knee where there is one, and the range coder's bytes. See docs/format.md.
"""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.byte_io import ByteReader
from quinr_lidar.entropy.models import EntropyModel, ModelShape
from quinr_lidar.errors import GeometryError
from quinr_lidar.kernel import instruction_set, load_kernel
from quinr_lidar.layers.range_steps import (
    MAX_STEP,
    MIN_STEP,
    RangeSteps,
    allowed_error,
    choose_steps,
)

NAME = "ranges"
COMPONENTS, NEIGHBOURS = 10, 14
LINEAR = "linear"
MODEL = ModelShape(51, 3 * COMPONENTS, {LINEAR: (COMPONENTS, NEIGHBOURS)})
"""51 numbers of a pixel's surroundings to a mixture of 10 logistic distributions, whose means
``linear`` moves with 14 neighbours."""

EVEN, GROWING = 0, 1
STEPS_A_KNEE = 16
"""A step is at most so many times the knee: beyond it a step's ranges differ by factors."""


def pack_ranges(
    ranges: NDArray[np.float32],
    mask: NDArray[np.bool_],
    entropy_model: EntropyModel,
    max_error: float,
    relative_error: float = 0.0,
) -> bytes:
    """Write the section.

    Args:
        ranges: float32 [H, W], metres.
        mask: [H, W], which of them count.
        entropy_model: Whose ranges field codes them.
        max_error: Largest error, metres.
        relative_error: The bound of a range r is ``max(max_error, relative_error * r)``.

    Raises:
        GeometryError: the bound is too small for the largest range.
    """
    valid = ranges[mask]
    grid = choose_steps(max_error, relative_error, float(valid.max(initial=0)))
    steps = np.zeros(ranges.shape, np.int32)
    steps[mask] = grid.to_steps(valid)
    _verify(valid, grid.to_ranges(steps[mask]), max_error, relative_error)
    coded = load_kernel().encode_ranges(
        entropy_model.layer(NAME, MODEL).strict,
        linear_of(entropy_model),
        np.ascontiguousarray(mask, np.uint8),
        grid.step,
        steps,
        isa=instruction_set(),
    )
    return _pack_grid(grid) + coded


def unpack_ranges(
    payload: bytes, mask: NDArray[np.bool_], entropy_model: EntropyModel, start: int = 0
) -> NDArray[np.float32]:
    """Read the section: float32 [N], the valid pixels in the order of ``ranges[mask]``, metres.

    Args:
        payload: The section's bytes.
        mask: [H, W], of the mask layer.
        entropy_model: Of the mask layer.
        start: The section's offset in the file, for error messages.

    Raises:
        BitstreamError: the bytes are too few, or their steps impossible.
    """
    reader = ByteReader(payload, "ranges", start)
    grid = _unpack_grid(reader)
    steps = np.zeros(mask.shape, np.int32)
    sound = load_kernel().decode_ranges(
        entropy_model.layer(NAME, MODEL).strict,
        linear_of(entropy_model),
        payload[reader.position :],
        np.ascontiguousarray(mask, np.uint8),
        grid.step,
        steps,
        isa=instruction_set(),
    )
    if not sound:
        raise reader.error("the coded pixels end too early")
    return grid.to_ranges(steps[mask])


def max_error_of(payload: bytes, start: int = 0) -> dict[str, float]:
    """What a ranges section promises: ``max_error`` in metres, and ``relative_error`` if any.

    A hair below what was asked for, by what rounding to float32 may add.

    Raises:
        BitstreamError: the section is too short, or its steps impossible.
    """
    grid = _unpack_grid(ByteReader(payload, "ranges", start))
    max_error = {"max_error": grid.step / 2}
    if grid.knee is not None:
        max_error["relative_error"] = math.expm1(grid.step / 2 / grid.knee)
    return max_error


def linear_of(entropy_model: EntropyModel) -> NDArray[np.float32]:
    """How neighbours move the means of the mixture: float32 [COMPONENTS, NEIGHBOURS]."""
    parameters = entropy_model.layer(NAME, MODEL).parameters
    return np.ascontiguousarray(parameters[LINEAR], np.float32)


def _verify(
    original: NDArray[np.float32],
    decoded: NDArray[np.float32],
    max_error: float,
    relative_error: float,
) -> None:
    error = np.abs(original.astype(np.float64) - decoded)
    beyond = error > allowed_error(original, max_error, relative_error)
    if beyond.any():
        worst = float(error[beyond].max())
        raise GeometryError(
            f"max_error: {max_error:g} m cannot be kept, an error would be {worst:g} m"
        )


def _pack_grid(grid: RangeSteps) -> bytes:
    if grid.knee is None:
        return struct.pack("<Bf", EVEN, grid.step)
    return struct.pack("<Bff", GROWING, grid.step, grid.knee)


def _unpack_grid(reader: ByteReader) -> RangeSteps:
    kind = reader.byte("kind of steps")
    if kind not in (EVEN, GROWING):
        raise reader.error(f"unknown kind of steps {kind}; a newer quinr-lidar may read it")
    step = reader.number("f", "step")
    if not MIN_STEP <= step <= MAX_STEP:
        raise reader.error(f"step: expected {MIN_STEP:g}..{MAX_STEP:g} m, got {step}")
    if kind == EVEN:
        return RangeSteps(step)
    knee = reader.number("f", "knee")
    least = max(MIN_STEP, step / STEPS_A_KNEE)
    if not (math.isfinite(knee) and knee >= least):
        raise reader.error(f"knee: expected at least {least:g} m, got {knee}")
    return RangeSteps(step, knee)
