"""Models of ranges without a file: the bits that an ideal coder would write by their probabilities.

They code quINR's steps at quINR's pixels, and say nothing about the mask: the bytes of quINR's mask
layer are added to theirs.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.benchmark import training_sets
from pipeline.benchmark.baseline import Baseline, Encoded, Request
from pipeline.benchmark.baselines.bounded import library_version, model_for
from pipeline.benchmark.training_sets import ENTROPY_MODEL, TrainingSet
from pipeline.models.training import TRAINING_ERRORS, train_range_field
from quinr_lidar import RangeImage
from quinr_lidar.arrays import to_tensors
from quinr_lidar.entropy.models import EntropyModel, choose_model, pack_model
from quinr_lidar.entropy.samples import RangeSamples
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.fields.field import Parameters
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.mask import MASK
from quinr_lidar.layers.range_steps import choose_steps
from quinr_lidar.layers.registry import LAYERS

MLP_RATE = 6e-3
"""Learning rate of the MLP at its peak."""
READOUT_WEIGHTS = 0.3
"""Factor on the usual first weights: the mixture begins near its centres."""

ONE_MAX_ERROR = (0.02, 0.02)
MODEL_BITS = (16, 10, 8, 6)
SHOWN_MAX_ERRORS = (0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True)
class MlpField:
    """quINR's ranges field is compared with it: two SiLU layers, the second a residual."""

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


def size_of(field: RangeField) -> int:
    """Number of parameters."""
    return sum(int(np.prod(shape)) for shape in field.shapes.values())


def mlp_like(field: ConditionalField) -> MlpField:
    """The MLP whose number of parameters is the nearest to a field's."""
    candidates = (MlpField(field.inputs, field.outputs, width) for width in range(1, 257))
    return min(candidates, key=lambda one: abs(size_of(one) - size_of(field)))


@lru_cache(maxsize=16)
def trained(
    name: str,
    field: RangeField,
    training_set: TrainingSet,
    learning_rate: float,
    max_errors: tuple[float, float] = TRAINING_ERRORS,
) -> Parameters:
    """A ranges field trained as the entropy models' are, or its parameters as they were kept.

    ``name`` begins the kept file's name; each sample is seen at a largest error between
    ``max_errors``, metres.

    Raises:
        QuinrError: a scan cannot be read, or training diverged.
    """

    def train() -> Parameters:
        settings = replace(training_set.settings, range_rate=learning_rate)
        generator = torch.Generator().manual_seed(settings.seed)
        return train_range_field(field, training_set.images(), settings, generator, max_errors)

    details = [repr(field), learning_rate, max_errors]
    return training_set.model(name, details, train, _pack, _unpack)


def _pack(parameters: Parameters) -> bytes:
    file = io.BytesIO()
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in parameters.items()}
    np.savez(file, **arrays)
    return file.getvalue()


def _unpack(data: bytes) -> Parameters:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def ideal_bytes(
    field: RangeField, parameters: Parameters, image: RangeImage, max_error: float
) -> float:
    """Bytes of an image's ranges by a field's probabilities, at a largest error in metres."""
    step = choose_steps(max_error, 0.0, float(image.ranges[image.valid].max())).step
    batch = _samples(image).everything(step / 2)
    with torch.no_grad():
        bits = batch.bits(parameters, field.evaluate(parameters, batch.inputs))
    return float(bits.double().sum()) / 8


@lru_cache(maxsize=2)
def _samples(image: RangeImage) -> RangeSamples:
    return RangeSamples([image])


def with_mask(
    image: RangeImage, entropy_model: EntropyModel, ranges: float, **figures: float
) -> Encoded:
    """The bytes of quINR's mask layer and a code length of the ranges."""
    parts = {"mask": float(len(MASK.pack(Source(image, entropy_model)))), "ranges": ranges}
    return Encoded(sum(parts.values()), parts=parts, figures=figures)


def _encode_field(image: RangeImage, request: Request) -> Encoded:
    model = model_for(request.lessons)
    own = model["ranges"]
    length = ideal_bytes(own.field, to_tensors(own.parameters), image, request.setting)
    return with_mask(image, model, ranges=length)


def _encode_mlp(image: RangeImage, request: Request) -> Encoded:
    field = mlp_like(choose_model(ENTROPY_MODEL)["ranges"].field)
    parameters = trained("mlp", field, request.lessons, MLP_RATE)
    length = ideal_bytes(field, parameters, image, request.setting)
    return with_mask(image, model_for(request.lessons), ranges=length)


def _encode_rounded(
    bits: int | None, max_errors: tuple[float, float], image: RangeImage, request: Request
) -> Encoded:
    """A model trained for some largest errors, its parameters rounded to so many bits."""
    built_in = choose_model(ENTROPY_MODEL)
    field, rate = built_in["ranges"].field, training_sets.provenance().settings.range_rate
    parameters = trained("ranges", field, request.lessons.quick(), rate, max_errors)
    if bits is None:
        length = ideal_bytes(field, parameters, image, request.setting)
        return with_mask(image, built_in, length, field_bits=8 * length / image.valid_count)
    mask = built_in["mask"]
    layers = {"mask": (mask.field, mask.parameters), "ranges": (field, parameters)}
    model = pack_model(layers, bits)
    length = ideal_bytes(field, to_tensors(model["ranges"].parameters), image, request.setting)
    source = Source(image, model, {"max_error": request.setting})
    layer = len(LAYERS["ranges"].pack(source))
    figures = {"field_bits": 8 * length / image.valid_count}
    figures |= {"layer_bits": 8 * layer / image.valid_count, "model_bytes": len(model.data)}
    return with_mask(image, built_in, length, **figures)


def _baseline(name: str, title: str, encode: Callable[..., Encoded]) -> Baseline:
    learner = Baseline(name, title, "max_error", {"": encode}, None, library_version)
    return replace(learner, optional=True, learns=True)


def _rounded(title: str, bits: int | None, max_errors: tuple[float, float]) -> Baseline:
    name = f"model-{'all' if max_errors == TRAINING_ERRORS else '2cm'}-{bits or 'float'}"
    title = f"{title}, {f'{bits} bits' if bits else 'float'}"
    one = _baseline(name, title, partial(_encode_rounded, bits, max_errors))
    shown = SHOWN_MAX_ERRORS if max_errors == TRAINING_ERRORS else ONE_MAX_ERROR[:1]
    return replace(one, settings=shown, unseen_only=True)


CODE_LENGTHS = (
    _baseline("quinr-field", "quINR's field alone, code length", _encode_field),
    _baseline("mlp", "MLP instead of quINR's field, code length", _encode_mlp),
)
ENTROPY_MODELS = (
    *(_rounded("all bounds", bits, TRAINING_ERRORS) for bits in (None, *MODEL_BITS)),
    *(_rounded("2 cm alone", bits, ONE_MAX_ERROR) for bits in (None, MODEL_BITS[1])),
)
"""What one entropy model for all largest errors loses, and what rounding its parameters costs."""
