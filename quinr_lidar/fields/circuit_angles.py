"""A circuit's own angles among a field's tensors.

Stage k has ``rotations{k}`` and ``controlled{k}``; a single qubit has none of the latter, and
files store no empty tensors.
"""

from __future__ import annotations

from torch import Tensor

from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.fields.field import Parameters


def angle_shapes(circuit: CircuitSpec, stage: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a stage's tensors, in the order files store them."""
    shapes: dict[str, tuple[int, ...]] = {f"rotations{stage}": circuit.rotation_shape}
    if circuit.pair_list:
        shapes[f"controlled{stage}"] = circuit.controlled_shape
    return shapes


def stage_angles(parameters: Parameters, circuit: CircuitSpec, stage: int) -> tuple[Tensor, Tensor]:
    """A stage's rotations [F, L, E, 4, n] and controlled rotations [F, L, E, pairs].

    Without pairs the latter are empty.
    """
    rotations = parameters[f"rotations{stage}"]
    controlled = parameters.get(f"controlled{stage}")
    if controlled is None:
        controlled = rotations.new_zeros(len(rotations), *circuit.controlled_shape)
    return rotations, controlled
