"""Rounding of a trained field by how much each parameter matters.

Parameters of a class share a step. It is small where the image changes fast with the parameters
(the mean of the Gauss-Newton diagonal), so that rounding any parameter does about equal harm. Then
parameters are rounded one after the other, and those not yet rounded are moved to make up for each
rounding error, as the Gauss-Newton matrix says. That is the idea of the optimal brain surgeon
(Hassibi and Stork 1993); for quantisation it is known as GPTQ (Frantar et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quinr_lidar.errors import TrainingError
from quinr_lidar.quantization.classes import (
    MAX_LEVEL_CODE,
    MIN_LEVEL_CODE,
    ParameterClass,
    RoundedClass,
    levels,
    step_of,
)
from quinr_lidar.quantization.uniform import MAX_STEP_CODE, STEPS_PER_OCTAVE, step_code, step_size

MAX_SYMBOL = 2.0**31

DAMPINGS = (1e-4, 1e-2, 1e-1, 1.0)
"""All are tried: the coarser the steps, the less the matrix says about their effect."""


def choose_codes(
    classes: list[ParameterClass],
    matrix: NDArray[np.float64],
    error: float,
    coarseness: float,
) -> list[int]:
    """Choose a step byte for each class.

    Args:
        classes: The classes of the field.
        matrix: Gauss-Newton matrix of a pixel, [S, S].
        error: Mean squared error before rounding.
        coarseness: Size of the steps; 0.5 loses a few hundredths of a dB. At sqrt(12) rounding
            without compensation would about double the error.
    """
    diagonal = np.diag(matrix)
    codes = []
    for each in classes:
        steepness = max(float(diagonal[each.index].mean()), 1e-30)
        step = coarseness * math.sqrt(max(error, 1e-12) / len(matrix) / steepness)
        if each.period is None:
            codes.append(step_code(min(step, step_size(MAX_STEP_CODE))))
        else:
            code = round(math.log2(each.period / step) * STEPS_PER_OCTAVE)
            codes.append(min(max(code, MIN_LEVEL_CODE), MAX_LEVEL_CODE))
    return codes


Refit = Callable[[NDArray[np.float64], NDArray[np.bool_]], tuple[NDArray[np.float64], Any]]
"""Values [S] and which of them are not rounded yet [S] -> better values of these, new matrix."""


def round_parameters(
    values: NDArray[np.float64],
    classes: list[ParameterClass],
    codes: list[int],
    matrix: NDArray[np.float64],
    damping: float = DAMPINGS[0],
    *,
    refit: Refit | None = None,
    groups: int = 1,
) -> tuple[list[RoundedClass], NDArray[np.float64]]:
    """Round one parameter after the other, the most harmful first, and compensate.

    Args:
        values: Trained parameters [S], angles in [-pi, pi).
        classes: The classes of the field.
        codes: A step byte for each class.
        matrix: Gauss-Newton matrix of a pixel, [S, S].
        damping: Weakens compensation; relative to the matrix's diagonal.
        refit: Trains what is not rounded yet, between groups.
        groups: Number of groups.

    Returns:
        The rounded classes, and all values [S]. Values that belong to no class are not rounded:
        they have moved to make up for the rest.

    Raises:
        TrainingError: a parameter is not finite, or has become very large.
    """
    rounding = _Rounding(values, classes, codes)
    harm = np.diag(matrix) * rounding.steps**2
    places = np.flatnonzero(rounding.steps)
    order = places[np.argsort(-harm[places], kind="stable")]
    for group in np.array_split(order, groups):
        rounding.round(group, matrix, damping)
        if refit is not None and rounding.free.any():
            rounding.values, matrix = refit(rounding.values, rounding.free)
    if not np.isfinite(rounding.values).all():
        raise TrainingError("rounding: a parameter is not finite")
    rounded = [
        RoundedClass(code, _in_turn(rounding.symbols[each.index], each, code))
        for each, code in zip(classes, codes, strict=True)
    ]
    return rounded, rounding.values


class _Rounding:
    """Parameters, of which more and more are rounded."""

    def __init__(
        self, values: NDArray[np.float64], classes: list[ParameterClass], codes: list[int]
    ) -> None:
        self.values = values.copy()
        self.steps = np.zeros(len(values))
        self.symbols = np.zeros(len(values), dtype=np.int64)
        self.free = np.ones(len(values), dtype=np.bool_)
        self._lowest, self._highest = np.full(len(values), -np.inf), np.full(len(values), np.inf)
        for each, code in zip(classes, codes, strict=True):
            self.steps[each.index] = step_of(each, code)
            if each.period is not None and not each.wraps:
                self._lowest[each.index] = -(levels(code) // 2)
                self._highest[each.index] = (levels(code) - 1) // 2

    def round(self, places: NDArray[np.int64], matrix: NDArray[np.float64], damping: float) -> None:
        """Round the parameters at these places in this order, and let the free ones compensate."""
        diagonal = np.diag(matrix)
        damped = matrix + np.diag(damping * (diagonal + 1e-3 * diagonal.mean()) + 1e-30)
        free = np.flatnonzero(self.free)
        rows = {int(place): row for row, place in enumerate(free)}
        # torch keeps to the number of threads that the caller has set; NumPy would use all cores.
        inverse = torch.linalg.inv(torch.from_numpy(damped[np.ix_(free, free)])).numpy()
        values = self.values[free]
        for place in places:
            row, step = rows[int(place)], self.steps[place]
            symbol = np.clip(np.rint(values[row] / step), self._lowest[place], self._highest[place])
            if not abs(symbol) < MAX_SYMBOL:
                raise TrainingError(f"rounding: expected a finite parameter, got {values[row]:g}")
            column = inverse[:, row].copy()
            values += (symbol * step - values[row]) / column[row] * column
            values[row] = symbol * step
            self.symbols[place] = int(symbol)
            inverse -= np.outer(column, column) / column[row]
            # This parameter has its value; the rest must not move it again.
            inverse[row], inverse[:, row] = 0, 0
        self.values[free] = values
        self.free[places] = False


def _in_turn(symbols: NDArray[np.int64], each: ParameterClass, code: int) -> NDArray[np.int64]:
    if each.period is None:
        return symbols
    count = levels(code)
    return (symbols + count // 2) % count - count // 2
