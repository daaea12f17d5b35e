"""Floating-point operations of the kernel, counted from its algorithm.

Additions and multiplications each count as one; gathering, reductions over lanes and whatever a
frame computes once do not count. Follows ``quinr_lidar/native/circuit.hpp`` and ``tile.hpp``
line by line, and has to follow them when they change.
"""

from __future__ import annotations

from quinr_lidar.circuit import CircuitSpec

SINE_COSINE = 31
"""Range reduction and both polynomials in float32, with the halving of the angle."""

COMPLEX_PRODUCT = 6
ROTATE_PAIR = 28
"""Two amplitudes times a gate: four sums of four products."""

TURN = 12
"""A gate times a rotation about one axis."""


def training_flops(spec: CircuitSpec) -> int:
    """Operations of one pixel from embedded angles to the gradients of all angles."""
    return (
        _state(spec)
        + _read_out(spec, spec.outputs + _neighbours(spec))
        + 3 * spec.outputs
        + _seed(spec)
        + _backward(spec)
    )


def _gate_layers(spec: CircuitSpec) -> int:
    return spec.blocks * spec.entangling_layers


def _state(spec: CircuitSpec) -> int:
    n = spec.qubits
    uploads = sum(6 if position < n else TURN for position in range(spec.features))
    gates = _gate_layers(spec) * n * 2 * TURN + spec.blocks * uploads
    product = sum(2**qubit * 2 * COMPLEX_PRODUCT for qubit in range(1, n))
    layers = (_gate_layers(spec) - 1) * _layer(spec)
    return spec.features * SINE_COSINE + gates + product + layers


def _layer(spec: CircuitSpec) -> int:
    """All gates on a state, and a diagonal."""
    return spec.states * COMPLEX_PRODUCT + spec.qubits * spec.states // 2 * ROTATE_PAIR


def _read_out(spec: CircuitSpec, rows: int) -> int:
    return rows * spec.states * (COMPLEX_PRODUCT + 2)


def _neighbours(spec: CircuitSpec) -> int:
    """Basis states one flipped qubit away from an output, and no outputs themselves."""
    outputs = range(spec.states - spec.outputs, spec.states)
    near = {output ^ (1 << qubit) for output in outputs for qubit in range(spec.qubits)}
    return len(near - set(outputs))


def _seed(spec: CircuitSpec) -> int:
    """The gradient of the outputs by the last state, and that of the last rotations."""
    each = 2 + spec.states * (COMPLEX_PRODUCT + 2) + spec.qubits * 5
    return spec.outputs * each - spec.states * 2


def _backward(spec: CircuitSpec) -> int:
    n, states = spec.qubits, spec.states
    doubled_angles = 5 * spec.features
    phases = 4 * states
    transverse = n * states // 2 * 16
    axial = 3 * (states - 1)
    through_gates = n * (2 + 2 * 6 + 3)
    layers = _gate_layers(spec) * (phases + transverse + axial + through_gates)
    uploads = spec.blocks * spec.features * (1 + 6)
    return doubled_angles + layers + uploads + (_gate_layers(spec) - 1) * _layer(spec)
