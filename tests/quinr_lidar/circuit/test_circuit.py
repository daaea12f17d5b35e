from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.circuit.statevector import probabilities
from quinr_lidar.errors import CircuitError


def test_shapes():
    spec = CircuitSpec(qubits=5, features=19, blocks=4, entangling_layers=2)
    assert spec.states == 32
    assert spec.folds == 4
    assert spec.rotation_shape == (4, 2, 4, 5)
    assert spec.controlled_shape == (4, 2, 10)


def test_pairs():
    assert CircuitSpec(2, 1, 1).pair_list == ((0, 1),)
    assert CircuitSpec(3, 1, 1).pair_list == ((0, 1), (0, 2), (1, 2))
    assert CircuitSpec(1, 1, 1).pair_list == ()


def test_a_controlled_rotation_the_other_way_round_adds_nothing():
    """Why a pair of qubits has one and not two, as the paper has."""
    half = 0.7 / 2
    there = np.diag(np.exp(1j * half * np.array([0, 0, -1, 1])))  # control a, states 00 01 10 11
    back = np.diag(np.exp(1j * half * np.array([0, -1, 0, 1])))  # control b

    def rz(angle: float) -> np.ndarray:
        return np.diag(np.exp(0.5j * angle * np.array([-1, 1])))

    np.testing.assert_allclose(back, there @ np.kron(rz(half), rz(-half)))


def test_shuffles_are_permutations_and_frozen():
    """The order is part of the file format: this list must never change."""
    spec = CircuitSpec(4, 10, 3, shuffle_seed=1)
    assert spec.feature_order[0] == tuple(range(10))
    assert spec.feature_order[1:] == FROZEN
    assert all(sorted(order) == list(range(10)) for order in spec.feature_order)
    assert CircuitSpec(4, 10, 3, shuffle_seed=2).feature_order[1:] != FROZEN


def test_folds_alternate():
    spec = CircuitSpec(2, 6, 1)
    assert [spec.gate(fold) for fold in range(spec.folds)] == ["RX", "RZ", "RX"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"qubits": 0}, "qubits"),
        ({"qubits": 11}, "qubits"),
        ({"features": 0}, "features"),
        ({"blocks": 256}, "blocks"),
        ({"entangling_layers": 16}, "entangling_layers"),
        ({"outputs": 5}, "outputs"),
        ({"shuffle_seed": -1}, "shuffle_seed"),
        ({"blocks": 1.5}, "blocks"),
    ],
)
def test_impossible_specs_are_refused(changes, reason):
    with pytest.raises(CircuitError, match=reason):
        CircuitSpec(**({"qubits": 2, "features": 3, "blocks": 1} | changes))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_wrong_tensors_are_refused(which):
    spec = CircuitSpec(2, 3, 2)
    good = [
        torch.zeros(1, 5, 3),
        torch.zeros(1, *spec.rotation_shape),
        torch.zeros(1, *spec.controlled_shape),
    ]
    probabilities(spec, *good)
    name = ("embedding", "rotations", "controlled")[which]
    with pytest.raises(CircuitError, match=name):
        probabilities(spec, *(t[..., 1:] if i == which else t for i, t in enumerate(good)))
    if which:
        with pytest.raises(CircuitError, match=f"{name}: expected torch.float32"):
            probabilities(spec, *(t.double() if i == which else t for i, t in enumerate(good)))


FROZEN = (
    (1, 6, 3, 2, 4, 5, 9, 8, 0, 7),
    (7, 3, 8, 6, 9, 5, 0, 1, 2, 4),
)
