"""Rounding of all parameters to equally many bits.

Angles are rounded modulo their period, so that their step takes no bytes. The step of other
parameters takes one byte: it is a power of 2^(1/8), the smallest that lets the largest value fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import TrainingError

MIN_BITS, MAX_BITS = 2, 16
STEPS_PER_OCTAVE = 8
SMALLEST_STEP = 2.0**-24
MAX_STEP_CODE = 255


@dataclass(frozen=True, eq=False)
class QuantizedTensor:
    """A tensor as unsigned integers below ``2^bits``.

    Attributes:
        symbols: uint32, the tensor's shape. Angles count steps from zero modulo the period,
            other values are offset by ``2^(bits - 1)``.
        bits: Width of a symbol.
        step_code: Step of a tensor without period, 0..255; ``None`` for angles.
    """

    symbols: NDArray[np.uint32]
    bits: int
    step_code: int | None


def step_size(step_code: int) -> float:
    """The quantisation step that a file's step byte stands for."""
    return SMALLEST_STEP * 2.0 ** (step_code / STEPS_PER_OCTAVE)


def quantize(values: NDArray[np.floating], bits: int, period: float | None) -> QuantizedTensor:
    """Round values to the nearest multiple of a step.

    Args:
        values: Any shape.
        bits: Width of a symbol, 2..16.
        period: Period of angles, ``None`` for ordinary values.

    Raises:
        TrainingError: values are not finite or too large, or ``bits`` is out of range.
    """
    if not MIN_BITS <= bits <= MAX_BITS:
        raise TrainingError(f"bits: expected {MIN_BITS}..{MAX_BITS}, got {bits}")
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise TrainingError("a trained parameter is not finite")
    if period is not None:
        symbols = np.rint(values * (2**bits / period)).astype(np.int64) % 2**bits
        return QuantizedTensor(symbols.astype(np.uint32), bits, None)
    limit = 2 ** (bits - 1) - 1
    code = step_code(float(np.abs(values).max(initial=0.0)) / (limit + 0.5))
    symbols = np.rint(values / step_size(code)).clip(-limit, limit) + 2 ** (bits - 1)
    return QuantizedTensor(symbols.astype(np.uint32), bits, code)


def dequantize(tensor: QuantizedTensor, period: float | None) -> NDArray[np.float64]:
    """The values that symbols stand for; angles come back in [-period / 2, period / 2)."""
    half = 2 ** (tensor.bits - 1)
    symbols = tensor.symbols.astype(np.float64)
    if period is not None:
        return np.where(symbols < half, symbols, symbols - 2 * half) * (period / (2 * half))
    if tensor.step_code is None:
        raise TrainingError("step_code: expected one for a tensor without period")
    return (symbols - half) * step_size(tensor.step_code)


def step_code(smallest: float) -> int:
    """The byte of the smallest step that is at least as large.

    Raises:
        TrainingError: no byte stands for so large a step.
    """
    if smallest <= SMALLEST_STEP:
        return 0
    code = math.ceil(math.log2(smallest / SMALLEST_STEP) * STEPS_PER_OCTAVE - 1e-9)
    if code > MAX_STEP_CODE:
        raise TrainingError(
            f"a trained parameter is too large for the file ({smallest:.3g} a step)"
        )
    return code
