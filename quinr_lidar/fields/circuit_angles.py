"""A circuit's own angles among a field's parameters.

Stage k has ``rotations{k}`` and ``controlled{k}``; a single qubit has none of the latter, and
files store no empty arrays.
"""

from __future__ import annotations

from collections.abc import Mapping

from quinr_lidar.arrays import Array, namespace
from quinr_lidar.circuit.specification import CircuitSpec


def angle_shapes(circuit: CircuitSpec, stage: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a stage's angles, in the order files store them."""
    shapes: dict[str, tuple[int, ...]] = {f"rotations{stage}": circuit.rotation_shape}
    if circuit.pair_list:
        shapes[f"controlled{stage}"] = circuit.controlled_shape
    return shapes


def stage_angles(
    parameters: Mapping[str, Array], circuit: CircuitSpec, stage: int
) -> tuple[Array, Array]:
    """A stage's rotations [F, L, E, 4, n] and controlled rotations [F, L, E, pairs].

    Without pairs the latter are empty.
    """
    rotations = parameters[f"rotations{stage}"]
    controlled = parameters.get(f"controlled{stage}")
    if controlled is None:
        shape = (len(rotations), *circuit.controlled_shape)
        controlled = namespace(rotations).zeros(
            shape, dtype=rotations.dtype, device=rotations.device
        )
    return rotations, controlled
