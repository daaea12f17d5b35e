"""Linear layers that all baselines share: shapes, evaluation, initial values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from quinr_lidar.arrays import Array
from quinr_lidar.errors import CircuitError

if TYPE_CHECKING:
    import torch

MAX_WIDTH = 1024
MAX_LAYERS = 255


def require(name: str, value: int, low: int, high: int) -> None:
    """Raise CircuitError unless ``value`` is an integer in ``low..high``."""
    if not isinstance(value, int) or not low <= value <= high:
        raise CircuitError(f"{name}: expected an integer in {low}..{high}, got {value!r}")


def layer_shapes(sizes: list[int], first: int = 0) -> dict[str, tuple[int, ...]]:
    """``weight{k}`` [out, in] and ``bias{k}`` [out] of a network with these layer sizes.

    They are counted from ``first``; the last layer's bias is called ``output_offset``.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        shapes[f"weight{first + layer}"] = (outputs, inputs)
        last = layer == len(sizes) - 2
        shapes["output_offset" if last else f"bias{first + layer}"] = (outputs,)
    return shapes


def linear(parameters: Mapping[str, Array], weight: str, bias: str, values: Array) -> Array:
    """``W v + b`` for values [F or 1, P, in]: [F, P, out]."""
    return values @ parameters[weight].mT + parameters[bias][:, None]


def run_layers(
    parameters: Mapping[str, Array],
    values: Array,
    layers: range,
    activation: Callable[[Array], Array],
) -> Array:
    """Linear layers of these numbers, with an activation behind all but the last."""
    *hidden, last = layers
    for layer in hidden:
        values = activation(linear(parameters, f"weight{layer}", f"bias{layer}", values))
    return linear(parameters, f"weight{last}", "output_offset", values)


def uniform(shape: tuple[int, ...], half_range: float, generator: torch.Generator) -> torch.Tensor:
    """Float32 values drawn from [-half_range, half_range); needs torch."""
    import torch

    return (2 * torch.rand(shape, generator=generator) - 1) * half_range


def default_half_range(inputs: int) -> float:
    """Half-range from which PyTorch draws the weights and biases of a linear layer."""
    return 1 / math.sqrt(inputs)
