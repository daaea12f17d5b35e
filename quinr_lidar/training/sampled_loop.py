"""What loops share that improve one frame after the other on samples of the pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from quinr_lidar.fields.field import Field, Parameters, flatten, unflatten
from quinr_lidar.training.batches import draw_batch


class SampledLoop(ABC):
    """A :class:`~quinr_lidar.training.loops.Loop` that finds a step's length by itself.

    Every step draws a sample of the pixels, the same for all frames.

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
        """One step for each rate, which counts no further; samples' errors before it.

        Raises:
            TrainingError: an error is not finite.
        """
        return [self._step() for _ in rates]

    def parameters(self) -> Parameters:
        """The parameters as they are now: [F, ...]."""
        return unflatten(self._field, self._flat.clone())

    @abstractmethod
    def _sample_size(self, step: int) -> int:
        """Pixels that a step should see, of which there may be fewer."""

    @abstractmethod
    def _improve(self, frame: int, coordinates: Tensor, targets: Tensor) -> float:
        """Step on one frame, without autograd by default.

        Args:
            frame: Row of ``_flat`` to change.
            coordinates: Of the sample, [P, inputs].
            targets: Of the frame there, [P, outputs].

        Returns:
            Its mean squared error before.
        """

    @torch.no_grad()
    def _step(self) -> float:
        samples = len(self._coordinates)
        size = min(self._sample_size(self._steps), samples)
        picked = torch.from_numpy(draw_batch(self._seed, self._steps, samples, size))
        picked = picked.to(self._targets.device)
        self._steps += 1
        errors = [
            self._improve(frame, self._coordinates[picked], self._targets[frame, picked])
            for frame in range(len(self._flat))
        ]
        return sum(errors) / len(errors)

    def _named(self, flat: Tensor) -> Parameters:
        """One frame's parameters [1, ...] from its row [S]."""
        return unflatten(self._field, flat[None])
