"""Layers that the classical fields share: linear maps, their shapes and initial values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from quinr_lidar.errors import CircuitError
from quinr_lidar.fields.field import Parameters

MAX_WIDTH = 1024
MAX_LAYERS = 255


def require(name: str, value: int, low: int, high: int) -> None:
    """Raise CircuitError unless ``value`` is an integer of the range."""
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


def linear(parameters: Parameters, weight: str, bias: str, values: Tensor) -> Tensor:
    """``W v + b`` for values [F or 1, P, in]: [F, P, out]."""
    return values @ parameters[weight].transpose(1, 2) + parameters[bias][:, None]


def uniform(shape: tuple[int, ...], max_error: float, generator: torch.Generator) -> Tensor:
    """Float32 values in [-bound, bound)."""
    return (2 * torch.rand(shape, generator=generator) - 1) * max_error


def run_layers(
    parameters: Parameters,
    values: Tensor,
    layers: range,
    activation: Callable[[Tensor], Tensor],
) -> Tensor:
    """Linear maps of these numbers with an activation behind all but the last."""
    *hidden, last = layers
    for layer in hidden:
        values = activation(linear(parameters, f"weight{layer}", f"bias{layer}", values))
    return linear(parameters, f"weight{last}", "output_offset", values)


def default_max_error(inputs: int) -> float:
    """Bound of a linear layer's weights and biases as PyTorch draws them."""
    return 1 / math.sqrt(inputs)
