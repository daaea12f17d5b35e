"""State-vector simulation of a :class:`CircuitSpec` in torch: the definition of the maths.

Runs on any device and in float32 or float64, is differentiable, and simulates many frames
(each with its own parameters) in one call. Per pixel and qubit, all embedding gates of a block
and the parametrised rotations around them are one 2x2 unitary; the controlled rotations of a
layer are one diagonal. Conventions are PennyLane's: ``RX(t) = exp(-i t X / 2)``,
``RZ(t) = exp(-i t Z / 2)``, ``CRZ(t) = diag(1, 1, exp(-i t / 2), exp(i t / 2))``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from quinr_lidar.errors import CircuitError
from quinr_lidar.quantum.circuit import CircuitSpec


def probabilities(
    spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor
) -> Tensor:
    """Probabilities of the last ``spec.outputs`` basis states.

    Args:
        spec: The circuit.
        embedding: [F, P, M] angles in radians, one row a pixel, F frames.
        rotations: [F, L, E, 4, n] angles in radians (:attr:`CircuitSpec.rotation_shape`).
        controlled: [F, L, E, pairs] angles in radians (:attr:`CircuitSpec.controlled_shape`).

    Returns:
        [F, P, outputs] in the dtype of ``embedding``.

    Raises:
        CircuitError: a tensor's shape does not fit the specification.
    """
    check_shapes(spec, embedding, rotations, controlled)
    frames, pixels, _ = embedding.shape
    cosine, sine = torch.cos(embedding / 2), torch.sin(embedding / 2)
    before = _rx(rotations[..., 1, :]) @ _rz(rotations[..., 0, :])
    after = _rx(rotations[..., 3, :]) @ _rz(rotations[..., 2, :])
    phases = _layer_phases(spec, controlled)
    state = embedding.new_zeros(frames, pixels, spec.states).to(before.dtype)
    state[..., 0] = 1
    # The rotations after the phases wait here until the next layer's gates absorb them.
    pending = torch.eye(2, dtype=before.dtype, device=before.device).expand(frames, spec.qubits, 2, 2)
    for block in range(spec.blocks):
        embedded = _embedding_gates(spec, block, cosine, sine)
        gates = before[:, block, 0, None] @ embedded @ pending[:, None]
        for layer in range(spec.entangling_layers):
            if layer:
                gates = (before[:, block, layer] @ pending)[:, None]
            state = _apply_gates(state, gates) * phases[:, block, layer, None]
            pending = after[:, block, layer]
    state = _apply_gates(state, pending[:, None])[..., spec.states - spec.outputs :]
    return state.real**2 + state.imag**2


def check_shapes(
    spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor
) -> None:
    """Raise :class:`CircuitError` unless the tensors fit ``spec`` and share frames and dtype."""
    frames = embedding.shape[0] if embedding.ndim else 0
    pixels = embedding.shape[1] if embedding.ndim > 1 else 0
    for name, tensor, shape in (
        ("embedding", embedding, (frames, pixels, spec.features)),
        ("rotations", rotations, (frames, *spec.rotation_shape)),
        ("controlled", controlled, (frames, *spec.controlled_shape)),
    ):
        if tuple(tensor.shape) != shape:
            raise CircuitError(f"{name}: expected shape {list(shape)}, got {list(tensor.shape)}")
        if tensor.dtype != embedding.dtype or not tensor.is_floating_point():
            raise CircuitError(f"{name}: expected {embedding.dtype}, got {tensor.dtype}")


def _rx(angle: Tensor) -> Tensor:
    """[...] angles -> [..., 2, 2] complex."""
    cosine, sine = torch.cos(angle / 2), torch.sin(angle / 2)
    diagonal = torch.complex(cosine, torch.zeros_like(cosine))
    other = torch.complex(torch.zeros_like(sine), -sine)
    return torch.stack((diagonal, other, other, diagonal), -1).unflatten(-1, (2, 2))


def _rz(angle: Tensor) -> Tensor:
    """[...] angles -> [..., 2, 2] complex."""
    cosine, sine = torch.cos(angle / 2), torch.sin(angle / 2)
    zero = torch.complex(torch.zeros_like(sine), torch.zeros_like(sine))
    up, down = torch.complex(cosine, -sine), torch.complex(cosine, sine)
    return torch.stack((up, zero, zero, down), -1).unflatten(-1, (2, 2))


def _layer_phases(spec: CircuitSpec, controlled: Tensor) -> Tensor:
    """[F, L, E, pairs] -> [F, L, E, 2^n] complex: all CRZ of a layer are one diagonal."""
    signs = controlled.new_zeros(len(spec.pair_list), spec.states)
    for index, (control, target) in enumerate(spec.pair_list):
        for state in range(spec.states):
            if state >> (spec.qubits - 1 - control) & 1:
                signs[index, state] = 0.5 if state >> (spec.qubits - 1 - target) & 1 else -0.5
    phase = controlled @ signs
    return torch.complex(torch.cos(phase), torch.sin(phase))


def _embedding_gates(spec: CircuitSpec, block: int, cosine: Tensor, sine: Tensor) -> Tensor:
    """Product of a block's folds: [F, P, n, 2, 2] complex.

    A product of RX and RZ is ``[[a, -conj(b)], [b, conj(a)]]``, so two complex numbers a qubit
    are enough; the identity stands in for qubits that the last fold leaves without a feature.
    """
    order = spec.feature_order[block]
    frames, pixels, _ = cosine.shape
    a = b = None
    for fold in range(spec.folds):
        index = list(order[fold * spec.qubits : (fold + 1) * spec.qubits])
        missing = spec.qubits - len(index)
        c, s = cosine[..., index], sine[..., index]
        if missing:
            c = torch.cat((c, c.new_ones(frames, pixels, missing)), -1)
            s = torch.cat((s, s.new_zeros(frames, pixels, missing)), -1)
        if a is None or b is None:
            a, b = torch.complex(c, torch.zeros_like(c)), torch.complex(torch.zeros_like(s), -s)
        elif spec.gate(fold) == "RX":
            turn = torch.complex(torch.zeros_like(s), -s)
            a, b = c * a + turn * b, turn * a + c * b
        else:
            phase = torch.complex(c, -s)
            a, b = phase * a, phase.conj() * b
    assert a is not None and b is not None  # spec.features >= 1
    return torch.stack((a, -b.conj(), b, a.conj()), -1).unflatten(-1, (2, 2))


def _apply_gates(state: Tensor, gates: Tensor) -> Tensor:
    """Apply one 2x2 gate per qubit: state [F, P, 2^n], gates [F, P or 1, n, 2, 2]."""
    frames, pixels, states = state.shape
    for qubit in range(gates.shape[2]):
        low, high = state.view(frames, pixels, 1 << qubit, 2, -1).unbind(3)
        gate = gates[:, :, qubit, :, :, None, None]
        state = torch.stack(
            (
                gate[:, :, 0, 0] * low + gate[:, :, 0, 1] * high,
                gate[:, :, 1, 0] * low + gate[:, :, 1, 1] * high,
            ),
            3,
        ).view(frames, pixels, states)
    return state
