"""Classes of a field's parameters that share a step, and what their step bytes mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.fields.field import Field, parameter_count, unflatten
from quinr_lidar.quantization.uniform import STEPS_PER_OCTAVE, step_size

MIN_LEVEL_CODE, MAX_LEVEL_CODE = STEPS_PER_OCTAVE, 16 * STEPS_PER_OCTAVE
"""Codes of 2 and of 65,536 levels a turn."""


@dataclass(frozen=True, eq=False)
class ParameterClass:
    """Parameters that share a step.

    Attributes:
        name: Name of the parameter array.
        index: Positions of the values among a frame's parameters, int64.
        period: Period of angles in radians; ``None`` for other parameters.
        wraps: See :meth:`~quinr_lidar.fields.field.Field.wraps`.
    """

    name: str
    index: NDArray[np.int64]
    period: float | None
    wraps: bool


@dataclass(frozen=True, eq=False)
class RoundedClass:
    """A class on its grid.

    Attributes:
        code: The step's byte. It stands for a step of
            :func:`~quinr_lidar.quantization.uniform.step_size`, or for angles for
            ``2^(code / 8)`` levels a turn.
        symbols: Multiples of the step, int64; for angles modulo the levels, in
            ``[-levels // 2, ...)``.
    """

    code: int
    symbols: NDArray[np.int64]


def parameter_classes(field: Field) -> list[ParameterClass]:
    """The classes of a field, in the order files store them.

    Every parameter array is a class, except that weights of coordinates (``weight0``) have one
    class for each coordinate. The field's scalars belong to no class.
    """
    classes = []
    places = unflatten(field, np.arange(parameter_count(field))[None])
    for name, (index,) in places.items():
        if name.startswith(field.scalars):
            continue
        period, wraps = field.periods.get(name), field.wraps(name)
        parts = index.T if name == "weight0" else [index]
        classes += [ParameterClass(name, part.reshape(-1), period, wraps) for part in parts]
    return classes


def levels(code: int) -> int:
    """Number of levels of a full turn that an angle's step byte stands for."""
    return round(2 ** (code / STEPS_PER_OCTAVE))


def step_of(parameters: ParameterClass, code: int) -> float:
    """The step that a class's byte stands for."""
    return step_size(code) if parameters.period is None else parameters.period / levels(code)
