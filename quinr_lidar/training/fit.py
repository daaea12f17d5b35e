"""Training a field on the pixels of one or more frames (AdamW, mini-batches of pixels)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Field, Parameters

StopReason = Literal["steps", "plateau"]


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast to train.

    Attributes:
        steps: Optimiser steps at most.
        batch_size: Pixels a step, drawn with replacement.
        learning_rate: Peak rate: a linear warm-up leads to it, a cosine to zero follows.
        warmup: Share of the steps spent warming up.
        weight_decay: AdamW's.
        patience: Steps without progress after which training cools down and stops.
        plateau: Relative fall of the loss (mean of ``patience`` steps) that counts as progress.
        cooldown: Share of ``steps`` over which the rate falls to zero after a plateau.
        seed: Seed of the initial parameters and of the batches.
    """

    steps: int = 1500
    batch_size: int = 1024
    learning_rate: float = 2.5e-2
    warmup: float = 0.1
    weight_decay: float = 0.0
    patience: int = 300
    plateau: float = 2e-3
    cooldown: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class FitProgress:
    """Passed to the progress callback after every step; ``loss`` is the batch's MSE."""

    step: int
    steps: int
    loss: float


@dataclass(frozen=True, eq=False)
class FitResult:
    """What training produced.

    Attributes:
        parameters: Trained float32 tensors [F, ...].
        losses: Mean squared error of every step's batch over all frames: float32 [steps].
        steps: Optimiser steps taken.
        seconds: Wall-clock time.
        stop_reason: "steps" when all were taken, "plateau" when progress ended earlier.
    """

    parameters: Parameters
    losses: NDArray[np.float32]
    steps: int
    seconds: float
    stop_reason: StopReason


def fit(
    field: Field,
    coordinates: Tensor,
    targets: Tensor,
    settings: FitSettings | None = None,
    *,
    start: Parameters | None = None,
    progress: Callable[[FitProgress], None] | None = None,
) -> FitResult:
    """Minimise the mean squared error of a field.

    Values are clipped to [0, 1] as a decoder clips them, with a straight-through gradient.
    The same seed, inputs and number of threads give the same result.

    Args:
        field: What to train.
        coordinates: [P, inputs], the samples' coordinates.
        targets: [F, P, outputs] in [0, 1]; every frame trains its own parameters.
        settings: Defaults to :class:`FitSettings`.
        start: Warm start, for instance from the previous frame's parameters.
        progress: Called after every step; an exception it raises ends the training.

    Returns:
        The trained parameters and the course of the training.

    Raises:
        TrainingError: shapes do not fit, targets are not finite, or the loss became so.
    """
    settings = settings or FitSettings()
    _check_inputs(field, coordinates, targets, start)
    began = time.perf_counter()
    initial = field.initial_parameters(len(targets), torch.Generator().manual_seed(settings.seed))
    # Batches have a generator of their own: they are the same for any number of frames.
    batches = torch.Generator().manual_seed(settings.seed + 1)
    parameters = {
        name: (start[name] if start else tensor).detach().to(targets).clone().requires_grad_()
        for name, tensor in initial.items()
    }
    optimizer = _optimizer(field, parameters, settings)
    losses: list[float] = []
    cooling: tuple[int, int] | None = None  # first and last step of the cool-down
    while len(losses) < (cooling[1] if cooling else settings.steps):
        step = len(losses)
        _set_rate(optimizer, _rate(step, settings, cooling))
        batch = torch.randint(len(coordinates), (settings.batch_size,), generator=batches)
        batch = batch.to(targets.device)
        loss = _step(field, parameters, optimizer, coordinates[batch], targets[:, batch])
        if not math.isfinite(loss):
            raise TrainingError(f"the loss became {loss} at step {step + 1}")
        losses.append(loss)
        if progress:
            progress(FitProgress(step + 1, settings.steps, loss))
        if cooling is None and _on_plateau(losses, settings):
            length = max(1, round(settings.cooldown * settings.steps))
            cooling = (step + 1, min(step + 1 + length, settings.steps))
    return FitResult(
        parameters={name: tensor.detach() for name, tensor in parameters.items()},
        losses=np.asarray(losses, dtype=np.float32),
        steps=len(losses),
        seconds=time.perf_counter() - began,
        stop_reason="plateau" if len(losses) < settings.steps else "steps",
    )


def _check_inputs(
    field: Field, coordinates: Tensor, targets: Tensor, start: Parameters | None
) -> None:
    samples = len(coordinates)
    if samples == 0 or tuple(coordinates.shape) != (samples, field.inputs):
        raise TrainingError(
            f"coordinates: expected [samples >= 1, {field.inputs}], got {list(coordinates.shape)}"
        )
    if targets.ndim != 3 or tuple(targets.shape[1:]) != (samples, field.outputs):
        raise TrainingError(
            f"targets: expected [frames, {samples}, {field.outputs}], got {list(targets.shape)}"
        )
    if not torch.isfinite(targets).all():
        raise TrainingError("targets: expected finite values")
    for name, shape in field.shapes.items() if start else ():
        expected = (len(targets), *shape)
        if start is None or name not in start or tuple(start[name].shape) != expected:
            found = list(start[name].shape) if start and name in start else "none"
            raise TrainingError(f"start: expected {name} {list(expected)}, got {found}")


def _optimizer(field: Field, parameters: Parameters, settings: FitSettings) -> torch.optim.AdamW:
    factors = field.learning_rates
    groups = [
        {"params": [tensor], "factor": factors.get(name, 1.0)}
        for name, tensor in parameters.items()
    ]
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, foreach=True
    )


def _set_rate(optimizer: torch.optim.AdamW, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def _rate(step: int, settings: FitSettings, cooling: tuple[int, int] | None) -> float:
    """Linear warm-up, cosine to zero; after a plateau a straight line to zero."""
    if cooling:
        first, last = cooling
        return _rate(first - 1, settings, None) * (last - step) / (last - first + 1)
    warmup = settings.warmup * settings.steps
    if step < warmup:
        return settings.learning_rate * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1.0, settings.steps - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _step(
    field: Field,
    parameters: Parameters,
    optimizer: torch.optim.AdamW,
    coordinates: Tensor,
    targets: Tensor,
) -> float:
    optimizer.zero_grad()
    values = field.evaluate(parameters, coordinates[None])
    clipped = values + (values.clamp(0, 1) - values).detach()
    # Summed over frames, so that a frame's gradient does not depend on how many train beside it.
    loss = (clipped - targets).square().mean((1, 2)).sum()
    loss.backward()
    optimizer.step()
    return loss.item() / len(targets)


def _on_plateau(losses: list[float], settings: FitSettings) -> bool:
    window = settings.patience
    if len(losses) < 2 * window or len(losses) % max(1, window // 10):
        return False
    before, now = losses[-2 * window : -window], losses[-window:]
    return sum(now) > (1 - settings.plateau) * sum(before)
