"""Training of those parameters that are not rounded yet, while the others keep their values."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quinr_lidar.fields.field import Field, Parameters, flatten, parameter_count, unflatten
from quinr_lidar.training.fitting import BETAS, adam_loop, rate_factors
from quinr_lidar.training.gauss_newton import image_matrix
from quinr_lidar.training.loops import LoopSettings

STEPS = 300
"""AdamW steps between two groups."""

RATE = 2e-3
"""Peak learning rate: small, because the field is trained already."""

WARMUP = 20
"""Steps in which the rate rises to its peak."""


class Refitter:
    """A :data:`~quinr_lidar.quantization.rounding.Refit` on one image.

    Args:
        field: The field whose parameters are rounded.
        coordinates: Coordinates of the pixels, [P, inputs].
        targets: Values of the pixels, [P, outputs] in [0, 1].
        batch_size: Pixels of a step.
        seed: Seed of the batches.
    """

    def __init__(
        self,
        field: Field,
        coordinates: Tensor,
        targets: Tensor,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self._field, self._coordinates, self._targets = field, coordinates, targets
        self._batch_size, self._seed = batch_size, seed

    def __call__(
        self, values: NDArray[np.float64], free: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Train the free values. They stay as they were where the error does not fall.

        Args:
            values: All parameters, [S].
            free: Which of them may change, [S].

        Returns:
            The new values [S], and the Gauss-Newton matrix [S, S] at these.
        """
        self._seed += 1
        trained = self._train(values, free)
        if self._error(trained) < self._error(values):
            values = trained
        matrix = image_matrix(
            self._field, self._named(values), self._coordinates, self._seed, samples=8192
        )
        return values, matrix

    def _train(self, values: NDArray[np.float64], free: NDArray[np.bool_]) -> NDArray[np.float64]:
        loop = adam_loop(
            self._field,
            self._named(values),
            rate_factors(self._field) * torch.from_numpy(free).float(),
            self._coordinates,
            self._targets[None],
            LoopSettings(self._batch_size, 0.0, BETAS["adamw"], self._seed),
        )
        loop.run([self._rate_of(step) for step in range(STEPS)])
        found = flatten(self._field, loop.parameters())[0].double().cpu().numpy()
        return np.where(free, found, values)

    def _rate_of(self, step: int) -> float:
        rise = min(1.0, (step + 1) / WARMUP)
        return RATE * rise * 0.5 * (1 + math.cos(math.pi * step / STEPS))

    def _error(self, values: NDArray[np.float64]) -> float:
        with torch.no_grad():
            found = self._field.evaluate(self._named(values), self._coordinates[None])[0]
        return (found.clamp(0, 1) - self._targets).square().mean().item()

    def _named(self, values: NDArray[np.float64]) -> Parameters:
        assert len(values) == parameter_count(self._field)  # noqa: S101 (the caller's own)
        return unflatten(self._field, torch.from_numpy(values).to(self._targets)[None])
