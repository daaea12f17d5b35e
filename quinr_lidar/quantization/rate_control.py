"""How coarsely the parameters of a field are rounded: as told, or to fit a number of bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import Field, Parameters
from quinr_lidar.fields.field import flatten
from quinr_lidar.quantization.classes import (
    ParameterClass,
    RoundedClass,
    parameter_classes,
    step_of,
)
from quinr_lidar.quantization.rounding import DAMPINGS, Refit, choose_codes, round_parameters

FINEST, COARSEST = 1e-3, 1e6
"""Finer steps gain nothing, coarser ones leave nothing of any field: the better a field fits, the
smaller the error that coarseness is relative to."""

REFIT_DAMPING = 1e-2

_TRIES = 100

Pack = Callable[[NDArray[np.float64], list[RoundedClass]], bytes]
"""Values [S] and the classes on their grids -> the bytes that are counted."""


@dataclass(frozen=True, eq=False)
class RoundedField:
    """Parameters on their grids.

    Attributes:
        values: All parameters after rounding, float64 [S].
        classes: The classes on their grids.
    """

    values: NDArray[np.float64]
    classes: list[RoundedClass]


class Rounder:
    """Rounds one trained frame at any coarseness.

    Args:
        field: The field's sizes.
        parameters: Trained tensors [1, ...].
        matrix: Gauss-Newton matrix of a pixel at these parameters, [S, S].
        error: Mean squared error before rounding.
        pack: Writes what is rounded, so that its bytes can be counted; raises TrainingError for
            what cannot be written.
        refit: Trains what is not rounded yet; see
            :func:`~quinr_lidar.quantization.rounding.round_parameters`.
        groups: Number of groups that are rounded one after the other, with a refit in between.
    """

    def __init__(
        self,
        field: Field,
        parameters: Parameters,
        matrix: NDArray[np.float64],
        error: float,
        *,
        pack: Pack,
        refit: Refit | None = None,
        groups: int = 1,
    ) -> None:
        self._matrix, self._error, self._pack = matrix, error, pack
        self._refit, self._groups = refit, groups
        canonical = field.canonical({name: tensor.double() for name, tensor in parameters.items()})
        self._values = flatten(field, canonical)[0].cpu().numpy()
        self._classes = parameter_classes(field)

    def candidates(self, coarseness: float, budget: int | None) -> list[RoundedField]:
        """Round with every damping.

        Args:
            coarseness: Size of the steps; does not count with a budget.
            budget: Bytes at most, reached as closely as possible.

        Raises:
            TrainingError: none of the results can be written, or none fits.
        """
        found, reason = [], None
        start = coarseness if budget is None else self._coarseness_for(budget)
        # Refits take seconds, and leave little for damping to choose.
        for damping in DAMPINGS if self._refit is None else (REFIT_DAMPING,):
            try:
                if budget is None:
                    rounded = self.round(start, damping)
                    self._size(rounded)
                else:
                    rounded = self._fitting(budget, start, damping)
                found.append(rounded)
            except TrainingError as error:
                reason = error
        if reason is not None and not found:
            raise reason
        return found

    def round(self, coarseness: float, damping: float) -> RoundedField:
        """Round with given steps; what rounding errors do is made up for with a given damping.

        Raises:
            TrainingError: a parameter is not finite.
        """
        codes = choose_codes(self._classes, self._matrix, self._error, coarseness)
        rounded, values = round_parameters(
            self._values,
            self._classes,
            codes,
            self._matrix,
            damping,
            refit=self._refit,
            groups=self._groups,
        )
        return RoundedField(values, rounded)

    def _size(self, rounded: RoundedField) -> int:
        return len(self._pack(rounded.values, rounded.classes))

    def _coarseness_for(self, budget: int) -> float:
        """The finest that fits if each parameter is rounded on its own, or else the coarsest."""
        low, high = math.log(FINEST), math.log(COARSEST)
        for _ in range(28):
            middle = (low + high) / 2
            if self._estimate(math.exp(middle)) > budget:
                low = middle
            else:
                high = middle
        return math.exp(high)

    def _fitting(self, budget: int, start: float, damping: float) -> RoundedField:
        smallest = self._estimate(COARSEST)
        coarseness = start
        # Compensation moves parameters, and with them the bytes that their symbols take.
        for _ in range(_TRIES if smallest <= budget else 0):
            rounded = self.round(coarseness, damping)
            excess = self._size(rounded) - budget
            if excess <= 0:
                return rounded
            coarseness *= 1.01 * 2 ** (4 * excess / len(self._values))
        missing = max(1, smallest - budget)
        raise TrainingError(
            f"target_bytes: {len(self._values)} parameters take {missing:.0f} bytes more at their "
            "coarsest; choose a smaller field"
        )

    def _estimate(self, coarseness: float) -> float:
        """Number of bytes if each parameter were rounded on its own."""
        codes = choose_codes(self._classes, self._matrix, self._error, coarseness)
        plain = [self._plain(each, code) for each, code in zip(self._classes, codes, strict=True)]
        try:
            return len(self._pack(self._values, plain))
        except TrainingError:  # steps too fine to be written
            return math.inf

    def _plain(self, each: ParameterClass, code: int) -> RoundedClass:
        if each.period is not None:  # the size depends on the number of levels alone
            return RoundedClass(code, np.zeros(len(each.index), dtype=np.int64))
        symbols = np.rint(self._values[each.index] / step_of(each, code)).astype(np.int64)
        return RoundedClass(code, symbols)
