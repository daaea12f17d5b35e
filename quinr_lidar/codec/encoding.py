"""Range image -> bytes -> range image: a scan's layers in their container.

One file, three layers, each of use without the next: the preview (a field of coordinates), the
mask (which pixels were measured, exactly) and the ranges of those, within a bound. The last two
are coded with conditional fields, which an entropy model holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.codec.decoding import decode
from quinr_lidar.codec.field_codec import fit_values
from quinr_lidar.codec.profiles import Profile, get_profile
from quinr_lidar.container import Header, ImageHeader, Section, pack
from quinr_lidar.entropy.models import EntropyModel, choose_model
from quinr_lidar.errors import GeometryError
from quinr_lidar.fields import Field, ParameterArrays
from quinr_lidar.geometry import RangeImage
from quinr_lidar.layers.mask import pack_mask
from quinr_lidar.layers.ranges import pack_ranges
from quinr_lidar.layers.threshold import best_threshold
from quinr_lidar.metrics.images import psnr
from quinr_lidar.training import FitProgress, FitResult


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """A file and how it came about.

    Attributes:
        data: The file.
        fit: Course and result of the preview's training.
        threshold: Decoded ranges at or above it are invalid, metres; ``None`` where a mask says
            which are.
        parameters: Trained parameters before quantisation, for a warm start.
        float_psnr: Whole-image PSNR of the preview before quantisation, dB; with a mask, of the
            valid pixels' values in an otherwise exact image.
        psnr: Whole-image PSNR of the decoded file, dB.
    """

    data: bytes
    fit: FitResult
    threshold: float | None
    parameters: ParameterArrays
    float_psnr: float
    psnr: float


def encode(range_image: RangeImage, profile: str | Profile = "paper", **overrides: Any) -> bytes:
    """Compress a range image into the bytes of a ``.quinr`` file.

    Args:
        range_image: At least one pixel must be measured.
        profile: A name of :data:`quinr_lidar.codec.profiles.PROFILES`, or a profile.
        **overrides: Settings of the profile to change, for instance ``steps=300``.

    Raises:
        GeometryError: the image holds no valid pixel.
        ProfileError: an unknown profile or setting, or a value out of range.
        TrainingError: training diverged.
    """
    return encode_frame(range_image, profile, **overrides).data


def encode_frame(
    image: RangeImage,
    profile: str | Profile = "paper",
    *,
    field: Field | None = None,
    start: ParameterArrays | None = None,
    entropy_models: Iterable[EntropyModel] = (),
    progress: Callable[[FitProgress], None] | None = None,
    **overrides: Any,
) -> EncodedFrame:
    """Like :func:`encode`, and tells how it went.

    Args:
        image: At least one pixel must be measured.
        profile: A name or a profile.
        field: Another field than the profile's, for comparison; two inputs, one output.
        start: ParameterArrays to start from, for instance the previous frame's (see
            :func:`~quinr_lidar.codec.inspection.read_parameters`); the profile's settings of a
            warm start then apply.
        entropy_models: Beside the built-in ones, for a profile that names one of them.
        progress: Called now and then while it trains, see :func:`~quinr_lidar.training.fit`.
        **overrides: Settings of the profile to change.

    Raises:
        GeometryError, PriorError, ProfileError, TrainingError: as :func:`encode`.
    """
    settings = get_profile(profile).with_overrides(**overrides)
    if not image.valid.any():
        raise GeometryError("the range image holds no valid pixel, there is nothing to encode")
    header = Header(image.projection, image.no_return)
    entropy_models = tuple(entropy_models)  # asked twice
    # Before the training: a bound that cannot be kept is found in milliseconds.
    further = _further_sections(image, settings, entropy_models)
    fitted = fit_values(
        (image.filled() / np.float32(image.no_return))[..., None],
        field or settings.field(),
        settings,
        framing_bytes(header, settings.target_bytes),
        masked=not further,
        counted=image.valid if further else None,
        start=start,
        progress=progress,
    )
    threshold = None if further else best_threshold(fitted.values[..., 0], image.valid)
    data = pack(header, [Section("preview", fitted.payload(threshold)), *further])
    return EncodedFrame(
        data=data,
        fit=fitted.fit,
        threshold=None if threshold is None else threshold * image.no_return,
        parameters=fitted.parameters,
        float_psnr=fitted.float_psnr if not further else _measured_psnr(image, fitted.before),
        psnr=fitted.psnr
        if not further
        else _psnr(image, decode(data, entropy_models=entropy_models)),
    )


def _further_sections(
    image: RangeImage, settings: Profile, entropy_models: Iterable[EntropyModel]
) -> list[Section]:
    if settings.layers == 1:
        return []
    entropy_model = choose_model(settings.entropy_model, entropy_models)
    sections = [Section("mask", pack_mask(image.valid, entropy_model))]
    if settings.layers > 2:
        payload = pack_ranges(
            image.ranges, image.valid, entropy_model, settings.max_error, settings.relative_error
        )
        sections.append(Section("ranges", payload))
    return sections


def _measured_psnr(image: RangeImage, values: NDArray[np.float64]) -> float:
    decoded = np.where(image.valid, values[..., 0], 1.0)
    return psnr(image.filled() / np.float64(image.no_return), decoded, max_value=1.0)


def _psnr(image: RangeImage, decoded: RangeImage) -> float:
    return psnr(image.filled(), decoded.filled(), max_value=image.no_return)


def framing_bytes(header: Header | ImageHeader, target_bytes: int | None) -> int:
    """Bytes of a file of about this size that are not its preview's payload."""
    section = Section("preview", bytes(target_bytes or 0))
    return len(pack(header, [section])) - len(section.payload)
