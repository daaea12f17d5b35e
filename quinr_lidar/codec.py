"""Range image -> bytes -> range image: a scan's field in its container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from quinr_lidar.bitstream import (
    Container,
    Header,
    ImageHeader,
    Preview,
    Section,
    pack,
    unpack,
    unpack_preview,
)
from quinr_lidar.bitstream.container import LAYERS, VERSION
from quinr_lidar.bitstream.field_sizes import kind_of
from quinr_lidar.bitstream.threshold import best_threshold
from quinr_lidar.errors import BitstreamError, GeometryError
from quinr_lidar.field_codec import Window, check_work, evaluate_grid, fit_values
from quinr_lidar.fields import Field, Parameters
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.fields.quinr import Simulator
from quinr_lidar.geometry import RangeImage
from quinr_lidar.profiles import Profile, get_profile
from quinr_lidar.training import FitProgress, FitResult

_NOT_STORED = ("inputs", "frequencies")
"""What a file does not say of a field: always two, and of no use once it is trained."""


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
    """What a file says about itself; sizes in bytes, angles in degrees, ranges in metres.

    Attributes:
        version: Of the format.
        total_bytes: Of the file.
        header_bytes: Before the first section.
        sections: Bytes of each layer's payload.
        content: "scan" or "image".
        height: Rows.
        width: Columns.
        scan: Field of view, fill and threshold; empty for an image.
        kind: Of the field, one of :data:`~quinr_lidar.bitstream.field_sizes.KINDS`.
        field: Its sizes.
        parameters: Of the field.
        bits: Mean width of a quantised parameter.
    """

    version: int
    total_bytes: int
    header_bytes: int
    sections: dict[str, int]
    content: Literal["scan", "image"]
    height: int
    width: int
    scan: dict[str, float]
    kind: str
    field: dict[str, Any]
    parameters: int
    bits: float

    def as_dict(self) -> dict[str, Any]:
        """All of it in one flat dictionary (sections apart), ready for JSON."""
        flat = asdict(self)
        scan, field = flat.pop("scan"), flat.pop("field")
        return flat | scan | field


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
    field: Field | None = None,
    start: Parameters | None = None,
    progress: Callable[[FitProgress], None] | None = None,
    **overrides: Any,
) -> EncodedFrame:
    """Like :func:`encode`, and tells how it went.

    Args:
        image: At least one pixel must be measured.
        profile: A name or a profile.
        field: Another field than the profile's, for comparison; two inputs, one output.
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
    header = Header(image.projection, image.fill)
    fitted = fit_values(
        (image.filled() / np.float32(image.fill))[..., None],
        field or settings.field(),
        settings,
        framing_bytes(header, settings.target_bytes),
        masked=True,
        start=start,
        progress=progress,
    )
    threshold = best_threshold(fitted.values[..., 0], image.measured)
    return EncodedFrame(
        data=pack(header, [Section("preview", fitted.payload(threshold))]),
        fit=fitted.fit,
        threshold=threshold * image.fill,
        parameters=fitted.parameters,
        float_psnr=fitted.float_psnr,
        psnr=fitted.psnr,
    )


def decode(
    data: bytes,
    layers: int | None = None,
    *,
    height: int | None = None,
    width: int | None = None,
    window: Window | None = None,
    simulate: Simulator | None = None,
) -> RangeImage:
    """Reconstruct a range image from the bytes of a ``.quinr`` file.

    Args:
        data: A whole file.
        layers: Stop after this many layers; ``None`` decodes all the file has.
        height: Rows to evaluate the field at, instead of the scan's. The image then is
            ``interpolated``: the field of view is the same, its rows lie elsewhere.
        width: Columns, likewise.
        window: Evaluate this part only; pixels outside are unmeasured and hold ``fill``.
        simulate: Runs the circuits instead of the backend, see
            :func:`quinr_lidar.quantum.devices.device_probabilities`.

    Returns:
        The image. ``ranges`` holds the field's value in every pixel, so that the paper's
        whole-image PSNR can be computed; ``measured`` tells which of them are points.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version, or hold a picture.
        GeometryError: a size is out of range.
        BackendError: the simulator cannot run the file's circuits.
        ValueError: ``layers`` is not positive, or the window reaches beyond the image.
    """
    if layers is not None and layers < 1:
        raise ValueError(f"layers: expected at least 1, got {layers}")
    container, preview = parse(data)
    header, threshold = container.header, preview.threshold
    if not isinstance(header, Header) or threshold is None:
        raise BitstreamError("header", 0, "holds a picture, not a scan; decode it as an image")
    original = header.projection
    projection = replace(original, height=height or original.height, width=width or original.width)
    if (reason := check_work(preview, projection.height, projection.width)) is not None:
        raise GeometryError(f"{projection.height} x {projection.width} pixels: {reason}")
    values = np.ones((projection.height, projection.width))
    inside = window.slices if window else (slice(None), slice(None))
    values[inside] = evaluate_grid(
        preview.field,
        preview.parameters,
        projection.height,
        projection.width,
        window,
        simulate,
    )[..., 0]
    return RangeImage(
        ranges=(values * header.fill).astype(np.float32),
        measured=values < threshold,
        projection=projection,
        fill=header.fill,
        interpolated=projection != original,
    )


def read_parameters(data: bytes) -> Parameters:
    """A file's parameters as they were quantised: float32 tensors [1, ...], for a warm start.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
    """
    _, preview = parse(data)
    return {name: tensor.float() for name, tensor in preview.parameters.items()}


def inspect(data: bytes) -> FileInfo:
    """What a file holds, a scan or a picture, without evaluating its field.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
    """
    container, preview = parse(data)
    header, field = container.header, preview.field
    scan: dict[str, float] = {}
    if isinstance(header, Header) and preview.threshold is not None:
        scan = {
            "fov_up": header.projection.fov_up,
            "fov_down": header.projection.fov_down,
            "fill": header.fill,
            "threshold": preview.threshold * header.fill,
        }
    sizes = asdict(field)  # pyright: ignore[reportArgumentType] (all kinds are dataclasses)
    sizes = {name: value for name, value in sizes.items() if name not in _NOT_STORED}
    height, width = header.size
    return FileInfo(
        version=VERSION,
        total_bytes=len(data),
        header_bytes=container.header_bytes,
        sections={section.layer: len(section.payload) for section in container.sections},
        content="scan" if scan else "image",
        height=height,
        width=width,
        scan=scan,
        kind=kind_of(field),
        field=sizes,
        parameters=parameter_count(field),
        bits=preview.bits,
    )


def framing_bytes(header: Header | ImageHeader, target_bytes: int | None) -> int:
    """Bytes of a file of about this size that are not its preview's payload."""
    section = Section("preview", bytes(target_bytes or 0))
    return len(pack(header, [section])) - len(section.payload)


def parse(data: bytes) -> tuple[Container, Preview]:
    """A file's header and preview.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
    """
    container = unpack(data)
    for section in container.sections[1:]:
        number = LAYERS.index(section.layer) + 1
        raise BitstreamError(
            section.layer,
            section.start,
            f"layer {number} cannot be read by this version; a newer quinr-lidar may read it",
        )
    section = container.sections[0]
    masked = isinstance(container.header, Header)
    preview = unpack_preview(section.payload, section.start, masked=masked)
    if masked and preview.field.outputs != 1:
        raise BitstreamError(
            "preview", section.start, f"a scan has one value, got {preview.field.outputs}"
        )
    if (reason := check_work(preview, *container.header.size)) is not None:
        raise BitstreamError("preview", section.start, reason)
    return container, preview
