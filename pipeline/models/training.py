"""Training of entropy models, and their cost on other scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from quinr_lidar import RangeImage
from quinr_lidar.entropy.models import EntropyModel, pack_model
from quinr_lidar.entropy.samples import MaskSamples, RangeSamples
from quinr_lidar.fields import Parameters
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.layers import mask as mask_layer
from quinr_lidar.layers import ranges as ranges_layer
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.mask import MASK
from quinr_lidar.layers.ranges import LINEAR, RANGES
from quinr_lidar.training import FitProgress
from quinr_lidar.training.code_length import (
    CodeLengthSettings,
    Trainable,
    train_by_code_length,
)

TRAINING_ERRORS = (5e-4, 0.5)
"""Smallest and largest max_error of the training samples, metres. Larger ones hardly differ."""
MEASURED_ERRORS = (0.01, 0.02, 0.05, 0.1)
"""Values of max_error, metres, at which a model is measured."""

MOST_THREADS = 2
"""The steps are small: more threads would wait for each other."""

_LINEAR_WEIGHTS = 0.02


def mask_field() -> ConditionalField:
    """Sizes of the field that is trained for masks."""
    return mask_layer.model_shape().field((16,), qubits=4, blocks=2)


def ranges_field() -> ConditionalField:
    """Sizes of the field that is trained for ranges."""
    return ranges_layer.model_shape().field((64, 32), qubits=4, blocks=2)


@dataclass(frozen=True)
class ModelSettings:
    """How an entropy model is trained.

    Attributes:
        mask_steps: Training steps of the mask's field.
        range_steps: Training steps of the ranges' field.
        mask_rate: Peak learning rate of the mask's field.
        range_rate: Peak learning rate of the ranges' field.
        batch_size: Pixels of a step.
        bits: Bits of a rounded parameter.
        seed: Seed of the initial parameters and of the batches.
    """

    mask_steps: int = 2000
    range_steps: int = 4000
    mask_rate: float = 1.2e-2
    range_rate: float = 8e-3
    batch_size: int = 4096
    bits: int = 10
    seed: int = 0


def train_model(
    images: Sequence[RangeImage],
    settings: ModelSettings,
    progress: Callable[[str, FitProgress], None] | None = None,
) -> EntropyModel:
    """Train the fields of both layers and round them.

    Args:
        images: The training set; at least one pixel is valid.
        settings: Settings of the training.
        progress: Called with "mask" or "ranges" after every step.

    Raises:
        GeometryError: no image, or no valid pixel.
        TrainingError: training diverged.
    """
    with _few_threads():
        return _train(images, settings, progress)


def _train(
    images: Sequence[RangeImage],
    settings: ModelSettings,
    progress: Callable[[str, FitProgress], None] | None,
) -> EntropyModel:
    generator = torch.Generator().manual_seed(settings.seed)
    mask = _train_mask(images, settings, generator, _named(progress, "mask"))
    ranges = train_range_field(
        ranges_field(), images, settings, generator, progress=_named(progress, "ranges")
    )
    return pack_model(
        {mask_layer.NAME: (mask_field(), mask), ranges_layer.NAME: (ranges_field(), ranges)},
        settings.bits,
    )


def train_range_field(
    field: Trainable,
    images: Sequence[RangeImage],
    settings: ModelSettings,
    generator: torch.Generator,
    max_errors: tuple[float, float] = TRAINING_ERRORS,
    progress: Callable[[FitProgress], None] | None = None,
) -> Parameters:
    """Train a field that codes ranges; ``linear`` is among its parameters.

    Args:
        field: Field of an entropy model, or one that it is compared with.
        images: The training set; at least one pixel is valid.
        settings: Settings of the training.
        generator: Source of random numbers for the initial ``linear`` and for batches.
        max_errors: Each sample has a max_error between these two, metres.
        progress: Called after every step.

    Raises:
        GeometryError: no image, or no valid pixel.
        TrainingError: training diverged.
    """
    samples = RangeSamples(images)
    linear = (
        torch.randn(ranges_layer.model_shape().further[LINEAR], generator=generator)
        * _LINEAR_WEIGHTS
    )
    return train_by_code_length(
        field,
        {LINEAR: linear},
        lambda: samples.draw(settings.batch_size, generator, max_errors),
        CodeLengthSettings(settings.range_steps, settings.range_rate, settings.seed),
        progress,
    )


def _train_mask(
    images: Sequence[RangeImage],
    settings: ModelSettings,
    generator: torch.Generator,
    progress: Callable[[FitProgress], None] | None,
) -> Parameters:
    """A function of its own, so that the samples, which are large, are freed when it returns."""
    samples = MaskSamples([image.valid for image in images])
    return train_by_code_length(
        mask_field(),
        {},
        lambda: samples.draw(settings.batch_size, generator),
        CodeLengthSettings(settings.mask_steps, settings.mask_rate, settings.seed),
        progress,
    )


@contextmanager
def _few_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(min(MOST_THREADS, threads))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _named(
    progress: Callable[[str, FitProgress], None] | None, name: str
) -> Callable[[FitProgress], None] | None:
    return None if progress is None else lambda step: progress(name, step)


@dataclass(frozen=True)
class ModelCost:
    """Mean size of the layers of some scans with an entropy model.

    Attributes:
        mask_bytes: Size of the mask layer.
        bits_per_point: Bits of the ranges layer for each point, by max_error in metres.
    """

    mask_bytes: float
    bits_per_point: dict[float, float]


def measure_model(
    entropy_model: EntropyModel,
    images: Sequence[RangeImage],
    max_errors: Sequence[float] = MEASURED_ERRORS,
) -> ModelCost:
    """Encode scans with an entropy model and count the bytes.

    Args:
        entropy_model: The model to measure.
        images: Held-out scans, at least one; each has valid pixels.
        max_errors: Values of max_error, metres.
    """
    masks = [len(MASK.pack(Source(image, entropy_model))) for image in images]
    bits = {
        max_error: float(
            np.mean([_bits_per_point(entropy_model, image, max_error) for image in images])
        )
        for max_error in max_errors
    }
    return ModelCost(float(np.mean(masks)), bits)


def _bits_per_point(entropy_model: EntropyModel, image: RangeImage, max_error: float) -> float:
    section = RANGES.pack(Source(image, entropy_model, {"max_error": max_error}))
    return 8 * len(section) / image.valid_count
