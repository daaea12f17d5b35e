"""Axes for Adam: eigenvectors of the Gauss-Newton matrix.

Parameters of a field act on the same pixels and so are far from independent. Adam scales every
parameter on its own; along the eigenvectors of ``J^T J / P`` scaling each axis on its own is what
a Newton step would do, and Adam's second moment also copes with what the matrix does not know.
The idea is that of eigenvalue-corrected natural gradient (George et al. 2018) and of SOAP (Vyas et
al. 2024); a few hundred parameters allow the full matrix instead of their Kronecker factors.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Field, Parameters, tensor_sizes
from quinr_lidar.fields.jacobian import jacobian
from quinr_lidar.training.batches import draw_batch
from quinr_lidar.training.loops import AxesLoop

PERIOD = 100
"""Steps between two looks at the matrix."""

SAMPLES = 4096
"""Pixels of a look."""

IMAGE_SAMPLES = 16384
"""Pixels that stand for a whole image."""

MEMORY = 0.9
"""Weight of the earlier looks against the new one."""

UNIT_EXPONENT = 0.7
"""How far units go towards equal curvature of all tensors: 0 not at all, 1 all the way."""


class EigenAxes:
    """Follows the Gauss-Newton matrix of every frame during a training.

    Args:
        field: What is trained.
        coordinates: [P, inputs] of all samples.
        seed: Of the samples that are looked at.
    """

    def __init__(self, field: Field, coordinates: Tensor, seed: int) -> None:
        self._field, self._coordinates, self._seed = field, coordinates, seed
        self._matrix: Tensor | None = None
        self._basis: Tensor | None = None
        self._units = torch.empty(0)  # [F, S], from the first look on

    def look(self, parameters: Parameters, step: int) -> tuple[Tensor, Tensor]:
        """The axes at the current parameters.

        Args:
            parameters: [F, ...].
            step: Number of the step to come; picks the samples.

        Returns:
            The axes [F, S, S], a row each, and the turn [F, S, S] from the ones before, as
            :meth:`quinr_lidar.training.loops.AxesLoop.rotate` wants them.

        Raises:
            TrainingError: derivatives are not finite.
        """
        # Other samples than the step's own batch.
        seed = self._seed ^ 0x5851F42D4C957F2D
        picked = draw_batch(seed, step, len(self._coordinates), SAMPLES)
        coordinates = self._coordinates[torch.from_numpy(picked).to(self._coordinates.device)]
        now = gauss_newton_matrices(self._field, parameters, coordinates)
        if self._matrix is None:
            self._units = _units(self._field, now)
            self._matrix = now
        else:
            self._matrix = MEMORY * self._matrix + (1 - MEMORY) * now
        units = self._units[:, None]
        scaled = self._matrix * units * units.transpose(1, 2)
        # Relative to its size, so that float32 does not underflow near a perfect fit.
        scale = scaled.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-30)[:, None, None]
        basis = torch.linalg.eigh((scaled / scale).double())[1].transpose(1, 2).to(scaled)
        turn = basis if self._basis is None else basis @ self._basis.transpose(1, 2)
        self._basis = basis
        return basis * units, turn


class RotatedLoop:
    """A :class:`~quinr_lidar.training.loops.Loop` that keeps another one on the eigenvectors.

    Args:
        loop: Takes the steps.
        axes: Says along what.
    """

    def __init__(self, loop: AxesLoop, axes: EigenAxes) -> None:
        self._loop, self._axes = loop, axes
        self._steps = 0

    def run(self, rates: list[float]) -> list[float]:
        """One step for each rate; each step's loss."""
        losses: list[float] = []
        while len(losses) < len(rates):
            if self._steps % PERIOD == 0:
                self._loop.rotate(*self._axes.look(self._loop.parameters(), self._steps))
            count = min(PERIOD - self._steps % PERIOD, len(rates) - len(losses))
            losses += self._loop.run(rates[len(losses) : len(losses) + count])
            self._steps += count
        return losses

    def parameters(self) -> Parameters:
        """The parameters as they are now: float32 [F, ...]."""
        return self._loop.parameters()


def gauss_newton_matrices(field: Field, parameters: Parameters, coordinates: Tensor) -> Tensor:
    """``J^T J / P`` of each frame's values, summed over outputs: float32 [F, S, S].

    Args:
        field: Any.
        parameters: [F, ...].
        coordinates: [P, inputs].

    Raises:
        TrainingError: derivatives are not finite.
    """
    frames = len(next(iter(parameters.values())))
    matrices = []
    for frame in range(frames):
        # Copies: a view's place in memory changes the rounding of matrix products.
        own = {name: tensor[frame : frame + 1].clone() for name, tensor in parameters.items()}
        _, derivatives = jacobian(field, own, coordinates)
        matrices.append((derivatives @ derivatives.transpose(1, 2)).sum(0) / len(coordinates))
    stacked = torch.stack(matrices)
    if not stacked.isfinite().all():
        raise TrainingError("the derivatives are no longer finite")
    return stacked


def image_matrix(
    field: Field,
    parameters: Parameters,
    coordinates: Tensor,
    seed: int,
    samples: int = IMAGE_SAMPLES,
) -> NDArray[np.float64]:
    """The Gauss-Newton matrix of one frame, from a sample of the pixels.

    Args:
        field: Any.
        parameters: Of one frame, [1, ...].
        coordinates: [P, inputs] of all samples.
        seed: Of those that are looked at.
        samples: How many are looked at, at most.

    Returns:
        [S, S], of a pixel.

    Raises:
        TrainingError: derivatives are not finite.
    """
    count = len(coordinates)
    picked = draw_batch(seed, 0, count, min(count, samples))
    # In parts, as the derivatives of all at once may take hundreds of MB.
    parts = np.array_split(picked, -(-len(picked) // SAMPLES))
    matrices = [
        gauss_newton_matrices(field, parameters, coordinates[torch.from_numpy(part)])[0].double()
        for part in parts
    ]
    total = torch.stack([len(part) * own for part, own in zip(parts, matrices, strict=True)]).sum(0)
    return (total / len(picked)).cpu().numpy()


def _units(field: Field, matrices: Tensor) -> Tensor:
    """By which steps are measured [F, S]: one unit a tensor, small where values react steeply."""
    # In double precision, or a frame's units would differ in the last bit with its place.
    steepness = matrices.diagonal(dim1=1, dim2=2).double()
    typical = steepness.median(1, keepdim=True).values.clamp_min(1e-30)
    parts = [
        (part.mean(1, keepdim=True) / typical).clamp_min(1e-12).expand_as(part)
        for part in steepness.split(tensor_sizes(field), 1)
    ]
    return torch.cat(parts, 1).pow(-UNIT_EXPONENT / 2).to(matrices)
