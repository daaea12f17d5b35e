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
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter tensor of one frame, in the order files store them."""
        ...

    @property
    def periods(self) -> dict[str, float]:
        """Period in radians of every tensor that holds angles."""
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
    return sum(torch.Size(shape).numel() for shape in field.shapes.values())


def flatten(field: Field, parameters: Parameters) -> Tensor:
    """[F, parameters of a frame], tensors in the order of ``field.shapes``."""
    frames = len(next(iter(parameters.values())))
    return torch.cat([parameters[name].reshape(frames, -1) for name in field.shapes], 1)


def unflatten(field: Field, flat: Tensor) -> Parameters:
    """The tensors that :func:`flatten` put together, as views."""
    sizes = [torch.Size(shape).numel() for shape in field.shapes.values()]
    parts = flat.split(sizes, 1)
    return {
        name: part.view(len(flat), *shape)
        for (name, shape), part in zip(field.shapes.items(), parts, strict=True)
    }
