"""What a ``.quinr`` file says about itself, without evaluating its field."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from quinr_lidar.codec.grid_values import check_work
from quinr_lidar.container import VERSION, Container, Header, unpack
from quinr_lidar.errors import BitstreamError
from quinr_lidar.fields import ParameterArrays
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.layers.field_sizes import kind_of
from quinr_lidar.layers.mask import model_name
from quinr_lidar.layers.preview import Preview, unpack_preview
from quinr_lidar.layers.ranges import max_error_of

_NOT_STORED = ("inputs", "frequencies")
"""What a file does not say of a field: always two, and of no use once it is trained."""


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
        scan: Field of view and fill, and the threshold or the bound; empty for an image.
        entropy_model: Name of the entropy model that mask and ranges are coded with; ``None``
            without a mask.
        kind: Of the field, one of :data:`~quinr_lidar.layers.field_sizes.KINDS`.
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
    entropy_model: str | None
    kind: str
    field: dict[str, Any]
    parameters: int
    bits: float

    def as_dict(self) -> dict[str, Any]:
        """All of it in one flat dictionary (sections apart), ready for JSON."""
        flat = asdict(self)
        scan, field = flat.pop("scan"), flat.pop("field")
        return flat | scan | field


def read_parameters(data: bytes) -> ParameterArrays:
    """A file's parameters as they were quantised: float32 arrays [1, ...], for a warm start.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
    """
    preview = read_preview(unpack(data, ("preview",)))
    return {name: values.astype(np.float32) for name, values in preview.parameters.items()}


def inspect(data: bytes) -> FileInfo:
    """What a file holds, a scan or a picture, without evaluating its field.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
    """
    container = unpack(data)
    preview = read_preview(container)
    header, field = container.header, preview.field
    scan: dict[str, float] = {}
    if isinstance(header, Header):
        scan = {
            "fov_up": header.projection.fov_up,
            "fov_down": header.projection.fov_down,
            "no_return": header.no_return,
        }
        if preview.threshold is not None:
            scan["threshold"] = preview.threshold * header.no_return
        if (ranges := container.section("ranges")) is not None:
            scan |= max_error_of(ranges.payload, ranges.start)
    mask = container.section("mask")
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
        entropy_model=None if mask is None else model_name(mask.payload, mask.start),
        kind=kind_of(field),
        field=sizes,
        parameters=parameter_count(field),
        bits=preview.bits,
    )


def read_preview(container: Container) -> Preview:
    """A file's field; its threshold is ``None`` for a picture, and where a mask layer follows.

    Raises:
        BitstreamError: the section is not sound, was not asked for, or takes too much work.
    """
    section = container.require("preview")
    scan = isinstance(container.header, Header)
    masked = scan and "mask" not in container.layers
    preview = unpack_preview(section.payload, section.start, masked=masked)
    if scan and preview.field.outputs != 1:
        raise BitstreamError(
            "preview", section.start, f"a scan has one value, got {preview.field.outputs}"
        )
    if (reason := check_work(preview, *container.header.size)) is not None:
        raise BitstreamError("preview", section.start, reason)
    return preview
