"""State-vector simulation of a :class:`CircuitSpec` in torch: the definition of the maths.

Runs on any device and in float32 or float64, is differentiable, and simulates many frames
(each with its own parameters) in one call. Conventions are PennyLane's:
``RX(t) = exp(-i t X / 2)``, ``RZ(t) = exp(-i t Z / 2)``,
``CRZ(t) = diag(1, 1, exp(-i t / 2), exp(i t / 2))``.

Two facts keep it short and fast. Rotations lie in SU(2), so a gate is two complex numbers
``U = [[a, -conj(b)], [b, conj(a)]]`` and all rotations of one qubit between two diagonals are
one gate. The CRZ gates of a layer commute and are one diagonal of 2^n phases. Pixels come last
in memory, because they are what everything is vectorised over.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from quinr_lidar.circuit.specification import CircuitSpec, check_arrays


class Su2(NamedTuple):
    """Gates ``[[a, -conj(b)], [b, conj(a)]]``: two complex tensors of one shape."""

    a: Tensor
    b: Tensor

    def __matmul__(self, other: Su2) -> Su2:
        return Su2(
            self.a * other.a - self.b.conj() * other.b,
            self.b * other.a + self.a.conj() * other.b,
        )

    def select(self, *index: int) -> Su2:
        """The gates at ``[:, *index]``, with a pixel axis added: [F, ..., 1]."""
        where = (slice(None), *index)
        return Su2(self.a[where][..., None], self.b[where][..., None])


def probabilities(
    spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor
) -> Tensor:
    """Probabilities of the last ``spec.outputs`` basis states (paper section 3.2).

    Args:
        spec: The circuit.
        embedding: [F, P, M] angles in radians, one row a pixel, F frames.
        rotations: [F, L, E, 4, n] angles in radians (:attr:`CircuitSpec.rotation_shape`).
        controlled: [F, L, E, pairs] angles in radians (:attr:`CircuitSpec.controlled_shape`).

    Returns:
        [F, P, outputs] in the dtype of ``embedding``.

    Raises:
        CircuitError: a tensor's shape or dtype does not fit the specification.
    """
    check_arrays(spec, embedding, rotations, controlled)
    half = embedding.transpose(1, 2).contiguous() / 2
    cosine, sine = torch.cos(half), torch.sin(half)
    before = _rx(rotations[..., 1, :]) @ _rz(rotations[..., 0, :])
    after = _rx(rotations[..., 3, :]) @ _rz(rotations[..., 2, :])
    phases = _layer_phases(spec, controlled)
    state: Tensor | None = None
    # The rotations behind a diagonal wait here until the gates of the next layer absorb them.
    pending: Su2 | None = None
    for block in range(spec.blocks):
        gates = before.select(block, 0) @ _embedding_gates(spec, block, cosine, sine)
        for layer in range(spec.entangling_layers):
            if layer:
                gates = before.select(block, layer)
            if pending is not None:
                gates = gates @ pending
            state = _product_state(gates) if state is None else _apply_gates(state, gates)
            state = state * phases[:, block, layer, :, None]
            pending = after.select(block, layer)
    assert state is not None  # spec.blocks >= 1
    assert pending is not None
    state = _apply_gates(state, pending)[:, spec.states - spec.outputs :]
    return (state.real**2 + state.imag**2).transpose(1, 2)


def _rx(angle: Tensor) -> Su2:
    cosine, sine = torch.cos(angle / 2), torch.sin(angle / 2)
    zero = torch.zeros_like(sine)
    return Su2(torch.complex(cosine, zero), torch.complex(zero, -sine))


def _rz(angle: Tensor) -> Su2:
    cosine, sine = torch.cos(angle / 2), torch.sin(angle / 2)
    zero = torch.zeros_like(sine)
    return Su2(torch.complex(cosine, -sine), torch.complex(zero, zero))


def _layer_phases(spec: CircuitSpec, controlled: Tensor) -> Tensor:
    """[F, L, E, pairs] angles -> [F, L, E, 2^n] unit complex numbers."""
    index = torch.arange(spec.states, device=controlled.device)
    bits = [(index >> (spec.qubits - 1 - qubit)) & 1 for qubit in range(spec.qubits)]
    signs = [bits[control] * (bits[target] - 0.5) for control, target in spec.pair_list]
    if not signs:  # one qubit has no pairs
        phase = controlled.new_zeros(*controlled.shape[:-1], spec.states)
    else:
        phase = controlled @ torch.stack(signs).to(controlled.dtype)
    return torch.complex(torch.cos(phase), torch.sin(phase))


def _embedding_gates(spec: CircuitSpec, block: int, cosine: Tensor, sine: Tensor) -> Su2:
    """Product of a block's folds from cos and sin of half angles [F, M, P]: gates [F, n, P].

    In the last fold some qubits may have no feature; a rotation by zero stands in for it.
    """
    order = spec.feature_order[block]
    gates: Su2 | None = None
    for fold in range(spec.folds):
        index = list(order[fold * spec.qubits : (fold + 1) * spec.qubits])
        c, s = cosine[:, index], sine[:, index]
        missing = spec.qubits - len(index)
        if missing:
            padding = (*c.shape[:1], missing, *c.shape[2:])
            c = torch.cat((c, c.new_ones(padding)), 1)
            s = torch.cat((s, s.new_zeros(padding)), 1)
        if gates is None:
            zero = torch.zeros_like(s)
            gates = Su2(torch.complex(c, zero), torch.complex(zero, -s))
        elif spec.gate(fold) == "RX":
            turn = torch.complex(torch.zeros_like(s), -s)
            gates = Su2(c * gates.a + turn * gates.b, turn * gates.a + c * gates.b)
        else:
            phase = torch.complex(c, -s)
            gates = Su2(phase * gates.a, phase.conj() * gates.b)
    assert gates is not None  # spec.features >= 1
    return gates


def _product_state(gates: Su2) -> Tensor:
    """The gates [F, n, P] applied to |0...0>: the state [F, 2^n, P]."""
    columns = torch.stack((gates.a, gates.b), 2)
    state = columns[:, 0]
    for qubit in range(1, columns.shape[1]):
        state = (state[:, :, None] * columns[:, None, qubit]).flatten(1, 2)
    return state


def _apply_gates(state: Tensor, gates: Su2) -> Tensor:
    """One gate per qubit, [F, n, P or 1], applied to the state [F, 2^n, P]."""
    frames, states, pixels = state.shape
    for qubit in range(gates.a.shape[1]):
        low, high = state.view(frames, 1 << qubit, 2, -1, pixels).unbind(2)
        a, b = gates.a[:, None, None, qubit], gates.b[:, None, None, qubit]
        state = torch.stack((a * low - b.conj() * high, b * low + a.conj() * high), 2)
        state = state.view(frames, states, pixels)
    return state
