"""Levenberg-Marquardt on growing samples of the pixels."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.jacobian import jacobian
from quinr_lidar.training.sampled_loop import SampledLoop

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


class LevenbergMarquardt(SampledLoop):
    """Marquardt's damping decides a step's length; arguments as of the base class.

    Solves ``(J^T J + damping diag(J^T J)) step = J^T r`` on a sample and takes the step if the
    sample's error falls.
    """

    @cached_property
    def _damping(self) -> list[float]:
        """Each frame's, as it is now."""
        return [FIRST_DAMPING] * len(self._flat)

    def _sample_size(self, step: int) -> int:
        return int(min(FIRST_SAMPLES * GROWTH**step, LAST_SAMPLES))

    def _improve(self, frame: int, coordinates: Tensor, targets: Tensor) -> float:
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
