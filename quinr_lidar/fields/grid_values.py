"""The values of a decoded field on a grid of pixels; NumPy and the compiled kernel only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import BackendError
from quinr_lidar.fields.coordinates import pixel_centres
from quinr_lidar.fields.field import Field, ParameterArrays
from quinr_lidar.fields.quinr import QuinrField, Simulator

MAX_WORK = 1 << 32
"""Pixels x :attr:`Field.cost` of a file: about a minute of simulation."""

_CHUNK_VALUES = 1 << 21


@dataclass(frozen=True)
class Window:
    """A part of a grid: rows ``top:bottom`` and columns ``left:right``, in its pixels.

    Raises:
        ValueError: it is empty or begins before the grid.
    """

    top: int
    bottom: int
    left: int
    right: int

    def __post_init__(self) -> None:
        if not (0 <= self.top < self.bottom and 0 <= self.left < self.right):
            raise ValueError(
                "window: expected 0 <= top < bottom and 0 <= left < right, got "
                f"{self.top}, {self.bottom}, {self.left}, {self.right}"
            )

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def evaluate_grid(
    field: Field,
    parameters: ParameterArrays,
    height: int,
    width: int,
    window: Window | None = None,
    simulate: Simulator | None = None,
) -> NDArray[np.float64]:
    """A field's values clipped to [0, 1] at the pixel centres of a grid: float64 [H, W, C].

    In float64 whatever the parameters' dtype: what two machines compute then differs by about
    1e-13, far below what float32 ranges resolve. In chunks, so that memory stays within some
    100 MB whatever the image.

    Args:
        field: A field of two inputs.
        parameters: Parameters of one frame, [1, ...].
        height: Rows of the whole grid.
        width: Columns of the whole grid.
        window: The part that is wanted; all of it by default.
        simulate: Runs a quINR's circuits instead of the backend.

    Raises:
        ValueError: the window reaches beyond the grid.
        BackendError: the simulator cannot do it, or the field has no circuit to simulate.
    """
    window = window or Window(0, height, 0, width)
    if window.bottom > height or window.right > width:
        raise ValueError(
            f"window: expected rows up to {height} and columns up to {width}, "
            f"got {window.bottom} and {window.right}"
        )
    inside = pixel_centres(height, width)[window.slices]
    values = _evaluate(field, parameters, inside.reshape(-1, 2), simulate)
    return values.reshape(*inside.shape[:2], field.outputs)


def _evaluate(
    field: Field,
    parameters: ParameterArrays,
    coordinates: NDArray[np.float64],
    simulate: Simulator | None,
) -> NDArray[np.float64]:
    """Clipped values [P, C] at coordinates [P, 2]."""
    evaluate = field.evaluate
    if simulate is not None:
        if not isinstance(field, QuinrField):
            raise BackendError(f"a {type(field).__name__} has no circuit to simulate")
        evaluate = partial(field.evaluate, simulate=simulate)
    doubles = {name: values.astype(np.float64) for name, values in parameters.items()}
    widest = max(max(shape) for shape in field.shapes.values())
    chunk = max(1, _CHUNK_VALUES // max(widest, _states(field)))
    found = np.empty((len(coordinates), field.outputs))
    # A hostile file can make values overflow; such pixels count as invalid.
    with np.errstate(all="ignore"):
        for start in range(0, len(coordinates), chunk):
            part = slice(start, start + chunk)
            found[part] = evaluate(doubles, coordinates[part][None])[0].clip(0, 1)
    return np.nan_to_num(found, nan=1.0, copy=False)


def excess_work(field: Field, height: int, width: int) -> str | None:
    """Why evaluating a field on a grid would take too much work, or ``None``."""
    work = height * width * field.cost
    return f"takes {work:.3g} operations, at most {MAX_WORK:.3g}" if work > MAX_WORK else None


def _states(field: Field) -> int:
    return 1 << getattr(field, "qubits", 0)
