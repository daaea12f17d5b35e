"""What a ``.quinr`` file says about itself, without evaluating its field."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from quinr_lidar.container import VERSION, Container, Header, unpack
from quinr_lidar.fields import ParameterArrays
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.layers.field_section import Preview
from quinr_lidar.layers.field_sizes import kind_of
from quinr_lidar.layers.layer import Draft
from quinr_lidar.layers.preview import PREVIEW, read_preview
from quinr_lidar.layers.registry import LAYERS, REQUIRED

_NOT_STORED = ("inputs", "frequencies")
"""What a file does not say of a field: always two, and of no use once it is trained."""


@dataclass(frozen=True)
class FileInfo:
    """What a file says about itself; sizes in bytes, angles in degrees, ranges in metres.

    Attributes:
        version: Version of the format.
        total_bytes: Size of the file.
        header_bytes: Size of what comes before the first section.
        sections: Size of each layer's payload.
        content: "scan" or "image".
        height: Rows.
        width: Columns.
        scan: Field of view, ``no_return``, and what layers say of themselves (a threshold, or the
            largest error); empty for an image.
        entropy_model: Name of the entropy model that the file was coded with; ``None`` without a
            mask.
        kind: Kind of the field, one of :data:`~quinr_lidar.layers.field_sizes.KINDS`.
        field: Sizes of the field.
        parameters: Number of the field's parameters.
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
    preview = preview_of(unpack(data, (REQUIRED,)))
    return {name: values.astype(np.float32) for name, values in preview.parameters.items()}


def inspect(data: bytes) -> FileInfo:
    """What a file holds, a scan or a picture, without evaluating its field.

    Raises:
        BitstreamError: the bytes are not an intact file of a known version.
    """
    container = unpack(data)
    preview, header = preview_of(container), container.header
    field = preview.field
    scan: dict[str, Any] = {}
    if isinstance(header, Header):
        projection = header.projection
        scan = {"fov_up": projection.fov_up, "fov_down": projection.fov_down}
        scan["no_return"] = header.no_return
        draft = Draft(projection, header.no_return, container.layers)
        for section in container.sections:
            scan |= LAYERS[section.layer].describe(section.payload, section.start, draft)
    entropy_model = scan.pop("entropy_model", None)
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
        entropy_model=entropy_model,
        kind=kind_of(field),
        field=sizes,
        parameters=parameter_count(field),
        bits=preview.bits,
    )


def preview_of(container: Container) -> Preview:
    """A file's field, not evaluated.

    Raises:
        BitstreamError: the section is not sound, was not asked for, or takes too much work.
    """
    section, header = container.require(REQUIRED), container.header
    if isinstance(header, Header):
        draft = Draft(header.projection, header.no_return, container.layers)
        return PREVIEW.read(section.payload, section.start, draft)
    return read_preview(section.payload, section.start, header.size)
