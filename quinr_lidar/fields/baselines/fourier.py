"""Random Fourier features and a small network behind them (Tancik et al. 2020).

``gamma(x) = (cos(2 pi B x), sin(2 pi B x))`` with B drawn once from a normal distribution and
never trained: a file stores the seed and the deviations, not B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.arrays import Array, namespace
from quinr_lidar.circuit.random import split_mix_uniforms
from quinr_lidar.errors import CircuitError
from quinr_lidar.fields.baselines.mlp import (
    MAX_LAYERS,
    MAX_WIDTH,
    default_half_range,
    layer_shapes,
    require,
    run_layers,
    uniform,
)
from quinr_lidar.fields.defaults import FieldDefaults
from quinr_lidar.fields.field import Parameters, parameter_count

if TYPE_CHECKING:
    import torch

Activation = Literal["relu", "tanh"]


@dataclass(frozen=True)
class FourierField(FieldDefaults):
    """Sizes of a network on random Fourier features.

    Attributes:
        features: Number of rows of B; the network sees twice as many inputs.
        width: Number of units of a hidden layer.
        layers: Number of hidden layers.
        activation: Activation behind every hidden layer.
        inputs: Number of coordinates of a sample.
        outputs: Number of values of a sample.
        deviations: Standard deviation of B for each coordinate, cycles per unit.
        seed: Seed that B is drawn from.

    Raises:
        CircuitError: a size is out of range.
    """

    features: int
    width: int
    layers: int = 1
    activation: Activation = "relu"
    inputs: int = 2
    outputs: int = 1
    deviations: tuple[float, ...] = (0.4, 0.7)
    seed: int = 0

    def __post_init__(self) -> None:
        require("features", self.features, 1, MAX_WIDTH)
        require("width", self.width, 1, MAX_WIDTH)
        require("layers", self.layers, 1, MAX_LAYERS)
        require("outputs", self.outputs, 1, 16)
        require("seed", self.seed, 0, 2**32 - 1)
        if self.activation not in ("relu", "tanh"):
            raise CircuitError(f"activation: expected relu or tanh, got {self.activation!r}")
        if len(self.deviations) != self.inputs or not np.isfinite(self.deviations).all():
            raise CircuitError(f"deviations: expected {self.inputs} numbers")

    @cached_property
    def directions(self) -> NDArray[np.float64]:
        """B [features, inputs], cycles per unit, from deviations as files keep them: float16."""
        from statistics import NormalDist  # takes a while to import

        uniforms = split_mix_uniforms(self.seed, self.features * self.inputs)
        quantile = NormalDist().inv_cdf
        normal = np.array([quantile(uniform) for uniform in uniforms.tolist()])
        normal = normal.reshape(self.features, self.inputs)
        return normal * np.asarray(self.deviations, dtype=np.float16).astype(np.float64)

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
        return layer_shapes([2 * self.features, *[self.width] * self.layers, self.outputs], first=1)

    def initial_parameters(self, frames: int, generator: torch.Generator) -> Parameters:
        """Random float32 parameters on the CPU, drawn as PyTorch's linear layers; needs torch."""
        import torch

        parameters: Parameters = {}
        for name, shape in self.shapes.items():
            if name == "output_offset":
                parameters[name] = torch.full((frames, *shape), 0.5)
                continue
            inputs = shape[1] if len(shape) == 2 else self._inputs_of(name)
            # As many again, for the half of all units that ReLU switches off (He et al. 2015).
            gain = math.sqrt(6.0) if name.startswith("weight") else 1.0
            parameters[name] = uniform(
                (frames, *shape), gain * default_half_range(inputs), generator
            )
        return parameters

    def _inputs_of(self, bias: str) -> int:
        return self.shapes[bias.replace("bias", "weight")][1]

    def evaluate(self, parameters: Mapping[str, Array], coordinates: Array) -> Array:
        """Values [F, P, outputs] at coordinates [F or 1, P, inputs]."""
        library = namespace(coordinates)
        directions = library.asarray(
            2 * math.pi * self.directions, dtype=coordinates.dtype, device=coordinates.device
        )
        angles = coordinates @ directions.T
        features = library.concat((library.cos(angles), library.sin(angles)), -1)
        activation = _relu if self.activation == "relu" else library.tanh
        return run_layers(parameters, features, range(1, self.layers + 2), activation)


def _relu(values: Any) -> Any:
    return namespace(values).where(values <= 0, 0, values)
