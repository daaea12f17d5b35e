"""Range image -> bytes: a scan's layers in their container.

Layers that need no training are written first, so that an image which cannot be coded is refused
within milliseconds; then the preview's field is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from quinr_lidar.codec.decoding import decode
from quinr_lidar.codec.field_fitting import FittedValues, fit_values
from quinr_lidar.codec.inspection import inspect
from quinr_lidar.codec.profiles import Profile, get_profile
from quinr_lidar.container import Header, ImageHeader, Section, pack
from quinr_lidar.entropy.models import EntropyModel, choose_model
from quinr_lidar.errors import GeometryError
from quinr_lidar.fields import Field, ParameterArrays
from quinr_lidar.geometry import RangeImage
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.registry import LAYERS, REQUIRED
from quinr_lidar.metrics.images import psnr
from quinr_lidar.training import FitProgress, FitResult

DEFAULT_PROFILE = "bounded"
"""Files of this profile keep every range within 2 cm."""


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """A file and how it came about. Figures are computed when somebody asks for them.

    Attributes:
        data: The file.
        image: The original.
        fitted: The preview's trained and rounded field.
        masked: Whether a mask layer says which pixels were measured.
        entropy_models: Models that the file may be decoded with, beside the built-in ones.
    """

    data: bytes
    image: RangeImage
    fitted: FittedValues
    masked: bool
    entropy_models: tuple[EntropyModel, ...] = ()

    @property
    def fit(self) -> FitResult:
        """Course and result of the preview's training."""
        return self.fitted.fit

    @property
    def parameters(self) -> ParameterArrays:
        """Trained parameters before quantisation, for a warm start."""
        return self.fitted.parameters

    @property
    def threshold(self) -> float | None:
        """Decoded ranges at or above it are invalid, metres; ``None`` where a mask says which."""
        return inspect(self.data).scan.get("threshold")

    @cached_property
    def preview_psnr(self) -> float:
        """Whole-image PSNR of the preview, dB; with a mask, invalid pixels are exact."""
        return self._psnr_of(self.fitted.values)

    @cached_property
    def float_psnr(self) -> float:
        """As :attr:`preview_psnr`, before quantisation."""
        return self._psnr_of(self.fitted.float_values)

    @cached_property
    def psnr(self) -> float:
        """Whole-image PSNR of the decoded file, dB."""
        decoded = decode(self.data, entropy_models=self.entropy_models)
        return psnr(self.image.filled(), decoded.ranges, max_value=self.image.no_return)

    def _psnr_of(self, values: np.ndarray) -> float:
        """The PSNR of a decoder's ranges with these values of the field."""
        no_return = self.image.no_return
        ranges = (values[..., 0] * np.float32(no_return)).astype(np.float32)
        if self.masked:
            ranges = np.where(self.image.valid, ranges, np.float32(no_return))
        return psnr(self.image.filled(), ranges, max_value=no_return)


def encode(
    range_image: RangeImage,
    profile: str | Profile = DEFAULT_PROFILE,
    *,
    entropy_models: Iterable[EntropyModel] = (),
    **overrides: Any,
) -> bytes:
    """Compress a range image into the bytes of a ``.quinr`` file.

    Args:
        range_image: An image with at least one valid pixel.
        profile: A name of :data:`quinr_lidar.codec.profiles.PROFILES`, or a profile. By default
            every decoded range is within 2 cm of the original.
        entropy_models: Models beside the built-in ones, for a profile that names one of them.
        **overrides: Settings of the profile to change, for instance ``max_error=0.05``.

    Raises:
        EntropyModelError: the profile's entropy model is not at hand.
        GeometryError: the image holds no valid pixel, or the largest error cannot be kept.
        ProfileError: an unknown profile or setting, or a value out of range.
        TrainingError: training diverged.
    """
    return encode_frame(range_image, profile, entropy_models=entropy_models, **overrides).data


def encode_frame(
    image: RangeImage,
    profile: str | Profile = DEFAULT_PROFILE,
    *,
    field: Field | None = None,
    start: ParameterArrays | None = None,
    entropy_models: Iterable[EntropyModel] = (),
    progress: Callable[[FitProgress], None] | None = None,
    **overrides: Any,
) -> EncodedFrame:
    """Like :func:`encode`, and tells how it went.

    Args:
        image: An image with at least one valid pixel.
        profile: A name or a profile.
        field: A field to train instead of the profile's, for comparison; two inputs, one output.
        start: Parameters to start from, see :meth:`FrameEncoder.encode`.
        entropy_models: Models beside the built-in ones, for a profile that names one of them.
        progress: Called while it trains, see :func:`~quinr_lidar.training.fitting.fit`.
        **overrides: Settings of the profile to change.

    Raises:
        EntropyModelError, GeometryError, ProfileError, TrainingError: as :func:`encode`.
    """
    settings = get_profile(profile).with_overrides(**overrides)
    encoder = FrameEncoder(image, settings, field=field, entropy_models=entropy_models)
    return encoder.encode(start, progress)


class FrameEncoder:
    """Encodes one range image, from several starts if need be: only the preview depends on them.

    Args:
        image: An image with at least one valid pixel.
        settings: The profile.
        field: A field to train instead of the profile's; two inputs, one output.
        entropy_models: Models beside the built-in ones, for a profile that names one of them.

    Raises:
        EntropyModelError: the profile's entropy model is not at hand.
        GeometryError: the image holds no valid pixel, or the largest error cannot be kept.
    """

    def __init__(
        self,
        image: RangeImage,
        settings: Profile,
        *,
        field: Field | None = None,
        entropy_models: Iterable[EntropyModel] = (),
    ) -> None:
        if not image.valid.any():
            raise GeometryError("the range image holds no valid pixel, there is nothing to encode")
        self._settings, self._field = settings, field
        self._entropy_models = tuple(entropy_models)
        further = [name for name in settings.layers if name != REQUIRED]
        self._source = Source(
            image,
            choose_model(settings.entropy_model, self._entropy_models) if further else None,
            {name: getattr(settings, name) for one in further for name in LAYERS[one].settings},
            settings.layers,
        )
        self._further = [Section(name, LAYERS[name].pack(self._source)) for name in further]

    def encode(
        self,
        start: ParameterArrays | None = None,
        progress: Callable[[FitProgress], None] | None = None,
    ) -> EncodedFrame:
        """Train the preview and put the file together.

        Args:
            start: Parameters to start from, for instance the previous frame's (see
                :func:`~quinr_lidar.codec.inspection.read_parameters`); the profile's settings of
                a warm start then apply.
            progress: Called now and then while it trains.

        Raises:
            ProfileError: decoding the preview would take too much work.
            TrainingError: training diverged, or the field does not fit into ``target_bytes``.
        """
        image, settings = self._source.image, self._settings
        header = Header(image.projection, image.no_return)
        masked = "mask" in settings.layers
        fitted = fit_values(
            (image.filled() / np.float32(image.no_return))[..., None],
            self._field or settings.field(),
            settings,
            framing_bytes(header, settings.target_bytes),
            masked=not masked,
            counted=image.valid if masked else None,
            start=start,
            progress=progress,
        )
        preview = LAYERS[REQUIRED].pack(replace(self._source, fit=lambda: fitted))
        data = pack(header, [Section(REQUIRED, preview), *self._further])
        return EncodedFrame(data, image, fitted, masked, self._entropy_models)


def framing_bytes(header: Header | ImageHeader, target_bytes: int | None) -> int:
    """Bytes of a file of about this size that are not its preview's payload."""
    section = Section(REQUIRED, bytes(target_bytes or 0))
    return len(pack(header, [section])) - len(section.payload)
