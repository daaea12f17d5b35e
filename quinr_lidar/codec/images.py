"""Grey and colour pictures (Kodak) through the same fields, training and container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.codec.encoding import framing_bytes
from quinr_lidar.codec.field_fitting import FittedValues, fit_values
from quinr_lidar.codec.image_decoding import CHANNELS
from quinr_lidar.codec.profiles import Profile, get_profile
from quinr_lidar.container import ImageHeader, Section, pack
from quinr_lidar.errors import GeometryError
from quinr_lidar.fields import Field, ParameterArrays
from quinr_lidar.layers.registry import REQUIRED
from quinr_lidar.training import FitProgress, FitResult


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """A file and how it came about.

    Attributes:
        data: The file.
        fitted: The trained and rounded field.
    """

    data: bytes
    fitted: FittedValues

    @property
    def fit(self) -> FitResult:
        """Course and result of the training."""
        return self.fitted.fit

    @property
    def parameters(self) -> ParameterArrays:
        """Trained parameters before quantisation."""
        return self.fitted.parameters

    @cached_property
    def float_psnr(self) -> float:
        """PSNR before quantisation over all pixels and channels, dB."""
        return self.fitted.float_psnr

    @cached_property
    def psnr(self) -> float:
        """PSNR of what the file decodes to before it is rounded to 8 bits, dB."""
        return self.fitted.psnr


def encode_image(
    image: NDArray[np.uint8],
    profile: str | Profile = "paper",
    *,
    field: Field | None = None,
    progress: Callable[[FitProgress], None] | None = None,
    **overrides: Any,
) -> EncodedImage:
    """Compress a picture into the bytes of a ``.quinr`` file.

    Args:
        image: uint8 [H, W] grey, or [H, W, 3] RGB.
        profile: A name of :data:`quinr_lidar.codec.profiles.PROFILES`, or a profile.
        field: A field to train instead of the profile's; two inputs, one output for each channel.
        progress: Called now and then while it trains.
        **overrides: Settings of the profile to change.

    Raises:
        GeometryError: not a grey or RGB picture of 8 bits, or too large.
        ProfileError: an unknown profile or setting, or a value out of range.
        TrainingError: training diverged, or the field does not fit into ``target_bytes``.
    """
    settings = get_profile(profile).with_overrides(**overrides)
    values = as_values(image)
    height, width, channels = values.shape
    try:
        header = ImageHeader(height, width)
    except ValueError as error:
        raise GeometryError(f"image: {error}") from error
    fitted = fit_values(
        values,
        field or settings.field(channels),
        settings,
        framing_bytes(header, settings.target_bytes),
        masked=False,
        progress=progress,
    )
    return EncodedImage(pack(header, [Section(REQUIRED, fitted.payload(None))]), fitted)


def as_values(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture's values [H, W, C] in [0, 1].

    Raises:
        GeometryError: not a grey or RGB picture of 8 bits.
    """
    stacked = image[..., None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or stacked.ndim != 3 or stacked.shape[-1] not in CHANNELS:
        raise GeometryError(
            f"image: expected uint8 [H, W] or [H, W, 3], got {image.dtype} {list(image.shape)}"
        )
    return stacked.astype(np.float32) / np.float32(255)
