"""Limited-memory BFGS on samples of the pixels that change with every step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Field, Parameters, flatten, unflatten
from quinr_lidar.training.batches import draw_batch

SAMPLES = 8192
ITERATIONS = 20
"""On a sample. A curvature estimated on one misleads on another, so that the memory starts anew
with each."""

MEMORY = 20


class Lbfgs:
    """A :class:`~quinr_lidar.training.loops.Loop`: a step is 20 iterations of SciPy's L-BFGS-B.

    Frames are trained one after the other.

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
        self._steps = 0

    def run(self, rates: list[float]) -> list[float]:
        """One step for each rate, which counts no further; samples' errors before it."""
        return [self._step() for _ in rates]

    def parameters(self) -> Parameters:
        """The parameters as they are now: [F, ...]."""
        return unflatten(self._field, self._flat.clone())

    def _step(self) -> float:
        samples = len(self._coordinates)
        indices = draw_batch(self._seed, self._steps, samples, min(SAMPLES, samples))
        picked = torch.from_numpy(indices).to(self._targets.device)
        self._steps += 1
        errors = [self._improve(frame, picked) for frame in range(len(self._flat))]
        return sum(errors) / len(errors)

    def _improve(self, frame: int, picked: Tensor) -> float:
        """Step on one frame; its mean squared error before."""
        coordinates = self._coordinates[picked][None]
        targets = self._targets[frame : frame + 1, picked]

        def objective(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            flat = torch.from_numpy(values).to(self._targets)[None].requires_grad_()
            with torch.enable_grad():
                found = self._field.evaluate(unflatten(self._field, flat), coordinates)
                # Clipped as a decoder clips, with a straight-through gradient.
                clipped = found + (found.clamp(0, 1) - found).detach()
                loss = (clipped - targets).square().mean()
                (gradient,) = torch.autograd.grad(loss, flat)
            return loss.item(), gradient[0].double().cpu().numpy()

        start = self._flat[frame].double().cpu().numpy()
        before, _ = objective(start)
        options = {"maxiter": ITERATIONS, "maxcor": MEMORY}
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        if not (np.isfinite(before) and np.isfinite(found.x).all()):
            raise TrainingError(f"the loss became {before}")
        self._flat[frame] = torch.from_numpy(found.x).to(self._flat)
        return before
