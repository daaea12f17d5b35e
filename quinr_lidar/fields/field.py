"""What training, quantisation and the bitstream ask of any neural field."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

Parameters = dict[str, Tensor]
"""Named tensors, each with a leading frame axis: [F, *shape]."""


class Field(Protocol):
    """A function from coordinates to values, described by named tensors.

    A field object holds sizes only; its parameters are passed in, so one object serves many
    frames and training, and nothing is ever half-updated.
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
        """Shape of every parameter tensor of one frame, in the order files store them."""
        ...

    @property
    def scalars(self) -> tuple[str, ...]:
        """Beginnings of the names of the few tensors that files keep as float16."""
        ...

    @property
    def periods(self) -> dict[str, float]:
        """Period in radians of every tensor that holds angles."""
        ...

    def wraps(self, name: str) -> bool:
        """Whether adding its period to a value of a tensor changes nothing.

        Where it does, both ends of the interval of :meth:`canonical` must be kept apart.
        """
        ...

    @property
    def learning_rates(self) -> dict[str, float]:
        """Learning rate factors of tensors that train at another rate than the rest."""
        ...

    def initial_parameters(self, frames: int, generator: torch.Generator) -> Parameters:
        """Random float32 parameters on the CPU."""
        ...

    def canonical(self, parameters: Parameters) -> Parameters:
        """Equivalent parameters with every angle within half its period of zero."""
        ...

    def evaluate(self, parameters: Parameters, coordinates: Tensor) -> Tensor:
        """Values [F, P, C] at coordinates [F or 1, P, d]."""
        ...


def parameter_count(field: Field) -> int:
    """Parameters of one frame."""
    return sum(tensor_sizes(field))


def tensor_sizes(field: Field) -> list[int]:
    """Values of every tensor of one frame, in the order of ``field.shapes``."""
    return [torch.Size(shape).numel() for shape in field.shapes.values()]


def flatten(field: Field, parameters: Parameters) -> Tensor:
    """[F, parameters of a frame], tensors in the order of ``field.shapes``."""
    frames = len(next(iter(parameters.values())))
    return torch.cat([parameters[name].reshape(frames, -1) for name in field.shapes], 1)


def unflatten(field: Field, flat: Tensor) -> Parameters:
    """The tensors that :func:`flatten` put together, as views."""
    parts = flat.split(tensor_sizes(field), 1)
    return {
        name: part.view(len(flat), *shape)
        for (name, shape), part in zip(field.shapes.items(), parts, strict=True)
    }
