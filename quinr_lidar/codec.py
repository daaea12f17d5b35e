"""Range image -> bytes -> range image: composes field, training and bitstream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quinr_lidar.bitstream import (
    Container,
    Header,
    Preview,
    Section,
    pack,
    pack_preview,
    unpack,
    unpack_preview,
)
from quinr_lidar.bitstream.container import LAYERS, VERSION
from quinr_lidar.bitstream.rate_control import Rounder
from quinr_lidar.bitstream.threshold import best_threshold
from quinr_lidar.errors import BitstreamError, GeometryError, ProfileError
from quinr_lidar.fields import Parameters, QuinrField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.geometry import RangeImage
from quinr_lidar.metrics import psnr
from quinr_lidar.profiles import Profile, get_profile
from quinr_lidar.training import FitProgress, FitResult, fit
from quinr_lidar.training.gauss_newton import image_matrix

MAX_WORK = 1 << 32
"""Pixels x states x entangling layers of a file: about a minute of simulation."""

_CHUNK_VALUES = 1 << 21


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """A file and how it came about.

    Attributes:
        data: The file.
        fit: Course and result of the training.
        threshold: Decoded ranges at or above it are unmeasured, metres.
        parameters: Trained parameters before quantisation, for a warm start.
        float_psnr: Whole-image PSNR before quantisation, dB.
        psnr: Whole-image PSNR of the decoded file, dB.
    """

    data: bytes
    fit: FitResult
    threshold: float
    parameters: Parameters
    float_psnr: float
    psnr: float


@dataclass(frozen=True)
class FileInfo:
    """What a file says about itself; sizes in bytes, angles in degrees, ranges in metres."""

    version: int
    total_bytes: int
    header_bytes: int
    sections: dict[str, int]
    height: int
    width: int
    fov_up: float
    fov_down: float
    fill: float
    threshold: float
    qubits: int
    features: int
    blocks: int
    entangling_layers: int
    stages: int
    pairs: str
    shuffle_seed: int
    w0: float
    parameters: int
    bits: float

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return asdict(self)


def encode(range_image: RangeImage, profile: str | Profile = "paper", **overrides: Any) -> bytes:
    """Compress a range image into the bytes of a ``.quinr`` file.

    Args:
        range_image: At least one pixel must be measured.
        profile: A name of :data:`quinr_lidar.profiles.PROFILES`, or a profile.
        **overrides: Settings of the profile to change, for instance ``steps=300``.

    Raises:
        GeometryError: the image holds no measured pixel.
        ProfileError: an unknown profile or setting, or a value out of range.
        TrainingError: training diverged.
    """
    return encode_frame(range_image, profile, **overrides).data


def encode_frame(
    image: RangeImage,
    profile: str | Profile = "paper",
    *,
    start: Parameters | None = None,
    progress: Callable[[FitProgress], None] | None = None,
    **overrides: Any,
) -> EncodedFrame:
    """Like :func:`encode`, and tells how it went.

    Args:
        image: At least one pixel must be measured.
        profile: A name or a profile.
        start: Parameters to start from, for instance the previous frame's (see
            :func:`read_parameters`); the profile's settings of a warm start then apply.
        progress: Called now and then while it trains, see :func:`~quinr_lidar.training.fit`.
        **overrides: Settings of the profile to change.

    Raises:
        GeometryError, ProfileError, TrainingError: as :func:`encode`.
    """
    settings = get_profile(profile).with_overrides(**overrides)
    if not image.measured.any():
        raise GeometryError("the range image holds no measured pixel, there is nothing to encode")
    field = settings.field()
    height, width = image.shape
    work = _work(field, height, width)
    if work > MAX_WORK:
        raise ProfileError(
            f"profile {settings.name}: a {height} x {width} image with this circuit takes "
            f"{work:.3g} state updates to decode, expected at most {MAX_WORK:.3g}"
        )
    scaled = image.filled() / np.float32(image.fill)
    targets = torch.from_numpy(scaled.reshape(1, -1, 1))
    coordinates = pixel_coordinates(height, width)
    training = settings.fit_settings(warm=start is not None)
    fitted = fit(field, coordinates, targets, training, start=start, progress=progress)
    float_values = _evaluate(field, fitted.parameters, height, width)
    header = Header(image.projection, image.fill)
    payload = _quantised(settings, field, fitted.parameters, targets[0], coordinates, header)
    # Written once to learn what a decoder will see, which is what the threshold must suit.
    rounded = unpack_preview(payload(0.0))
    values = _evaluate(rounded.field, rounded.parameters, height, width)
    threshold = best_threshold(values, image.measured)
    return EncodedFrame(
        data=pack(header, [Section("preview", payload(threshold))]),
        fit=fitted,
        threshold=threshold * image.fill,
        parameters=fitted.parameters,
        float_psnr=psnr(scaled, float_values, max_value=1.0),
        psnr=psnr(scaled, values, max_value=1.0),
    )


def _quantised(
    settings: Profile,
    field: QuinrField,
    parameters: Parameters,
    targets: Tensor,
    coordinates: Tensor,
    header: Header,
) -> Callable[[float], bytes]:
    """From a threshold to the preview section, parameters rounded as the profile says."""
    if settings.quantization == "uniform":
        return lambda threshold: pack_preview(field, parameters, settings.bits, threshold)

    def error(tensors: Parameters) -> float:
        values = field.evaluate(tensors, coordinates[None])[0].clamp(0, 1)
        return (values - targets).square().mean().item()

    matrix = image_matrix(field, parameters, coordinates, settings.seed)
    rounder = Rounder(field, parameters, matrix, error(parameters))
    budget = None
    if settings.target_bytes is not None:
        section = Section("preview", bytes(settings.target_bytes))
        framing = len(pack(header, [section])) - settings.target_bytes
        budget = settings.target_bytes - framing
    candidates = rounder.candidates(settings.coarseness, budget)
    return min(candidates, key=lambda rounded: error(rounded.parameters())).payload


def decode(data: bytes, layers: int | None = None) -> RangeImage:
    """Reconstruct a range image from the bytes of a ``.quinr`` file.

    Args:
        data: A whole file.
        layers: Stop after this many layers; ``None`` decodes all the file has.

    Returns:
        The image. ``ranges`` holds the field's value in every pixel, so that the paper's
        whole-image PSNR can be computed; ``measured`` tells which of them are points.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
        ValueError: ``layers`` is not positive.
    """
    if layers is not None and layers < 1:
        raise ValueError(f"layers: expected at least 1, got {layers}")
    container, preview = _parse(data)
    projection, fill = container.header.projection, container.header.fill
    values = _evaluate(preview.field, preview.parameters, projection.height, projection.width)
    return RangeImage(
        ranges=(values * fill).astype(np.float32),
        measured=values < preview.threshold,
        projection=projection,
        fill=fill,
    )


def read_parameters(data: bytes) -> Parameters:
    """A file's parameters as they were quantised: float32 tensors [1, ...], for a warm start.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
    """
    _, preview = _parse(data)
    return {name: tensor.float() for name, tensor in preview.parameters.items()}


def inspect(data: bytes) -> FileInfo:
    """What a file holds, without evaluating its field.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
    """
    container, preview = _parse(data)
    projection, field = container.header.projection, preview.field
    return FileInfo(
        version=VERSION,
        total_bytes=len(data),
        header_bytes=container.header_bytes,
        sections={section.layer: len(section.payload) for section in container.sections},
        height=projection.height,
        width=projection.width,
        fov_up=projection.fov_up,
        fov_down=projection.fov_down,
        fill=container.header.fill,
        threshold=preview.threshold * container.header.fill,
        qubits=field.qubits,
        features=field.features,
        blocks=field.blocks,
        entangling_layers=field.entangling_layers,
        stages=field.stages,
        pairs=field.pairs,
        shuffle_seed=field.shuffle_seed,
        w0=field.w0,
        parameters=parameter_count(field),
        bits=preview.bits,
    )


def _parse(data: bytes) -> tuple[Container, Preview]:
    container = unpack(data)
    for section in container.sections[1:]:
        number = LAYERS.index(section.layer) + 1
        raise BitstreamError(
            section.layer,
            section.start,
            f"layer {number} cannot be read by this version; a newer quinr-lidar may read it",
        )
    section = container.sections[0]
    preview = unpack_preview(section.payload, section.start)
    projection = container.header.projection
    work = _work(preview.field, projection.height, projection.width)
    if work > MAX_WORK:
        raise BitstreamError(
            "preview", section.start, f"takes {work:.3g} state updates, at most {MAX_WORK:.3g}"
        )
    return container, preview


def _work(field: QuinrField, height: int, width: int) -> int:
    layers = field.stages * field.blocks * (field.entangling_layers + 1)
    return height * width * layers * max(1 << field.qubits, field.features)


def _evaluate(
    field: QuinrField, parameters: Parameters, height: int, width: int
) -> NDArray[np.float64]:
    """The field's values clipped to [0, 1]: float64 [H, W].

    In float64 whatever the parameters' dtype: what two machines compute then differs by about
    1e-13, far below what the float32 ranges resolve. In chunks, so that the torch simulator's
    memory stays within some 100 MB whatever the image.
    """
    doubles = {name: tensor.double() for name, tensor in parameters.items()}
    coordinates = pixel_coordinates(height, width, torch.float64)
    chunk = max(1, _CHUNK_VALUES // max(1 << field.qubits, field.features))
    with torch.no_grad():
        parts = [
            field.evaluate(doubles, part[None]).clamp_(0, 1)[0, :, 0]
            for part in coordinates.split(chunk)
        ]
    # A hostile file can make values overflow; such pixels count as unmeasured.
    values = torch.nan_to_num(torch.cat(parts), nan=1.0)
    return values.view(height, width).numpy()
