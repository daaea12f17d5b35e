"""AdamW on mini-batches, in torch: any field, any device."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Field, Parameters
from quinr_lidar.training.batches import draw_batch


class Loop(Protocol):
    """Training that is fed learning rates."""

    def run(self, rates: list[float]) -> list[float]:
        """One step for each rate; each step's loss. Raises TrainingError if one is not finite."""
        ...

    def parameters(self) -> Parameters:
        """The parameters as they are now: float32 [F, ...]."""
        ...


class TorchLoop:
    """AdamW through autograd.

    Args:
        field: What to train.
        parameters: Where to start, [F, ...].
        coordinates: [P, inputs].
        targets: [F, P, outputs] in [0, 1].
        batch_size: Samples a step.
        weight_decay: AdamW's.
        seed: Of the batches.
    """

    def __init__(
        self,
        field: Field,
        parameters: Parameters,
        coordinates: Tensor,
        targets: Tensor,
        *,
        batch_size: int,
        weight_decay: float,
        seed: int,
    ) -> None:
        self._field = field
        self._coordinates, self._targets = coordinates, targets
        self._batch_size, self._seed = batch_size, seed
        self._parameters = {
            name: tensor.detach().to(targets).clone().requires_grad_()
            for name, tensor in parameters.items()
        }
        factors = field.learning_rates
        groups = [
            {"params": [tensor], "factor": factors.get(name, 1.0)}
            for name, tensor in self._parameters.items()
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay, foreach=True)
        self._steps = 0

    def run(self, rates: list[float]) -> list[float]:
        """One step for each rate; the batches' mean squared errors over all frames."""
        return [self._step(rate) for rate in rates]

    def parameters(self) -> Parameters:
        """The parameters as they are now: float32 [F, ...]."""
        return {name: tensor.detach() for name, tensor in self._parameters.items()}

    def _step(self, rate: float) -> float:
        batch = torch.from_numpy(
            draw_batch(self._seed, self._steps, len(self._coordinates), self._batch_size)
        ).to(self._targets.device)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self._optimizer.zero_grad()
        targets = self._targets[:, batch]
        values = self._field.evaluate(self._parameters, self._coordinates[batch][None])
        # Clipped as a decoder clips, with a straight-through gradient.
        clipped = values + (values.clamp(0, 1) - values).detach()
        # Summed over frames, so that a frame's gradient does not depend on how many train with it.
        loss = (clipped - targets).square().mean((1, 2)).sum()
        loss.backward()
        self._optimizer.step()
        self._steps += 1
        mean = loss.item() / len(targets)
        if not math.isfinite(mean):
            raise TrainingError(f"the loss became {mean}")
        return mean
