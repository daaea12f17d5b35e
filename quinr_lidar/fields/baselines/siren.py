"""SIREN, the field of COIN (Dupont et al. 2021): ``sin(w0 (W x + b))`` layers, a linear last one.

Sitzmann et al. 2020 draw the first layer's weights from ``U(+-1 / inputs)``, which is ``+-w0 / 2``
radians a unit; `frequencies` sets that half-range for each coordinate instead, as for quINR.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from quinr_lidar.arrays import Array, namespace
from quinr_lidar.errors import CircuitError
from quinr_lidar.fields.baselines.mlp import (
    MAX_LAYERS,
    MAX_WIDTH,
    layer_shapes,
    require,
    run_layers,
    uniform,
)
from quinr_lidar.fields.defaults import FieldDefaults
from quinr_lidar.fields.field import Parameters, parameter_count

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SirenField(FieldDefaults):
    """Sizes of a SIREN.

    Attributes:
        width: Number of units of a hidden layer.
        layers: Number of hidden layers.
        inputs: Number of coordinates of a sample.
        outputs: Number of values of a sample.
        w0: Factor inside every sine.
        frequencies: Initial half-range of ``w0 W`` of the first layer for each coordinate,
            radians per unit. Only :meth:`initial_parameters` uses it.

    Raises:
        CircuitError: a size is out of range.
    """

    width: int
    layers: int
    inputs: int = 2
    outputs: int = 1
    w0: float = 30.0
    frequencies: tuple[float, ...] = (3.5, 6.0)

    def __post_init__(self) -> None:
        require("width", self.width, 1, MAX_WIDTH)
        require("layers", self.layers, 1, MAX_LAYERS)
        require("outputs", self.outputs, 1, 16)
        if len(self.frequencies) != self.inputs:
            raise CircuitError(f"frequencies: expected {self.inputs}, got {len(self.frequencies)}")
        if not (math.isfinite(self.w0) and self.w0 > 0):
            raise CircuitError(f"w0: expected a positive number, got {self.w0}")

    @property
    def cost(self) -> int:
        """Multiplications for each sample."""
        return parameter_count(self)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter array of one frame, in the order files store them."""
        return self._shapes

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return layer_shapes([self.inputs, *[self.width] * self.layers, self.outputs])

    @property
    def periods(self) -> dict[str, float]:
        """Hidden biases act modulo ``2 pi / w0``."""
        return {f"bias{layer}": 2 * math.pi / self.w0 for layer in range(self.layers)}

    def initial_parameters(self, frames: int, generator: torch.Generator) -> Parameters:
        """Random float32 parameters on the CPU (Sitzmann et al. 2020, section 3.2); needs torch."""
        import torch

        hidden = math.sqrt(6 / self.width) / self.w0
        parameters: Parameters = {}
        for name, shape in self.shapes.items():
            if name == "weight0":
                half_ranges = torch.tensor(self.frequencies) / self.w0
                parameters[name] = uniform((frames, *shape), 1.0, generator) * half_ranges
            elif name.startswith("bias"):
                parameters[name] = uniform((frames, *shape), math.pi / self.w0, generator)
            elif name == "output_offset":
                parameters[name] = torch.full((frames, *shape), 0.5)
            else:
                parameters[name] = uniform((frames, *shape), hidden, generator)
        return parameters

    def evaluate(self, parameters: Mapping[str, Array], coordinates: Array) -> Array:
        """Values [F, P, outputs] at coordinates [F or 1, P, inputs]."""
        sin = namespace(coordinates).sin
        return run_layers(
            parameters,
            coordinates,
            range(self.layers + 1),
            lambda values: sin(self.w0 * values),
        )
