"""How coarsely a field's parameters are rounded: as told, or to fit a number of bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import Field, Parameters
from quinr_lidar.fields.field import flatten, unflatten
from quinr_lidar.layers.preview import pack_rounded_preview
from quinr_lidar.quantization.rounding import (
    DAMPINGS,
    ParameterClass,
    Refit,
    RoundedClass,
    choose_codes,
    parameter_classes,
    round_parameters,
    step_of,
)

FINEST, COARSEST = 1e-3, 64.0
"""Beyond these nothing is gained, or nothing is left."""

REFIT_DAMPING = 1e-2

_TRIES = 100


@dataclass(frozen=True, eq=False)
class RoundedField:
    """Parameters on their grids.

    Attributes:
        field: What they belong to.
        values: [S] after rounding.
        classes: On their grids.
        coarseness: See :func:`~quinr_lidar.quantization.rounding.choose_codes`.
    """

    field: Field
    values: NDArray[np.float64]
    classes: list[RoundedClass]
    coarseness: float

    def parameters(self) -> Parameters:
        """As a decoder sees them but for the scalars' last bits: float32 tensors [1, ...]."""
        return unflatten(self.field, torch.from_numpy(self.values).float()[None])

    def payload(self, threshold: float | None) -> bytes:
        """The preview section, see :func:`~quinr_lidar.layers.preview.pack_rounded_preview`."""
        return pack_rounded_preview(self.field, self.values, self.classes, threshold)


class Rounder:
    """Rounds one trained frame at any coarseness.

    Args:
        field: The field's sizes.
        parameters: Trained tensors [1, ...].
        matrix: Gauss-Newton matrix of a pixel at these parameters, [S, S].
        error: Mean squared error before rounding.
        masked: Whether the section has a threshold.
        refit: Trains what is not rounded yet; see
            :func:`~quinr_lidar.quantization.rounding.round_parameters`.
        groups: Into which rounding falls where there is a refit.
    """

    def __init__(
        self,
        field: Field,
        parameters: Parameters,
        matrix: NDArray[np.float64],
        error: float,
        *,
        masked: bool = True,
        refit: Refit | None = None,
        groups: int = 1,
    ) -> None:
        self._refit, self._groups = refit, groups
        self._threshold = 0.0 if masked else None  # any will do: it is always as long
        self._field, self._matrix, self._error = field, matrix, error
        canonical = field.canonical({name: tensor.double() for name, tensor in parameters.items()})
        self._values = flatten(field, canonical)[0].cpu().numpy()
        self._classes = parameter_classes(field)

    def candidates(self, coarseness: float, budget: int | None) -> list[RoundedField]:
        """With every damping: at a given coarseness, or of at most ``budget`` bytes.

        Raises:
            TrainingError: none can be written.
        """
        found, reason = [], None
        start = coarseness if budget is None else self._coarseness_for(budget)
        # Refits take seconds, and leave little for damping to choose.
        for damping in DAMPINGS if self._refit is None else (REFIT_DAMPING,):
            try:
                if budget is None:
                    rounded = self.round(start, damping)
                    rounded.payload(self._threshold)
                else:
                    rounded = self._fitting(budget, start, damping)
                found.append(rounded)
            except TrainingError as error:
                reason = error
        if reason is not None and not found:
            raise reason
        return found

    def round(self, coarseness: float, damping: float = DAMPINGS[0]) -> RoundedField:
        """At a given coarseness, compensated with a given damping.

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
        return RoundedField(self._field, values, rounded, coarseness)

    def round_to_fit(self, budget: int, damping: float = DAMPINGS[0]) -> RoundedField:
        """As finely as a section of at most ``budget`` bytes allows.

        Raises:
            TrainingError: even the coarsest grids take more.
        """
        return self._fitting(budget, self._coarseness_for(budget), damping)

    def _coarseness_for(self, budget: int) -> float:
        """The least that fits if parameters are rounded each on its own, or the coarsest."""
        low, high = math.log(FINEST), math.log(COARSEST)
        for _ in range(24):
            middle = (low + high) / 2
            if self._estimate(math.exp(middle)) > budget:
                low = middle
            else:
                high = middle
        return math.exp(high)

    def _fitting(self, budget: int, start: float, damping: float) -> RoundedField:
        smallest = self._estimate(COARSEST)
        coarseness = start
        # Compensation moves parameters, and so what their symbols cost.
        for _ in range(_TRIES if smallest <= budget else 0):
            rounded = self.round(coarseness, damping)
            excess = len(rounded.payload(self._threshold)) - budget
            if excess <= 0:
                return rounded
            coarseness *= 1.01 * 2 ** (4 * excess / len(self._values))
        missing = max(1, smallest - budget)
        raise TrainingError(
            f"target_bytes: {len(self._values)} parameters take {missing:.0f} bytes more at their "
            "coarsest; choose a smaller field"
        )

    def _estimate(self, coarseness: float) -> float:
        """Bytes of the section if parameters were rounded each on its own."""
        codes = choose_codes(self._classes, self._matrix, self._error, coarseness)
        plain = [self._plain(each, code) for each, code in zip(self._classes, codes, strict=True)]
        try:
            return len(pack_rounded_preview(self._field, self._values, plain, self._threshold))
        except TrainingError:  # steps too fine to be written
            return math.inf

    def _plain(self, each: ParameterClass, code: int) -> RoundedClass:
        if each.period is not None:  # the size depends on the number of levels alone
            return RoundedClass(code, np.zeros(len(each.index), dtype=np.int64))
        symbols = np.rint(self._values[each.index] / step_of(each, code)).astype(np.int64)
        return RoundedClass(code, symbols)
