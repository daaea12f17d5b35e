"""Levenberg-Marquardt on growing samples of the pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Field, Parameters, flatten, unflatten
from quinr_lidar.fields.jacobian import jacobian
from quinr_lidar.training.batches import draw_batch

FIRST_SAMPLES = 4096
LAST_SAMPLES = 16384
GROWTH = 1.02
"""Samples of an iteration: few while any direction will do, more as the steps get finer."""

FIRST_DAMPING = 1.0
LEAST_DAMPING = 1e-2
"""A smaller one would fit the sample, not the image."""

EASE, TIGHTEN = 0.5, 3.0
"""Factors of the damping after a step that helps, and after one that does not."""

ATTEMPTS = 6
"""Steps tried on a sample."""


class LevenbergMarquardt:
    """A :class:`~quinr_lidar.training.loops.Loop`: Marquardt's damping decides a step's length.

    Solves ``(J^T J + damping diag(J^T J)) step = J^T r`` on a sample and takes the step if the
    sample's error falls. Frames are trained one after the other.

    Args:
        field: What to train.
        parameters: Where to start, [F, ...].
        coordinates: [P, inputs].
        targets: [F, P, outputs] in [0, 1].
        seed: Of the samples.
    """

    def __init__(
        self,
        field: Field,
        parameters: Parameters,
        coordinates: Tensor,
        targets: Tensor,
        *,
        seed: int,
    ) -> None:
        self._field, self._seed = field, seed
        self._coordinates, self._targets = coordinates, targets
        self._flat = flatten(field, parameters).detach().to(targets).clone()
        self._damping = [FIRST_DAMPING] * len(targets)
        self._steps = 0

    def run(self, rates: list[float]) -> list[float]:
        """One iteration for each rate, which counts no further; samples' errors before it."""
        return [self._iteration() for _ in rates]

    def parameters(self) -> Parameters:
        """The parameters as they are now: [F, ...]."""
        return unflatten(self._field, self._flat.clone())

    @torch.no_grad()
    def _iteration(self) -> float:
        samples = len(self._coordinates)
        wanted = min(FIRST_SAMPLES * GROWTH**self._steps, LAST_SAMPLES, samples)
        picked = torch.from_numpy(draw_batch(self._seed, self._steps, samples, int(wanted)))
        picked = picked.to(self._targets.device)
        errors = [
            self._improve(frame, self._coordinates[picked], self._targets[frame, picked])
            for frame in range(len(self._targets))
        ]
        self._steps += 1
        return sum(errors) / len(errors)

    def _improve(self, frame: int, coordinates: Tensor, targets: Tensor) -> float:
        """Step on one frame; its mean squared error before."""
        here = self._flat[frame]
        values, derivatives = jacobian(self._field, self._named(here), coordinates)
        residuals = values.clamp(0, 1) - targets.T  # [C, P]
        error = residuals.square().mean().item()
        if not math.isfinite(error):
            raise TrainingError(f"the loss became {error}")
        matrix = (derivatives @ derivatives.transpose(1, 2)).sum(0).double()
        gradient = (derivatives @ residuals[..., None]).sum((0, 2)).double()
        diagonal = matrix.diagonal()
        # Parameters without any effect would make the system singular.
        diagonal = diagonal + 1e-6 * diagonal.max() + 1e-30
        for _ in range(ATTEMPTS):
            damped = matrix + self._damping[frame] * diagonal.diag()
            step = torch.cholesky_solve(gradient[:, None], torch.linalg.cholesky(damped))[:, 0]
            there = here - step.to(here)
            if self._error(there, coordinates, targets) < error:
                self._damping[frame] = max(self._damping[frame] * EASE, LEAST_DAMPING)
                self._flat[frame] = there
                break
            self._damping[frame] *= TIGHTEN
        return error

    def _error(self, flat: Tensor, coordinates: Tensor, targets: Tensor) -> float:
        values = self._field.evaluate(self._named(flat), coordinates[None])[0].clamp(0, 1)
        return (values - targets).square().mean().item()

    def _named(self, flat: Tensor) -> Parameters:
        return unflatten(self._field, flat[None])
