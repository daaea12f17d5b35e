"""What training, quantisation and files ask of any neural field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.arrays import Array, namespace

if TYPE_CHECKING:
    import torch

Parameters = dict[str, "torch.Tensor"]
"""Parameters in training: named tensors, each with a leading frame axis, [F, *shape]."""

ParameterArrays = dict[str, NDArray[np.floating]]
"""Parameters outside a training: named NumPy arrays, each with a leading frame axis."""


class Field(Protocol):
    """A function from coordinates to values, described by named parameters.

    A field object holds sizes only; its parameters are passed in, so one object serves many
    frames and training, and nothing is ever half-updated. What it computes, it computes from
    NumPy arrays as from tensors of torch; only training needs torch.
    """

    @property
    def inputs(self) -> int:
        """Coordinates of a sample, d."""
        ...

    @property
    def outputs(self) -> int:
        """Values of a sample, C."""
        ...

    @property
    def cost(self) -> int:
        """Multiplications a sample, in order of magnitude."""
        ...

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter array of one frame, in the order files store them."""
        ...

    @property
    def scalars(self) -> tuple[str, ...]:
        """Beginnings of the names of the few parameters that files keep as float16."""
        ...

    @property
    def periods(self) -> dict[str, float]:
        """Period in radians of all parameters that are angles."""
        ...

    def wraps(self, name: str) -> bool:
        """Whether adding its period to one of these angles changes nothing.

        Where it does, both ends of the interval of :meth:`canonical` must be kept apart.
        """
        ...

    @property
    def learning_rates(self) -> dict[str, float]:
        """Learning rate factors of parameters that train at another rate than the rest."""
        ...

    def initial_parameters(self, frames: int, generator: torch.Generator) -> Parameters:
        """Random float32 parameters on the CPU, to start a training from; needs torch."""
        ...

    def canonical(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Equivalent parameters with every angle within half its period of zero."""
        ...

    def evaluate(self, parameters: Mapping[str, Array], coordinates: Array) -> Array:
        """Values [F, P, C] at coordinates [F or 1, P, d]; differentiable for tensors of torch."""
        ...


def parameter_count(field: Field) -> int:
    """Number of parameters of one frame."""
    return sum(tensor_sizes(field))


def tensor_sizes(field: Field) -> list[int]:
    """Number of values of each parameter array of one frame, in the order of ``field.shapes``."""
    return [math.prod(shape) for shape in field.shapes.values()]


def flatten(field: Field, parameters: Mapping[str, Array]) -> Array:
    """[F, parameters of a frame], in the order of ``field.shapes``."""
    first = next(iter(parameters.values()))
    parts = [parameters[name].reshape(len(first), -1) for name in field.shapes]
    return namespace(first).concat(parts, 1)


def unflatten(field: Field, flat: Array) -> dict[str, Array]:
    """The arrays that :func:`flatten` put together, as views."""
    named: dict[str, Array] = {}
    start = 0
    for name, shape in field.shapes.items():
        stop = start + math.prod(shape)
        named[name] = flat[:, start:stop].reshape(len(flat), *shape)
        start = stop
    return named
