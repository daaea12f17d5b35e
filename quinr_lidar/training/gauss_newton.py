"""Axes for Adam: eigenvectors of the Gauss-Newton matrix.

Parameters of a field act on the same pixels, so they are far from independent. Adam scales every
parameter on its own. Along the eigenvectors of ``J^T J / P`` that is what a Newton step would do,
and Adam's second moment also covers what the matrix misses. The idea is that of
eigenvalue-corrected natural gradient (George et al. 2018) and of SOAP (Vyas et al. 2024); with a
few hundred parameters the full matrix is affordable, without their Kronecker factors.
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
"""Steps between two computations of the matrix."""

SAMPLES = 4096
"""Pixels of which the matrix is computed during a training."""

IMAGE_SAMPLES = 16384
"""Pixels of which an image's matrix is computed."""

MEMORY = 0.9
"""Weight of the earlier matrices against the new one."""

UNIT_EXPONENT = 0.7
"""How much units even out the curvature of tensors: 0 not at all, 1 completely."""


class EigenAxes:
    """Keeps a running average of the Gauss-Newton matrix of every frame during a training.

    Args:
        field: The field that is trained.
        coordinates: Coordinates of all samples, [P, inputs].
        seed: Seed of the draw of samples for the matrix.
    """

    def __init__(self, field: Field, coordinates: Tensor, seed: int) -> None:
        self._field, self._coordinates, self._seed = field, coordinates, seed
        self._matrix: Tensor | None = None
        self._basis: Tensor | None = None
        self._units = torch.empty(0)  # [F, S], set by the first look

    def look(self, parameters: Parameters, step: int) -> tuple[Tensor, Tensor]:
        """Update the average with the current parameters and return its axes.

        Args:
            parameters: Current parameters, [F, ...].
            step: Number of the next step; decides which samples are drawn.

        Returns:
            The axes [F, S, S], one in each row, and the rotation [F, S, S] from the axes before,
            as :meth:`quinr_lidar.training.loops.AxesLoop.rotate` takes them.

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
        loop: The loop that takes the steps.
        axes: Computes the axes.
    """

    def __init__(self, loop: AxesLoop, axes: EigenAxes) -> None:
        self._loop, self._axes = loop, axes
        self._steps = 0

    def run(self, rates: list[float]) -> list[float]:
        """Take one step for each learning rate; returns the losses."""
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
        field: Any field.
        parameters: Parameters of all frames, [F, ...].
        coordinates: Coordinates of the samples, [P, inputs].

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
        field: Any field.
        parameters: Parameters of one frame, [1, ...].
        coordinates: Coordinates of all samples, [P, inputs].
        seed: Seed of the draw of samples.
        samples: Number of samples that are drawn at most.

    Returns:
        The mean over the samples, [S, S].

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
    """Units of the parameters [F, S]: one for a tensor, small where values change fast."""
    # In double precision, or a frame's units would differ in the last bit with its place.
    steepness = matrices.diagonal(dim1=1, dim2=2).double()
    typical = steepness.median(1, keepdim=True).values.clamp_min(1e-30)
    parts = [
        (part.mean(1, keepdim=True) / typical).clamp_min(1e-12).expand_as(part)
        for part in steepness.split(tensor_sizes(field), 1)
    ]
    return torch.cat(parts, 1).pow(-UNIT_EXPONENT / 2).to(matrices)
