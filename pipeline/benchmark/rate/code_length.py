"""Entropy models without a file: the bits that an ideal coder would write by their probabilities.

They code quINR's steps at quINR's pixels, and say nothing of the mask: bytes of quINR's mask layer
are added to theirs.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.benchmark.rate.baselines import Baseline, Encoded
from pipeline.benchmark.rate.ours import library_version, model_for
from pipeline.benchmark.rate.training_sets import ENTROPY_MODEL, TrainingSet
from pipeline.models.training import BOUNDS, train_range_field
from quinr_lidar import RangeImage
from quinr_lidar.arrays import to_tensors
from quinr_lidar.entropy.models import EntropyModel, choose_model
from quinr_lidar.entropy.samples import RangeSamples
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.fields.field import Parameters
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.mask import MASK
from quinr_lidar.layers.range_steps import choose_steps

MLP_RATE = 6e-3
"""Learning rate at its peak."""
READOUT_WEIGHTS = 0.3
"""Times the usual first weights: the mixture begins near its centres."""


@dataclass(frozen=True)
class MlpField:
    """What quINR's ranges field is held against: two SiLU layers, the second a residual.

    Attributes:
        inputs: Features of a pixel.
        outputs: Numbers that describe its distribution.
        width: Of both hidden layers.
    """

    inputs: int
    outputs: int
    width: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter tensor."""
        sizes = {"first": self.inputs, "second": self.width, "readout": self.width}
        heights = {"first": self.width, "second": self.width, "readout": self.outputs}
        weights = {name: (heights[name], size) for name, size in sizes.items()}
        return weights | {f"{name}_bias": (height,) for name, height in heights.items()}

    @property
    def parameter_count(self) -> int:
        """Of all tensors."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def initial_parameters(self, generator: torch.Generator) -> Parameters:
        """Random float32 tensors to start training from."""
        parameters: Parameters = {}
        for name, shape in self.shapes.items():
            fan_in = self.inputs if name.startswith("first") else self.width
            uniform = (torch.rand(shape, generator=generator) * 2 - 1) * fan_in**-0.5
            parameters[name] = uniform * (READOUT_WEIGHTS if name == "readout" else 1)
        return parameters

    def evaluate(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Outputs [N, O] of inputs [N, F]; differentiable."""

        def layer(name: str, values: Tensor) -> Tensor:
            return values @ parameters[name].T + parameters[f"{name}_bias"]

        hidden = torch.nn.functional.silu(layer("first", inputs))
        hidden = hidden + torch.nn.functional.silu(layer("second", hidden))
        return layer("readout", hidden)


RangeField = ConditionalField | MlpField


def mlp_like(field: ConditionalField) -> MlpField:
    """The MLP whose number of parameters is the nearest to a field's."""
    wanted = sum(int(np.prod(shape)) for shape in field.shapes.values())
    candidates = (MlpField(field.inputs, field.outputs, width) for width in range(1, 257))
    return min(candidates, key=lambda one: abs(one.parameter_count - wanted))


def train_ranges(
    field: RangeField,
    training_set: TrainingSet,
    learning_rate: float,
    max_errors: tuple[float, float] = BOUNDS,
) -> Parameters:
    """Train a ranges field as the entropy models' are, ``linear`` among its parameters.

    Args:
        field: What is trained.
        training_set: What it learns from.
        learning_rate: At its peak.
        max_errors: Each sample is seen at a bound between them, metres.

    Raises:
        QuinrError: a scan cannot be read, or training diverged.
    """
    settings = replace(training_set.settings, range_rate=learning_rate)
    generator = torch.Generator().manual_seed(settings.seed)
    return train_range_field(field, training_set.images(), settings, generator, max_errors)


def ideal_bytes(
    field: RangeField, parameters: Parameters, image: RangeImage, max_error: float
) -> float:
    """Bytes that the ranges of an image take by a field's probabilities.

    Args:
        field: Of ranges.
        parameters: Its parameters, ``linear`` among them.
        image: With valid pixels.
        max_error: Largest error, metres.
    """
    step = choose_steps(max_error, 0.0, float(image.ranges[image.valid].max())).step
    batch = _samples(image).everything(step / 2)
    with torch.no_grad():
        bits = batch.bits(parameters, field.evaluate(parameters, batch.inputs))
    return float(bits.double().sum()) / 8


@lru_cache(maxsize=2)
def _samples(image: RangeImage) -> RangeSamples:
    return RangeSamples([image])


def with_mask(image: RangeImage, entropy_model: EntropyModel, ranges: float) -> Encoded:
    """A code length of the ranges and the bytes of quINR's mask layer."""
    parts = {"mask": float(len(MASK.pack(Source(image, entropy_model)))), "ranges": ranges}
    return Encoded(sum(parts.values()), parts=parts)


def pack_parameters(parameters: Parameters) -> bytes:
    """Tensors as bytes."""
    file = io.BytesIO()
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in parameters.items()}
    np.savez(file, **arrays)
    return file.getvalue()


def unpack_parameters(data: bytes) -> Parameters:
    """Tensors of :func:`pack_parameters`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _taught_field(training_set: TrainingSet) -> Baseline:
    entropy_model = model_for(training_set)
    layer = entropy_model["ranges"]

    def encode(image: RangeImage, max_error: float) -> Encoded:
        return with_mask(
            image,
            entropy_model,
            ideal_bytes(layer.field, to_tensors(layer.parameters), image, max_error),
        )

    return replace(FIELD, ways={"": encode})


def _taught_mlp(training_set: TrainingSet) -> Baseline:
    field = mlp_like(choose_model(ENTROPY_MODEL)["ranges"].field)
    parameters = training_set.model(
        "mlp",
        [vars(field), MLP_RATE],
        lambda: train_ranges(field, training_set, MLP_RATE),
        pack_parameters,
        unpack_parameters,
    )
    entropy_model = model_for(training_set)

    def encode(image: RangeImage, max_error: float) -> Encoded:
        return with_mask(image, entropy_model, ideal_bytes(field, parameters, image, max_error))

    return replace(MLP, ways={"": encode})


FIELD = Baseline(
    "quinr-field",
    "quINR's field alone, code length",
    "max_error",
    {},
    None,
    library_version,
    optional=True,
    taught=_taught_field,
)
MLP = Baseline(
    "mlp",
    "MLP instead of quINR's field, code length",
    "max_error",
    {},
    None,
    library_version,
    optional=True,
    taught=_taught_mlp,
)
