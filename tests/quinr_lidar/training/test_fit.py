from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.training import FitSettings, fit
from quinr_lidar.training.fitting import STRIDE, choose_optimizer, learning_rate_at

FIELD = QuinrField(qubits=3, features=6, blocks=2, frequencies=(3.0, 2.0))
COORDINATES = pixel_coordinates(8, 32)


def smooth_targets(frames: int = 1) -> torch.Tensor:
    x, y = COORDINATES.unbind(1)
    frame = 0.5 + 0.3 * torch.sin(2 * x + y)
    return torch.stack([frame * (1 - 0.2 * index) for index in range(frames)])[..., None]


def mse(parameters, targets) -> float:
    return (FIELD.evaluate(parameters, COORDINATES[None]) - targets).square().mean().item()


def test_it_learns_a_smooth_image():
    targets = smooth_targets()
    result = fit(FIELD, COORDINATES, targets, FitSettings(steps=400, batch_size=256))
    assert mse(result.parameters, targets) < 0.1 * targets.var().item()
    assert result.losses.dtype == np.float32
    assert len(result.losses) == result.steps
    assert result.seconds > 0


def test_a_seed_makes_it_repeatable():
    settings = FitSettings(steps=20, batch_size=64, seed=3)
    first, second = (fit(FIELD, COORDINATES, smooth_targets(), settings) for _ in range(2))
    np.testing.assert_array_equal(first.losses, second.losses)
    for name, tensor in first.parameters.items():
        assert torch.equal(tensor, second.parameters[name])
    other = fit(FIELD, COORDINATES, smooth_targets(), FitSettings(steps=20, batch_size=64, seed=4))
    assert not np.array_equal(first.losses, other.losses)


def test_warm_start_begins_where_the_other_frame_ended():
    targets = smooth_targets()
    cold = fit(FIELD, COORDINATES, targets, FitSettings(steps=200, batch_size=256))
    warm = fit(
        FIELD, COORDINATES, targets, FitSettings(steps=1, batch_size=256), start=cold.parameters
    )
    assert warm.losses[0] < 0.1 * cold.losses[0]
    assert cold.parameters["bias0"].requires_grad is False


@pytest.mark.parametrize("optimizer", ["adamw", "gn-adam"])
def test_frames_train_independently(optimizer):
    targets = smooth_targets(2)
    settings = FitSettings(optimizer=optimizer, steps=15, batch_size=64)
    start = FIELD.initial_parameters(2, torch.Generator().manual_seed(5))
    both = fit(FIELD, COORDINATES, targets, settings, start=start)
    for frame in range(2):
        alone = fit(
            FIELD,
            COORDINATES,
            targets[frame : frame + 1],
            settings,
            start={name: tensor[frame : frame + 1] for name, tensor in start.items()},
        )
        for name, tensor in alone.parameters.items():
            torch.testing.assert_close(both.parameters[name][frame], tensor[0])


def test_a_plateau_cools_down_and_stops():
    targets = smooth_targets()
    constant = torch.full_like(targets, 0.5)
    settings = FitSettings(steps=2000, batch_size=64, patience=20, plateau=0.5, cooldown=0.02)
    result = fit(FIELD, COORDINATES, constant, settings)
    assert result.stop_reason == "plateau"
    assert 40 <= result.steps < 2000
    assert fit(FIELD, COORDINATES, targets, FitSettings(steps=5)).stop_reason == "steps"


def test_progress_comes_at_every_stride_and_may_stop_the_training():
    seen = []
    settings = FitSettings(steps=2 * STRIDE + 3, patience=1000)
    fit(FIELD, COORDINATES, smooth_targets(), settings, progress=seen.append)
    assert [p.step for p in seen] == [STRIDE, 2 * STRIDE, 2 * STRIDE + 3]
    assert all(p.steps == settings.steps for p in seen)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(FIELD, COORDINATES, smooth_targets(), progress=stop)


def test_schedule_warms_up_peaks_and_ends_at_zero():
    settings = FitSettings(steps=100, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate_at(step, settings, None) for step in range(100)]
    assert rates[0] < 0.1
    assert np.argmax(rates) == 10
    assert rates[-1] < 0.001
    cooled = [learning_rate_at(step, settings, (50, 59)) for step in range(50, 60)]
    assert cooled[0] <= rates[49]
    assert all(a > b for a, b in itertools.pairwise(cooled))


@pytest.mark.parametrize(
    ("coordinates", "targets", "reason"),
    [
        (COORDINATES[:, :1], smooth_targets(), "coordinates"),
        (COORDINATES[:0], smooth_targets()[:, :0], "coordinates"),
        (COORDINATES, smooth_targets()[:, :5], "targets"),
        (COORDINATES, smooth_targets() * float("nan"), "finite"),
    ],
)
def test_wrong_inputs_are_refused(coordinates, targets, reason):
    with pytest.raises(TrainingError, match=reason):
        fit(FIELD, coordinates, targets)


def test_wrong_start_is_refused():
    other = QuinrField(3, 7, 2).initial_parameters(1, torch.Generator())
    with pytest.raises(
        TrainingError, match=r"start: expected weight0 \[1, 6, 2\], got \[1, 7, 2\]"
    ):
        fit(FIELD, COORDINATES, smooth_targets(), start=other)


def test_divergence_is_an_error():
    targets = smooth_targets()
    start = FIELD.initial_parameters(1, torch.Generator())
    start["output_scale"] = torch.full((1, 1), float("inf"))
    for optimizer, reason in (("adamw", "loss became"), ("gn-adam", "no longer finite")):
        settings = FitSettings(optimizer=optimizer, steps=5)
        with pytest.raises(TrainingError, match=reason):
            fit(FIELD, COORDINATES, targets, settings, start=start)


def test_a_field_too_large_for_second_order_steps_trains_with_adamw():
    large = QuinrField(qubits=6, features=48, blocks=62, frequencies=(3.0, 2.0))
    for wanted in ("adamw", "gn-adam"):
        assert choose_optimizer(FIELD, wanted) == wanted
        assert choose_optimizer(large, wanted) == "adamw"
    result = fit(large, COORDINATES, smooth_targets(), FitSettings(steps=2, batch_size=8))
    assert result.optimizer == "adamw"
