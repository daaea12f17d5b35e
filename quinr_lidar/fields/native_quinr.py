"""A one-stage quINR on the fused kernel: parameters as one array, values, training loop."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.field import Parameters
from quinr_lidar.quantum import choose_backend, native

if TYPE_CHECKING:
    from quinr_lidar.fields.quinr import QuinrField


def is_supported(field: QuinrField, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernel evaluates the whole field at once: one stage, on its own backend."""
    return field.stages == 1 and choose_backend(device, dtype).name == "native"


@lru_cache(maxsize=64)
def native_field(field: QuinrField) -> Any:
    """The field as the kernel wants it."""
    circuit = native.native_spec(field.circuits[0])
    return native.load_kernel().FieldSpec(circuit, field.inputs, field.w0)


def flatten(field: QuinrField, parameters: Parameters) -> Tensor:
    """[F, parameters of a frame], tensors in the order of ``field.shapes``."""
    frames = len(next(iter(parameters.values())))
    return torch.cat([parameters[name].reshape(frames, -1) for name in field.shapes], 1)


def unflatten(field: QuinrField, flat: Tensor) -> Parameters:
    """The tensors that :func:`flatten` put together, as views."""
    sizes = [torch.Size(shape).numel() for shape in field.shapes.values()]
    parts = flat.split(sizes, 1)
    return {
        name: part.view(len(flat), *shape)
        for (name, shape), part in zip(field.shapes.items(), parts, strict=True)
    }


def values(field: QuinrField, parameters: Parameters, coordinates: Tensor) -> Tensor:
    """Values [F, P, outputs] at coordinates [F or 1, P, inputs]; not differentiable."""
    flat = flatten(field, parameters)
    out = flat.new_empty(len(flat), coordinates.shape[1], field.outputs)
    native.load_kernel().values(
        native_field(field),
        native.array(flat),
        native.array(coordinates),
        native.array(out),
        threads=torch.get_num_threads(),
        isa=native.instruction_set(),
    )
    return out


class NativeTrainer:
    """AdamW on mini-batches, all in the kernel: float32, one stage.

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
        field: QuinrField,
        parameters: Parameters,
        coordinates: Tensor,
        targets: Tensor,
        *,
        batch_size: int,
        weight_decay: float,
        seed: int,
    ) -> None:
        self._field = field
        factors = {
            name: torch.full((1, *shape), field.learning_rates.get(name, 1.0))
            for name, shape in field.shapes.items()
        }
        self._trainer = native.load_kernel().trainer(
            native_field(field),
            native.array(coordinates.float()),
            native.array(targets.float()),
            native.array(flatten(field, parameters).float()),
            native.array(flatten(field, factors)[0]),
            batch=batch_size,
            weight_decay=weight_decay,
            seed=seed,
            threads=torch.get_num_threads(),
            isa=native.instruction_set(),
        )

    def run(self, rates: list[float]) -> list[float]:
        """One step for each learning rate; the batches' mean squared errors.

        Raises:
            TrainingError: a loss is not finite.
        """
        losses = self._trainer.run(rates)
        if len(losses) < len(rates) or not torch.tensor(losses[-1:]).isfinite().all():
            raise TrainingError(f"the loss became {losses[-1]}")
        return losses

    def parameters(self) -> Parameters:
        """The parameters as they are now: float32 [F, ...]."""
        count = sum(torch.Size(shape).numel() for shape in self._field.shapes.values())
        flat = torch.tensor(self._trainer.parameters(), dtype=torch.float32)
        return unflatten(self._field, flat.view(-1, count))
