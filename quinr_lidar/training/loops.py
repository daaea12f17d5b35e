"""Training loops that get their learning rates from outside: AdamW along chosen axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Field, Parameters, flatten, unflatten
from quinr_lidar.training.batches import draw_batch

EPSILON = 1e-8
"""Adam's, as its authors chose it."""


class Loop(Protocol):
    """A training that gets its learning rates from outside."""

    def run(self, rates: list[float]) -> list[float]:
        """Take one step for each learning rate; returns the losses.

        Raises:
            TrainingError: a loss is not finite.
        """
        ...

    def parameters(self) -> Parameters:
        """The parameters as they are now: float32 [F, ...]."""
        ...


class AxesLoop(Loop, Protocol):
    """A loop whose axes can be chosen."""

    def rotate(self, basis: Tensor, turn: Tensor) -> None:
        """Take further steps along other axes.

        Args:
            basis: The axes, float32 [F, S, S]; each row is what a step of size 1 adds to the
                parameters.
            turn: Rotation from the axes so far to these, float32 [F, S, S].
        """
        ...


@dataclass(frozen=True)
class LoopSettings:
    """Settings of a loop.

    Attributes:
        batch_size: Samples of a step.
        weight_decay: Weight decay of AdamW.
        betas: Decay of Adam's first and second moment.
        seed: Seed of the batches.
    """

    batch_size: int
    weight_decay: float
    betas: tuple[float, float]
    seed: int


class TorchLoop:
    """A loop on torch's autograd, for any field and device.

    Args:
        field: The field to train.
        parameters: Parameters to start from, [F, ...].
        factors: Factor of each parameter's learning rate, [S].
        coordinates: Coordinates of the samples, [P, inputs].
        targets: Values of the samples, [F, P, outputs] in [0, 1].
        settings: Batches and optimiser.
    """

    def __init__(
        self,
        field: Field,
        parameters: Parameters,
        factors: Tensor,
        coordinates: Tensor,
        targets: Tensor,
        settings: LoopSettings,
    ) -> None:
        self._field, self._settings = field, settings
        self._coordinates, self._targets = coordinates, targets
        self._flat = flatten(field, parameters).detach().to(targets).clone().requires_grad_()
        self._factors = factors.to(targets)
        self._first = torch.zeros_like(self._flat)
        self._second = torch.zeros_like(self._flat)
        self._basis: Tensor | None = None
        self._steps = 0

    def run(self, rates: list[float]) -> list[float]:
        """Take one step for each rate; returns the batches' mean squared errors over all frames."""
        return [self._step(rate) for rate in rates]

    def rotate(self, basis: Tensor, turn: Tensor) -> None:
        """See :class:`AxesLoop`."""
        turn = turn.to(self._targets)
        self._first = _apply(turn, self._first)
        self._second = _apply(turn.square(), self._second)
        self._basis = basis.to(self._targets)

    def parameters(self) -> Parameters:
        """The parameters as they are now: float32 [F, ...]."""
        return unflatten(self._field, self._flat.detach().clone())

    def _step(self, rate: float) -> float:
        loss = self._loss()
        (gradient,) = torch.autograd.grad(loss, self._flat)
        direction = self._adam(gradient)
        with torch.no_grad():
            self._flat *= 1 - rate * self._factors * self._settings.weight_decay
            self._flat -= rate * self._factors * direction
        mean = loss.item() / len(self._targets)
        if not math.isfinite(mean):
            raise TrainingError(f"the loss became {mean}")
        return mean

    def _loss(self) -> Tensor:
        batch = torch.from_numpy(
            draw_batch(
                self._settings.seed,
                self._steps,
                len(self._coordinates),
                self._settings.batch_size,
            )
        ).to(self._targets.device)
        parameters = unflatten(self._field, self._flat)
        values = self._field.evaluate(parameters, self._coordinates[batch][None])
        # Summed over frames, so that a frame's gradient does not depend on how many train with it.
        return (clip(values) - self._targets[:, batch]).square().mean((1, 2)).sum()

    def _adam(self, gradient: Tensor) -> Tensor:
        """Adam's direction for a gradient; both are along the parameters."""
        if self._basis is not None:
            gradient = _apply(self._basis, gradient)
        self._steps += 1
        beta1, beta2 = self._settings.betas
        self._first = beta1 * self._first + (1 - beta1) * gradient
        self._second = beta2 * self._second + (1 - beta2) * gradient.square()
        root = (self._second / (1 - beta2**self._steps)).sqrt() + EPSILON
        direction = self._first / (1 - beta1**self._steps) / root
        if self._basis is not None:
            direction = _apply(self._basis.transpose(1, 2), direction)
        return direction


def clip(values: Tensor) -> Tensor:
    """Values as a decoder clips them to [0, 1], with a straight-through gradient."""
    return values + (values.clamp(0, 1) - values).detach()


def _apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    return torch.einsum("fij,fj->fi", matrices, vectors)
