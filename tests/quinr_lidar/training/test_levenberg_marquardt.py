from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import flatten, unflatten
from quinr_lidar.training import FitSettings, fit
from quinr_lidar.training.levenberg_marquardt import (
    FIRST_DAMPING,
    FIRST_SAMPLES,
    LAST_SAMPLES,
    LEAST_DAMPING,
    LevenbergMarquardt,
)

FIELD = QuinrField(2, 3, 1, frequencies=(2.0, 2.0))
COORDINATES = pixel_coordinates(8, 16)


def smooth(frames: int = 1) -> torch.Tensor:
    x, y = COORDINATES.unbind(1)
    image = 0.5 + 0.3 * torch.sin(2 * x + y)
    return torch.stack([image * (1 - 0.2 * frame) for frame in range(frames)])[..., None]


def loop(targets: torch.Tensor, seed: int = 0, **changes) -> LevenbergMarquardt:
    start = FIELD.initial_parameters(len(targets), torch.Generator().manual_seed(seed))
    return LevenbergMarquardt(FIELD, start | changes, COORDINATES, targets, seed=seed)


def test_it_finds_what_scipy_finds():
    targets = smooth()
    errors = loop(targets).run([0.0] * 150)
    start = FIELD.initial_parameters(1, torch.Generator().manual_seed(0))

    def residuals(flat):
        values = FIELD.evaluate(
            unflatten(FIELD, torch.from_numpy(flat)[None]), COORDINATES.double()[None]
        )
        return (values[0, :, 0] - targets[0, :, 0].double()).numpy()

    reference = least_squares(residuals, flatten(FIELD, start)[0].double().numpy(), method="lm")
    assert errors[-1] < 1e-2 * errors[0]
    assert errors[-1] < 2 * np.square(reference.fun).mean() + 1e-6


def test_errors_of_a_fixed_sample_never_rise():
    trainer = loop(smooth())
    same = torch.arange(len(COORDINATES))
    errors = [trainer._improve(0, COORDINATES[same], smooth()[0]) for _ in range(40)]
    assert all(after <= before for before, after in itertools.pairwise(errors))
    assert trainer._damping[0] < FIRST_DAMPING
    assert trainer._damping[0] >= LEAST_DAMPING


def test_damping_grows_while_nothing_helps():
    trainer = loop(smooth())
    trainer._error = lambda *_: float("inf")
    before = trainer.parameters()
    trainer.run([0.0])
    assert trainer._damping[0] > 100 * FIRST_DAMPING
    for name, tensor in before.items():
        assert torch.equal(trainer.parameters()[name], tensor)


def test_samples_grow(monkeypatch):
    coordinates = pixel_coordinates(200, 200)
    start = FIELD.initial_parameters(1, torch.Generator())
    trainer = LevenbergMarquardt(FIELD, start, coordinates, torch.rand(1, 40_000, 1), seed=0)
    sizes = []
    monkeypatch.setattr(trainer, "_improve", lambda _, c, t: sizes.append(len(c)) or 0.0)
    trainer.run([0.0] * 100)
    assert (sizes[0], sizes[-1]) == (FIRST_SAMPLES, LAST_SAMPLES)
    assert sizes == sorted(sizes)


def test_frames_train_independently():
    targets = smooth(2)
    start = FIELD.initial_parameters(2, torch.Generator().manual_seed(3))
    both = LevenbergMarquardt(FIELD, start, COORDINATES, targets, seed=1)
    both.run([0.0] * 10)
    for frame in range(2):
        own = {name: tensor[frame : frame + 1] for name, tensor in start.items()}
        alone = LevenbergMarquardt(FIELD, own, COORDINATES, targets[frame : frame + 1], seed=1)
        alone.run([0.0] * 10)
        for name, tensor in alone.parameters().items():
            torch.testing.assert_close(both.parameters()[name][frame], tensor[0])


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(TrainingError, match="the loss became nan"):
        loop(smooth(), bias0=torch.full((1, 3), float("nan"))).run([0.0])


def test_fit_uses_it():
    result = fit(FIELD, COORDINATES, smooth(), FitSettings(optimizer="lm", steps=30))
    assert result.optimizer == "lm"
    assert result.losses[-1] < 0.1 * result.losses[0]
