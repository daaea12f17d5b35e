from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.jacobian import jacobian
from quinr_lidar.training import FitSettings, fit
from quinr_lidar.training.gauss_newton import (
    MEMORY,
    PERIOD,
    EigenAxes,
    RotatedLoop,
    gauss_newton_matrices,
)

FIELD = QuinrField(3, 6, 2, frequencies=(3.0, 2.0))
COORDINATES = pixel_coordinates(8, 32)


def parameters(frames: int = 1, seed: int = 0):
    return FIELD.initial_parameters(frames, torch.Generator().manual_seed(seed))


def test_matrices_are_those_of_the_jacobian():
    both = gauss_newton_matrices(FIELD, parameters(2), COORDINATES)
    for frame in range(2):
        own = {name: tensor[frame : frame + 1] for name, tensor in parameters(2).items()}
        derivatives = jacobian(FIELD, own, COORDINATES)[1][0].double()
        expected = derivatives @ derivatives.T / len(COORDINATES)
        torch.testing.assert_close(both[frame].double(), expected, rtol=1e-4, atol=1e-6)


def test_axes_diagonalise_the_matrix_and_turns_connect_them():
    axes = EigenAxes(FIELD, COORDINATES, seed=0)
    first, turn = axes.look(parameters(), 0)
    matrix = axes._matrix
    assert matrix is not None
    diagonal = first[0].double() @ matrix[0].double() @ first[0].T.double()
    off = diagonal - diagonal.diagonal().diag()
    assert off.abs().max() < 1e-4 * diagonal.max()
    # Rows are orthonormal once the units are taken out, and at first turn from the parameters.
    orthonormal = turn[0] @ turn[0].T
    torch.testing.assert_close(orthonormal, torch.eye(len(orthonormal)), rtol=0, atol=1e-5)
    torch.testing.assert_close(first, turn * axes._units[:, None])
    second, turn = axes.look(parameters(seed=1), PERIOD)
    torch.testing.assert_close(turn @ first, second, rtol=0, atol=1e-4)
    assert axes._matrix is not None
    assert not torch.equal(axes._matrix, matrix)
    torch.testing.assert_close(
        (axes._matrix - MEMORY * matrix).diagonal(dim1=1, dim2=2).min() >= 0, torch.tensor(True)
    )


def test_steep_tensors_get_small_units():
    axes = EigenAxes(FIELD, COORDINATES, seed=0)
    axes.look(parameters(), 0)
    weights, rotations = axes._units[0, 0], axes._units[0, 19]
    assert weights < 0.3 * rotations, "w0 = 30 makes weights steep"


def test_the_loop_looks_once_a_period():
    class Inner:
        def __init__(self):
            self.log = []

        def rotate(self, basis, turn):
            self.log.append("rotate")

        def run(self, rates):
            self.log.append(rates)
            return rates

        def parameters(self):
            return parameters()

    inner = Inner()
    loop = RotatedLoop(inner, EigenAxes(FIELD, COORDINATES, 0))
    rates = list(map(float, range(2 * PERIOD + 5)))
    assert loop.run(rates[:7]) + loop.run(rates[7:]) == rates
    slices = [rates[:7], rates[7:PERIOD], rates[PERIOD : 2 * PERIOD], rates[2 * PERIOD :]]
    assert inner.log == [
        "rotate", slices[0], slices[1], "rotate", slices[2], "rotate", slices[3]
    ]  # fmt: skip


def test_it_needs_fewer_steps_than_adamw():
    x, y = COORDINATES.unbind(1)
    targets = (0.5 + 0.3 * torch.sin(4 * x + y) * torch.cos(3 * y - x))[None, :, None]

    def loss(optimizer, seed: int) -> float:
        settings = FitSettings(optimizer, 600, 256, learning_rate=2e-2, seed=seed)
        return float(fit(FIELD, COORDINATES, targets, settings).losses[-50:].mean())

    # A training is chaotic: the last bit of a sum decides where a single one ends.
    losses = {name: [loss(name, seed) for seed in range(5)] for name in ("adamw", "gn-adam")}
    assert np.median(losses["gn-adam"]) < 0.7 * np.median(losses["adamw"])


def test_derivatives_that_are_no_numbers_are_an_error():
    bad = parameters()
    bad["bias0"][0, 0] = float("nan")
    with pytest.raises(TrainingError, match="no longer finite"):
        EigenAxes(FIELD, COORDINATES, 0).look(bad, 0)
