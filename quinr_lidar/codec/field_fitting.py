"""Values on a grid -> a trained and rounded field: what range images and pictures share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quinr_lidar.arrays import to_numpy, to_tensors
from quinr_lidar.codec.profiles import Profile
from quinr_lidar.errors import ProfileError, TrainingError
from quinr_lidar.fields import Field, ParameterArrays, Parameters, pixel_coordinates
from quinr_lidar.fields.grid_values import evaluate_grid, excess_work
from quinr_lidar.layers.field_section import (
    Preview,
    pack_preview,
    pack_rounded_preview,
    unpack_preview,
)
from quinr_lidar.metrics.images import psnr
from quinr_lidar.quantization.rate_control import Rounder
from quinr_lidar.quantization.refit import Refitter
from quinr_lidar.quantization.uniform import MAX_BITS, MIN_BITS
from quinr_lidar.training import FitProgress, FitResult, fit
from quinr_lidar.training.gauss_newton import image_matrix

Payload = Callable[[float | None], bytes]
"""From the threshold of a mask (``None`` without one) to the preview section."""


@dataclass(frozen=True, eq=False)
class FittedValues:
    """A trained and rounded field. What it is worth is evaluated when somebody asks.

    Attributes:
        original: The values it was trained on, float32 [H, W, C] in [0, 1].
        payload: From the threshold (``None`` where there is none) to the preview's section.
        fit: Course and result of the training.
        field: Sizes of the trained field.
        parameters: Trained parameters before quantisation, float32.
        preview: Field and parameters as a decoder reads them.
    """

    original: NDArray[np.float32]
    payload: Payload
    fit: FitResult
    field: Field
    parameters: ParameterArrays
    preview: Preview

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """What a decoder will see: float64 [H, W, C] in [0, 1]."""
        height, width, _ = self.original.shape
        return evaluate_grid(self.preview.field, self.preview.parameters, height, width)

    @cached_property
    def float_values(self) -> NDArray[np.float64]:
        """Values of the parameters before quantisation: float64 [H, W, C] in [0, 1]."""
        height, width, _ = self.original.shape
        return evaluate_grid(self.field, self.parameters, height, width)

    @property
    def psnr(self) -> float:
        """PSNR of what a decoder will see over all pixels, dB of peak 1."""
        return psnr(self.original, self.values, max_value=1.0)

    @property
    def float_psnr(self) -> float:
        """PSNR before quantisation over all pixels, dB of peak 1."""
        return psnr(self.original, self.float_values, max_value=1.0)


def fit_values(
    values: NDArray[np.float32],
    field: Field,
    settings: Profile,
    framing: int,
    *,
    masked: bool,
    counted: NDArray[np.bool_] | None = None,
    start: ParameterArrays | None = None,
    progress: Callable[[FitProgress], None] | None = None,
) -> FittedValues:
    """Train a field on an image and round its parameters as a profile says.

    Args:
        values: The image, [H, W, C] in [0, 1].
        field: A field of two inputs and C outputs.
        settings: Settings of training and rounding; their field does not count.
        framing: Bytes of the file around the section, for ``target_bytes``.
        masked: Whether the section has a threshold.
        counted: Pixels that are trained on, [H, W]; all by default.
        start: Parameters to start from; the profile's settings of a warm start then apply.
        progress: Called now and then while it trains.

    Raises:
        ProfileError: decoding would take too much work.
        TrainingError: training diverged, or the field does not fit into ``target_bytes``.
    """
    height, width, channels = values.shape
    if (reason := excess_work(field, height, width)) is not None:
        raise ProfileError(
            f"profile {settings.name}: decoding a {height} x {width} image with this field {reason}"
        )
    targets = torch.from_numpy(np.ascontiguousarray(values)).view(1, -1, channels)
    samples = _Samples(pixel_coordinates(height, width), targets[0])
    if counted is not None:
        chosen = torch.from_numpy(np.ascontiguousarray(counted)).view(-1)
        samples = _Samples(samples.coordinates[chosen], samples.targets[chosen])
    trained, rounded = [], []
    for fitted in _trainings(field, samples, settings, start, progress):
        trained.append(fitted)
        rounded.append(_round(settings, field, fitted.parameters, samples, framing, masked))
    # The best file counts: the best training may be the one that rounding hurts most.
    best, fitted = min(zip(rounded, trained, strict=True), key=lambda pair: pair[0].error)
    return FittedValues(
        original=values,
        payload=best.payload,
        fit=replace(
            fitted,
            steps=sum(one.steps for one in trained),
            seconds=sum(one.seconds for one in trained),
        ),
        field=field,
        parameters={name: to_numpy(tensor) for name, tensor in fitted.parameters.items()},
        preview=best.preview,
    )


@dataclass(frozen=True, eq=False)
class _Samples:
    """An image's pixels: coordinates [P, 2] and targets [P, C]."""

    coordinates: Tensor
    targets: Tensor

    def error(self, field: Field, parameters: Parameters | ParameterArrays) -> float:
        """Mean squared error of the clipped values."""
        single = {
            name: torch.as_tensor(values).to(self.targets) for name, values in parameters.items()
        }
        with torch.no_grad():
            values = field.evaluate(single, self.coordinates[None])[0].clamp(0, 1)
        return torch.nan_to_num(values - self.targets, nan=1.0).square().mean().item()


def _trainings(
    field: Field,
    samples: _Samples,
    settings: Profile,
    start: ParameterArrays | None,
    progress: Callable[[FitProgress], None] | None,
) -> Iterator[FitResult]:
    """One from each of as many seeds as the profile restarts; a warm start has one."""
    training = settings.fit_settings(warm=start is not None)
    count = settings.restarts if start is None else 1
    tensors = None if start is None else to_tensors(start)
    for number in range(count):

        def advance(one: FitProgress, done: int = number * training.steps) -> None:
            if progress:
                progress(FitProgress(done + one.step, count * training.steps, one.loss))

        own = replace(training, seed=training.seed + number)
        targets = samples.targets[None]
        yield fit(field, samples.coordinates, targets, own, start=tensors, progress=advance)


@dataclass(frozen=True, eq=False)
class _Rounded:
    """Rounded parameters, and what a decoder makes of them.

    Attributes:
        payload: Writes the section.
        size: Bytes of the section.
        preview: The section as it is read.
        error: Mean squared error of its values.
    """

    payload: Payload
    size: int
    preview: Preview
    error: float


def _round(
    settings: Profile,
    field: Field,
    parameters: Parameters,
    samples: _Samples,
    framing: int,
    masked: bool,
) -> _Rounded:
    """Round parameters as the profile says; of all that is tried, the smallest error counts."""
    # Any threshold will do: it always takes the same bytes, and parameters do not depend on it.
    threshold = 0.0 if masked else None

    def judge(payload: Payload) -> _Rounded:
        data = payload(threshold)
        preview = unpack_preview(data, masked=masked)
        error = samples.error(preview.field, preview.parameters)
        return _Rounded(payload, len(data), preview, error)

    if settings.quantization == "uniform":
        return judge(partial(pack_preview, field, parameters, settings.bits))
    refit = None
    if settings.refit_groups > 1:
        refit = Refitter(
            field,
            samples.coordinates,
            samples.targets,
            batch_size=settings.batch_size,
            seed=settings.seed,
        )
    rounder = Rounder(
        field,
        parameters,
        image_matrix(field, parameters, samples.coordinates, settings.seed),
        samples.error(field, parameters),
        pack=partial(pack_rounded_preview, field, threshold=threshold),
        refit=refit,
        groups=settings.refit_groups,
    )
    budget = None if settings.target_bytes is None else settings.target_bytes - framing
    weighted = [
        judge(partial(pack_rounded_preview, field, one.values, one.classes))
        for one in rounder.candidates(settings.coarseness, budget)
    ]
    best = min(weighted, key=lambda one: one.error)
    equal = _equal_bits(field, parameters, best.size if budget is None else budget, threshold)
    return best if equal is None else min(best, judge(equal), key=lambda one: one.error)


def _equal_bits(
    field: Field, parameters: Parameters, budget: int, threshold: float | None
) -> Payload | None:
    """As many bits for every parameter as fit into a budget; ``None`` if not even 2 do.

    A step byte and a scale byte for each class are a large share of the smallest sections, and
    what the matrix knows of such coarse steps does not always earn them.
    """
    try:
        for bits in range(MAX_BITS, MIN_BITS - 1, -1):
            payload = partial(pack_preview, field, parameters, bits)
            if len(payload(threshold)) <= budget:
                return payload
    except TrainingError:  # a parameter is too large for so few bits
        pass
    return None
