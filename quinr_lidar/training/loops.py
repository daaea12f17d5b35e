"""Training loops that are fed learning rates: AdamW on mini-batches, on axes of one's choice."""

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
    """Training that is fed learning rates."""

    def run(self, rates: list[float]) -> list[float]:
        """One step for each rate; each step's loss. Raises TrainingError if one is not finite."""
        ...

    def parameters(self) -> Parameters:
        """The parameters as they are now: float32 [F, ...]."""
        ...


class AxesLoop(Loop, Protocol):
    """One whose axes can be chosen."""

    def rotate(self, basis: Tensor, turn: Tensor) -> None:
        """Take the steps to come along other axes than the parameters.

        Args:
            basis: [F, S, S] float32, a row for each axis: what a step of size 1 adds.
            turn: [F, S, S] float32, from the axes so far to these.
        """
        ...


@dataclass(frozen=True)
class LoopSettings:
    """What a loop needs beside the field and its data.

    Attributes:
        batch_size: Samples a step.
        weight_decay: AdamW's.
        betas: Adam's decay of the first and of the second moment.
        seed: Of the batches.
    """

    batch_size: int
    weight_decay: float
    betas: tuple[float, float]
    seed: int


class TorchLoop:
    """Through autograd: any field, any device.

    Args:
        field: What to train.
        parameters: Where to start, [F, ...].
        factors: [S], of each parameter's learning rate.
        coordinates: [P, inputs].
        targets: [F, P, outputs] in [0, 1].
        settings: The rest.
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
        """One step for each rate; the batches' mean squared errors over all frames."""
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
        """Adam's direction for a gradient, both along the parameters."""
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
