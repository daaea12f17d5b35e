"""Training a field on the pixels of one or more frames: steps, schedule, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quinr_lidar.circuit import choose_backend
from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import QuinrField, fused, native_quinr
from quinr_lidar.fields.field import Field, Parameters, parameter_count, tensor_sizes
from quinr_lidar.training.gauss_newton import EigenAxes, RotatedLoop
from quinr_lidar.training.loops import AxesLoop, Loop, LoopSettings, TorchLoop
from quinr_lidar.training.settings import FitProgress, FitSettings, Optimizer

StopReason = Literal["steps", "plateau"]

SECOND_ORDER_LIMIT = 2500
"""Number of parameters up to which second-order steps gain more than they cost."""

BETAS = {"adamw": (0.9, 0.999), "gn-adam": (0.9, 0.99)}
"""Decay of Adam's two moments, by optimiser."""

STRIDE = 25
"""Steps between two looks at progress: often enough for Ctrl-C, rarely enough to cost nothing."""


@dataclass(frozen=True, eq=False)
class FitResult:
    """What training produced.

    Attributes:
        parameters: Trained float32 tensors [F, ...].
        losses: Mean squared error of every step's batch over all frames: float32 [steps].
        steps: Optimiser steps taken.
        seconds: Wall-clock time.
        stop_reason: "steps" when all were taken, "plateau" when progress ended earlier.
        backend: Description of what ran the circuit.
        optimizer: The optimiser that was used, see :attr:`FitSettings.optimizer`.
    """

    parameters: Parameters
    losses: NDArray[np.float32]
    steps: int
    seconds: float
    stop_reason: StopReason
    backend: str
    optimizer: Optimizer


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
    The same seed and inputs give the same result on one machine with a fixed number of threads
    (the kernel does not depend on it, the linear algebra of second-order steps does).

    Args:
        field: The field to train.
        coordinates: Coordinates of the samples, [P, inputs].
        targets: Values of the samples, [F, P, outputs] in [0, 1]; every frame trains its own
            parameters.
        settings: Defaults to :class:`FitSettings`.
        start: Warm start, for instance from the previous frame's parameters.
        progress: Called every :data:`STRIDE` steps; an exception it raises ends the training.

    Returns:
        The trained parameters and the course of the training.

    Raises:
        TrainingError: shapes do not fit, targets are not finite, or the loss became so.
    """
    settings = settings or FitSettings()
    _check_inputs(field, coordinates, targets, start)
    began = time.perf_counter()
    if start is None:
        generator = torch.Generator().manual_seed(settings.seed)
        start = field.initial_parameters(len(targets), generator)
    optimizer = choose_optimizer(field, settings.optimizer)
    loop = _make_loop(optimizer, field, start, coordinates, targets, settings)
    losses: list[float] = []
    cooling: tuple[int, int] | None = None  # first and last step of the cool-down
    end = settings.steps
    while len(losses) < end:
        done = len(losses)
        stop = min(end, done - done % STRIDE + STRIDE)
        losses += loop.run(
            [learning_rate_at(step, settings, cooling) for step in range(done, stop)]
        )
        if progress:
            progress(FitProgress(len(losses), settings.steps, losses[-1]))
        if cooling is None and _on_plateau(losses, settings):
            length = max(1, round(settings.cooldown * settings.steps))
            end = min(len(losses) + length, settings.steps)
            cooling = (len(losses), end)
    return FitResult(
        parameters=loop.parameters(),
        losses=np.asarray(losses, dtype=np.float32),
        steps=len(losses),
        seconds=time.perf_counter() - began,
        stop_reason="plateau" if len(losses) < settings.steps else "steps",
        backend=str(choose_backend(targets.device, targets.dtype)),
        optimizer=optimizer,
    )


def choose_optimizer(field: Field, wanted: Optimizer) -> Optimizer:
    """The wanted optimiser, or AdamW where the field is too large for it."""
    if wanted == "gn-adam" and parameter_count(field) > SECOND_ORDER_LIMIT:
        return "adamw"
    return wanted


def _make_loop(
    optimizer: Optimizer,
    field: Field,
    start: Parameters,
    coordinates: Tensor,
    targets: Tensor,
    settings: FitSettings,
) -> Loop:
    rotated = optimizer == "gn-adam"
    # Rotated axes have lengths of their own.
    factors = torch.ones(parameter_count(field)) if rotated else rate_factors(field)
    loop = adam_loop(
        field,
        start,
        factors,
        coordinates,
        targets,
        LoopSettings(settings.batch_size, settings.weight_decay, BETAS[optimizer], settings.seed),
    )
    return RotatedLoop(loop, EigenAxes(field, coordinates, settings.seed)) if rotated else loop


def rate_factors(field: Field) -> Tensor:
    """Each parameter's factor of the learning rate, [S]."""
    parts = [
        torch.full((size,), field.learning_rates.get(name, 1.0))
        for name, size in zip(field.shapes, tensor_sizes(field), strict=True)
    ]
    return torch.cat(parts)


def adam_loop(
    field: Field,
    start: Parameters,
    factors: Tensor,
    coordinates: Tensor,
    targets: Tensor,
    settings: LoopSettings,
) -> AxesLoop:
    """The kernel's loop where the kernel can train the field, else torch's."""
    if (
        isinstance(field, QuinrField)
        and targets.dtype == torch.float32
        and fused.is_supported(field, targets.device, targets.dtype)
    ):
        return native_quinr.NativeTrainer(
            field, start, factors, coordinates, targets, **asdict(settings)
        )
    return TorchLoop(field, start, factors, coordinates, targets, settings)


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


def learning_rate_at(step: int, settings: FitSettings, cooling: tuple[int, int] | None) -> float:
    """The learning rate of one step: linear warm-up, cosine to zero.

    Args:
        step: Number of the step, from 0.
        settings: The training's.
        cooling: First and last step of a straight line to zero, which follows a plateau.
    """
    if cooling:
        first, last = cooling
        return learning_rate_at(first - 1, settings, None) * (last - step) / (last - first + 1)
    warmup = settings.warmup * settings.steps
    if step < warmup:
        return settings.learning_rate * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1.0, settings.steps - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _on_plateau(losses: list[float], settings: FitSettings) -> bool:
    window = settings.patience
    if len(losses) < 2 * window:
        return False
    before, now = losses[-2 * window : -window], losses[-window:]
    return sum(now) > (1 - settings.plateau) * sum(before)
