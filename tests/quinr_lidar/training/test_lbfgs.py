from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import flatten, unflatten
from quinr_lidar.training import FitSettings, fit
from quinr_lidar.training.lbfgs import ITERATIONS, Lbfgs

FIELD = QuinrField(2, 4, 2)
COORDINATES = pixel_coordinates(8, 24, torch.float64)
TARGETS = (0.5 + 0.3 * torch.sin(2 * COORDINATES.sum(1)))[None, :, None]


def loop(frames: int = 1) -> Lbfgs:
    start = FIELD.initial_parameters(frames, torch.Generator().manual_seed(3))
    targets = TARGETS.expand(frames, -1, -1)
    return Lbfgs(FIELD, start, COORDINATES, targets, seed=0)


def test_it_ends_about_where_scipys_does():
    ours = loop()
    start = flatten(FIELD, ours.parameters())[0].numpy()
    losses = ours.run([0.0] * 6)

    def objective(flat):
        flat = torch.from_numpy(flat)[None].requires_grad_()
        values = FIELD.evaluate(unflatten(FIELD, flat), COORDINATES[None])
        loss = (values - TARGETS).square().mean()
        loss.backward()
        assert flat.grad is not None
        return loss.item(), flat.grad[0].numpy()

    theirs = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 5 * ITERATIONS}
    )
    assert losses[-1] < 0.2 * losses[0]
    assert losses[-1] < 3 * theirs.fun + 1e-4


def test_frames_are_trained_apart():
    both = loop(2)
    both.run([0.0] * 2)
    single = Lbfgs(
        FIELD,
        {
            name: tensor[:1]
            for name, tensor in FIELD.initial_parameters(
                2, torch.Generator().manual_seed(3)
            ).items()
        },
        COORDINATES,
        TARGETS,
        seed=0,
    )
    single.run([0.0] * 2)
    np.testing.assert_allclose(
        flatten(FIELD, both.parameters())[0], flatten(FIELD, single.parameters())[0], atol=1e-9
    )


def test_it_is_an_optimizer_of_fit():
    result = fit(FIELD, COORDINATES.float(), TARGETS.float(), FitSettings("lbfgs", steps=6))
    assert result.optimizer == "lbfgs"
    assert result.losses[-1] < 0.5 * result.losses[0]


def test_divergence_is_an_error():
    broken = loop()
    broken._flat[0, 0] = float("nan")
    with pytest.raises(TrainingError):
        broken.run([0.0])
