"""Limited-memory BFGS on samples of the pixels that change with every step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.training.loops import clip
from quinr_lidar.training.sampled_loop import SampledLoop

SAMPLES = 8192
ITERATIONS = 20
"""On a sample. A curvature estimated on one misleads on another, so that the memory starts anew
with each."""

MEMORY = 20


class Lbfgs(SampledLoop):
    """A step is 20 iterations of SciPy's L-BFGS-B; arguments as of the base class."""

    def _sample_size(self, step: int) -> int:  # noqa: ARG002 (the base class's)
        return SAMPLES

    def _improve(self, frame: int, coordinates: Tensor, targets: Tensor) -> float:
        def objective(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            flat = torch.from_numpy(values).to(targets).requires_grad_()
            with torch.enable_grad():
                found = self._field.evaluate(self._named(flat), coordinates[None])[0]
                loss = (clip(found) - targets).square().mean()
                (gradient,) = torch.autograd.grad(loss, flat)
            return loss.item(), gradient.double().cpu().numpy()

        start = self._flat[frame].double().cpu().numpy()
        before, _ = objective(start)
        options = {"maxiter": ITERATIONS, "maxcor": MEMORY}
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        if not (np.isfinite(before) and np.isfinite(found.x).all()):
            raise TrainingError(f"the loss became {before}")
        self._flat[frame] = torch.from_numpy(found.x).to(self._flat)
        return before
