"""Training of a one-stage quINR on the compiled kernel: Jacobian and training loop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from quinr_lidar.arrays import to_numpy
from quinr_lidar.circuit import autograd
from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Parameters, flatten, parameter_count, unflatten
from quinr_lidar.fields.fused import native_field
from quinr_lidar.kernel import load_kernel, run_options

if TYPE_CHECKING:
    from quinr_lidar.fields.quinr import QuinrField


def jacobian(
    field: QuinrField, parameters: Parameters, coordinates: Tensor
) -> tuple[Tensor, Tensor]:
    """As :func:`quinr_lidar.fields.jacobian.jacobian`, from the kernel's derivatives."""
    samples, circuit = len(coordinates), field.circuits[0]
    scale = parameters["embedding_scale0"][0]
    sines, cosines = [coordinates.T], []  # of every layer, [M, P]; the first "sine" is the input
    for weight, bias in _sine_layers(field, parameters):
        argument = field.w0 * (weight @ sines[-1]) + bias[:, None]
        sines.append(argument.sin())
        cosines.append(argument.cos())
    rotations, controlled = field.angles(parameters, stage=0)
    embedding = (scale * sines[-1]).T[None].contiguous()
    found = autograd.jacobian(circuit, embedding, rotations, controlled)
    probabilities, by_angle = found.probabilities[0], found.embedding[0]
    by_layers: list[Tensor] = []
    by_sine = by_angle * scale  # [O, M, P]
    for (weight, _), before, cosine in zip(
        reversed(_sine_layers(field, parameters)), sines[-2::-1], reversed(cosines), strict=True
    ):
        by_bias = by_sine * cosine
        by_weight = by_bias[:, :, None] * (field.w0 * before)
        by_layers = [by_weight.reshape(circuit.outputs, -1, samples), by_bias, *by_layers]
        by_sine = torch.einsum("omp,mk->okp", by_bias, field.w0 * weight)
    by_angles = [
        *by_layers,
        (by_angle * sines[-1]).sum(1, keepdim=True),
        found.rotations.reshape(circuit.outputs, -1, samples),
        found.controlled.reshape(circuit.outputs, -1, samples),
    ]
    through, by_scale = _through_read_out(field, parameters, by_angles, probabilities)
    ones = torch.eye(field.outputs).to(probabilities)[:, :, None]
    derivatives = torch.cat([*through, by_scale, ones.expand(-1, -1, samples)], 1)
    values = field.read_out(parameters, probabilities.T[None])[0].T
    return values, derivatives


def _sine_layers(field: QuinrField, parameters: Parameters) -> list[tuple[Tensor, Tensor]]:
    return [
        (parameters[weight][0], parameters[bias][0]) for weight, bias in field.sine_names(stage=0)
    ]


def _through_read_out(
    field: QuinrField, parameters: Parameters, by_angles: list[Tensor], probabilities: Tensor
) -> tuple[list[Tensor], Tensor]:
    """From derivatives [O, k, P] of probabilities to those of the values, [C, k, P].

    And the derivatives by the read-out's own weights.
    """
    ones = torch.eye(field.outputs).to(probabilities)
    if not field.readout:
        scale = parameters["output_scale"][0, :, None, None]
        return [scale * part for part in by_angles], ones[:, :, None] * probabilities
    matrix = parameters["readout"][0]
    through = [torch.einsum("co,okp->ckp", matrix, part) for part in by_angles]
    by_matrix = torch.einsum("cd,op->cdop", ones, probabilities)
    return through, by_matrix.reshape(field.outputs, -1, probabilities.shape[1])


class NativeTrainer:
    """A training loop in the kernel (see ``AxesLoop``): float32, one stage.

    Args:
        field: What to train.
        parameters: Where to start, [F, ...].
        factors: [S], of each parameter's learning rate.
        coordinates: [P, inputs].
        targets: [F, P, outputs] in [0, 1].
        batch_size: Samples a step.
        weight_decay: AdamW's.
        betas: Adam's.
        seed: Seed of the batches.
    """

    def __init__(
        self,
        field: QuinrField,
        parameters: Parameters,
        factors: Tensor,
        coordinates: Tensor,
        targets: Tensor,
        *,
        batch_size: int,
        weight_decay: float,
        betas: tuple[float, float],
        seed: int,
    ) -> None:
        self._field = field
        self._trainer = load_kernel().trainer(
            native_field(field),
            to_numpy(coordinates.float()),
            to_numpy(targets.float()),
            to_numpy(flatten(field, parameters).float()),
            to_numpy(factors.float()),
            batch=batch_size,
            weight_decay=weight_decay,
            beta1=betas[0],
            beta2=betas[1],
            seed=seed,
            **run_options(),
        )

    def run(self, rates: list[float]) -> list[float]:
        """One step for each learning rate; the batches' mean squared errors.

        Raises:
            TrainingError: a loss is not finite.
        """
        losses = self._trainer.run(rates)
        if not all(map(math.isfinite, losses)):  # the last one, if any: there it stops
            raise TrainingError(f"the loss became {losses[-1]}")
        return losses

    def rotate(self, basis: Tensor, turn: Tensor) -> None:
        """Take the steps to come along other axes; see ``AxesLoop``."""
        self._trainer.rotate(to_numpy(basis.float()), to_numpy(turn.float()))

    def parameters(self) -> Parameters:
        """The parameters as they are now: float32 [F, ...]."""
        flat = torch.tensor(self._trainer.parameters(), dtype=torch.float32)
        return unflatten(self._field, flat.view(-1, parameter_count(self._field)))
