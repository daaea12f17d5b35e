"""The same :class:`CircuitSpec` as a PennyLane QNode: proof, drawings, shots, other devices.

PennyLane takes seconds to import, so nothing else in the library imports this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml

from quinr_lidar.circuit.specification import CircuitSpec

Circuit = Callable[[Any, Any, Any], Any]


def build_qnode(
    spec: CircuitSpec,
    device: Any = "default.qubit",
    *,
    shots: int | None = None,
    diff_method: str = "best",
    noise: Any = None,
) -> Circuit:
    """A function that runs the circuit in PennyLane.

    Args:
        spec: The circuit.
        device: A PennyLane device, or the name of one.
        shots: Measurements per evaluation; exact probabilities when ``None``.
        diff_method: How PennyLane differentiates ("backprop", "adjoint", "parameter-shift").
        noise: A ``qml.NoiseModel`` of errors after gates, for a device that simulates them.

    Returns:
        ``circuit(embedding [P, M] or [M], rotations [L, E, 4, n], controlled [L, E, pairs])``
        with the probabilities of the last ``spec.outputs`` basis states, [P, outputs] or
        [outputs]. Arrays may be of any library PennyLane differentiates (torch, autograd, ...).
    """
    if isinstance(device, str):
        device = qml.device(device, wires=spec.qubits)

    @qml.qnode(device, interface="auto", diff_method=diff_method)
    def circuit(embedding: Any, rotations: Any, controlled: Any) -> Any:
        apply_circuit(spec, embedding, rotations, controlled)
        return qml.probs(wires=range(spec.qubits))

    node: Any = qml.set_shots(circuit, shots) if shots else circuit
    if noise is not None:
        node = qml.noise.add_noise(node, noise)

    def probabilities(embedding: Any, rotations: Any, controlled: Any) -> Any:
        return node(embedding, rotations, controlled)[..., spec.states - spec.outputs :]

    return probabilities


def apply_circuit(spec: CircuitSpec, embedding: Any, rotations: Any, controlled: Any) -> None:
    """Queue the circuit's gates; embeddings may be batched along their first axis."""
    for block, order in enumerate(spec.feature_order):
        for position, feature in enumerate(order):
            gate = getattr(qml, spec.gate(position // spec.qubits))
            gate(embedding[..., feature], wires=position % spec.qubits)
        for layer in range(spec.entangling_layers):
            _rotate(spec, rotations[block, layer, 0], rotations[block, layer, 1])
            for pair, wires in enumerate(spec.pair_list):
                qml.CRZ(controlled[block, layer, pair], wires=wires)
            _rotate(spec, rotations[block, layer, 2], rotations[block, layer, 3])


def draw(spec: CircuitSpec, *, decimals: int | None = None, width: int = 100) -> str:
    """The circuit as text, drawn by PennyLane.

    Args:
        spec: The circuit.
        decimals: Show angles (all zero here) with so many digits; ``None`` leaves them out.
        width: Characters a line.
    """

    def circuit() -> Any:
        apply_circuit(
            spec,
            np.zeros(spec.features),
            np.zeros(spec.rotation_shape),
            np.zeros(spec.controlled_shape),
        )
        return qml.probs(wires=range(spec.qubits))

    node = qml.QNode(circuit, qml.device("default.qubit", wires=spec.qubits))
    # Drawn as specified, before any simplification by PennyLane's compiler.
    return str(qml.draw(node, decimals=decimals, max_length=width, level="top")())


def _rotate(spec: CircuitSpec, about_z: Any, about_x: Any) -> None:
    for qubit in range(spec.qubits):
        qml.RZ(about_z[qubit], wires=qubit)
        qml.RX(about_x[qubit], wires=qubit)
