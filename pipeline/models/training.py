"""Training an entropy model: its mask field, its ranges field, and their cost on other scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from quinr_lidar import RangeImage
from quinr_lidar.entropy.models import EntropyModel, pack_model
from quinr_lidar.entropy.samples import MaskSamples, RangeSamples
from quinr_lidar.fields import Parameters
from quinr_lidar.layers import mask as mask_layer
from quinr_lidar.layers import ranges as ranges_layer
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.mask import MASK
from quinr_lidar.layers.ranges import LINEAR, RANGES
from quinr_lidar.training import FitProgress
from quinr_lidar.training.code_length import (
    COMPONENTS,
    NEIGHBOURS,
    CodeLengthSettings,
    Trainable,
    train_by_code_length,
)

BOUNDS = (5e-4, 0.5)
"""Metres; each sample is seen at a bound between them. Wider ones are hardly different."""
MEASURED_BOUNDS = (0.01, 0.02, 0.05, 0.1)
"""Metres, of the figures on held-out scans."""

MASK_FIELD = mask_layer.MODEL.field((16,), qubits=4, blocks=2)
RANGES_FIELD = ranges_layer.MODEL.field((64, 32), qubits=4, blocks=2)
_LINEAR_WEIGHTS = 0.02


@dataclass(frozen=True)
class ModelSettings:
    """How an entropy model is trained.

    Attributes:
        mask_steps: Of the mask field.
        range_steps: Of the ranges field.
        mask_rate: Learning rate at its peak.
        range_rate: Likewise.
        batch_size: Pixels a step.
        bits: Of a quantised parameter.
        seed: Of first parameters and batches.
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
    """Train both fields and quantise them.

    Args:
        images: To learn from; at least one pixel is measured.
        settings: Of both trainings.
        progress: Called with "mask" or "ranges" after every step.

    Raises:
        GeometryError: nothing to learn from.
        TrainingError: training diverged.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    mask = _train_mask(images, settings, generator, _named(progress, "mask"))
    ranges = train_range_field(
        RANGES_FIELD, images, settings, generator, progress=_named(progress, "ranges")
    )
    return pack_model(
        {mask_layer.NAME: (MASK_FIELD, mask), ranges_layer.NAME: (RANGES_FIELD, ranges)},
        settings.bits,
    )


def train_range_field(
    field: Trainable,
    images: Sequence[RangeImage],
    settings: ModelSettings,
    generator: torch.Generator,
    max_errors: tuple[float, float] = BOUNDS,
    progress: Callable[[FitProgress], None] | None = None,
) -> Parameters:
    """Train a field on valid pixels; ``linear`` is among its parameters.

    Args:
        field: An entropy model's, or what it is held against.
        images: To learn from; at least one pixel is measured.
        settings: Of the ranges' training.
        generator: Of the first ``linear`` and of batches.
        max_errors: Each sample is seen at a bound between them, metres.
        progress: Called after every step.

    Raises:
        GeometryError: nothing to learn from.
        TrainingError: training diverged.
    """
    samples = RangeSamples(images)
    linear = torch.randn(COMPONENTS, NEIGHBOURS, generator=generator) * _LINEAR_WEIGHTS
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
    """A function of its own: the masks' samples, which are large, end with it."""
    samples = MaskSamples([image.valid for image in images])
    return train_by_code_length(
        MASK_FIELD,
        {},
        lambda: samples.draw(settings.batch_size, generator),
        CodeLengthSettings(settings.mask_steps, settings.mask_rate, settings.seed),
        progress,
    )


def _named(
    progress: Callable[[str, FitProgress], None] | None, name: str
) -> Callable[[FitProgress], None] | None:
    return None if progress is None else lambda step: progress(name, step)


@dataclass(frozen=True)
class ModelCost:
    """What an entropy model costs on some scans, from the bytes of its layers.

    Attributes:
        mask_bytes: Of a scan, mean.
        bits_per_point: Of the ranges layer by its bound in metres, mean over scans.
    """

    mask_bytes: float
    bits_per_point: dict[float, float]


def measure_model(
    entropy_model: EntropyModel,
    images: Sequence[RangeImage],
    max_errors: Sequence[float] = MEASURED_BOUNDS,
) -> ModelCost:
    """Code the layers of scans that the entropy model has not seen.

    Args:
        entropy_model: To measure.
        images: At least one; each has valid pixels.
        max_errors: Metres.
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
