"""Training of conditional fields by code length: the loss is the size of the code in bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Parameters
from quinr_lidar.kernel import format_constants
from quinr_lidar.training.settings import FitProgress

MOST_BITS = 25.0
"""A pixel that costs more does not count in the gradient: some outliers cannot be predicted."""


class Trainable(Protocol):
    """A field that can be trained, for instance one of :mod:`quinr_lidar.fields.conditional`."""

    def initial_parameters(self, generator: torch.Generator) -> Parameters:
        """Random float32 tensors to start training from."""
        ...

    def evaluate(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Outputs [N, O] of inputs [N, F]; differentiable."""
        ...


class Batch(Protocol):
    """Some pixels: inputs of the field, and their cost."""

    @property
    def inputs(self) -> Tensor:
        """float32 [N, F]."""
        ...

    def bits(self, parameters: Parameters, outputs: Tensor) -> Tensor:
        """Cost of each pixel [N], bits."""
        ...


@dataclass(frozen=True, eq=False)
class MaskBatch:
    """Pixels of masks.

    Attributes:
        inputs: Inputs of the field, float32 [N, F].
        valid: Whether the pixels are valid, float32 [N], 0 or 1.
    """

    inputs: Tensor
    valid: Tensor

    def bits(self, parameters: Parameters, outputs: Tensor) -> Tensor:  # noqa: ARG002
        """Cost of each pixel [N], bits; outputs are logits [N, 1]."""
        return torch.nn.functional.binary_cross_entropy_with_logits(
            outputs[:, 0], self.valid, reduction="none"
        ) / math.log(2)


@dataclass(frozen=True, eq=False)
class RangeBatch:
    """Valid pixels of range images.

    Attributes:
        inputs: Inputs of the field, float32 [N, F].
        differences: Differences of the neighbours from the base in units, float32 [N, 14].
        target: Difference of the pixel from the base in steps, float32 [N].
        scale: Units in a step, float32 [N].
    """

    inputs: Tensor
    differences: Tensor
    target: Tensor
    scale: Tensor

    def bits(self, parameters: Parameters, outputs: Tensor) -> Tensor:
        """Cost of each pixel [N], bits; outputs are [N, 3 components]."""
        mean, log_scale, log_weight = mixture(parameters["linear"], self.differences, outputs)
        inverse = torch.exp(-log_scale)
        target = self.target[:, None]
        width = self.scale[:, None]
        # The interval is mirrored to the side where both tails are small, so no digits are lost.
        side = torch.where(target * width > mean, -1.0, 1.0)
        upper = torch.sigmoid(side * ((target + 0.5) * width - mean) * inverse)
        lower = torch.sigmoid(side * ((target - 0.5) * width - mean) * inverse)
        likelihood = (upper - lower).abs().clamp_min(1e-9).log()
        return -torch.logsumexp(likelihood + log_weight, 1) / math.log(2)


def centres(differences: Tensor) -> Tensor:
    """Means of the components before the field moves them: [N, components] in units."""
    here = format_constants()
    above, far = here.straight_up, here.farthest_slope
    up = differences[:, above]
    none = torch.zeros_like(up)
    slope = (up - differences[:, above - 1]).clamp(-far, far)
    along = (-differences[:, here.second_left]).clamp(-far, far)
    beside, second = differences[:, above + 1], differences[:, here.second_up]
    made = [none, slope, along, up, beside, 0.5 * (slope + along), second]
    return torch.stack(made + [none] * (here.components - len(made)), 1)


def mixture(linear: Tensor, differences: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means, logarithms of scales (units) and of weights, [N, components] each.

    Args:
        linear: How neighbours move the means, [components, 14].
        differences: Differences of the neighbours from the base in units, [N, 14].
        outputs: Outputs of the field, [N, 3 components].
    """
    here = format_constants()
    raw = outputs.view(len(outputs), here.components, 3)
    near = differences.clamp(-here.farthest_linear, here.farthest_linear)
    mean = centres(differences) + 2 * raw[..., 0] + near @ linear.T
    log_scale = raw[..., 1].clamp(here.smallest_log_scale, here.largest_log_scale)
    return mean, log_scale, torch.log_softmax(raw[..., 2], 1)


@dataclass(frozen=True)
class CodeLengthSettings:
    """How a conditional field is trained: Adam with one cycle of the learning rate.

    Attributes:
        steps: Number of steps.
        learning_rate: Peak of the learning rate.
        seed: Seed of the initial parameters.
    """

    steps: int = 4000
    learning_rate: float = 1e-2
    seed: int = 0


def train_by_code_length(
    field: Trainable,
    extra: Parameters,
    draw: Callable[[], Batch],
    settings: CodeLengthSettings,
    progress: Callable[[FitProgress], None] | None = None,
) -> Parameters:
    """Minimise the mean number of bits of a pixel.

    Args:
        field: The field to train.
        extra: Initial values of further parameters that the cost of a batch uses.
        draw: Draws the batch of a step.
        settings: Steps, learning rate and seed.
        progress: Called after every step.

    Returns:
        The parameters of the field and the extra ones, float32.

    Raises:
        TrainingError: the loss is not finite.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    parameters = field.initial_parameters(generator) | {k: v.clone() for k, v in extra.items()}
    for tensor in parameters.values():
        tensor.requires_grad_()
    optimizer = torch.optim.Adam(parameters.values(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps
    )
    for step in range(settings.steps):
        batch = draw()
        costs = batch.bits(parameters, field.evaluate(parameters, batch.inputs))
        loss = costs.clamp_max(MOST_BITS).mean()
        if not torch.isfinite(loss):
            raise TrainingError(f"training by code length diverged at step {step}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(FitProgress(step + 1, settings.steps, loss.item()))
    return {name: tensor.detach() for name, tensor in parameters.items()}
