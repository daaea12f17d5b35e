"""The ``.quinr`` container: header, then one checksummed section a layer (docs/format.md).

Which sections there are, and in which order, is the registry's affair
(:mod:`quinr_lidar.layers.registry`); nothing in here knows what they mean. Parsing
allocates nothing but slices of its input.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass

from quinr_lidar.byte_io import ByteReader, signed_varint, varint
from quinr_lidar.errors import BitstreamError, GeometryError
from quinr_lidar.geometry import SphericalProjection
from quinr_lidar.geometry.projection import MAX_PIXELS, MAX_SIDE
from quinr_lidar.layers.registry import LAYERS, NAMES, REQUIRED, missing_needs

MAGIC = b"QINR"
VERSION = 1
SPHERICAL = 0
_LAYER_BITS = (1, 2, 4, 32, 64, 128)
"""Flags of the sections 1 to 6: whether the file holds them."""
_CUSTOM_PROJECTION = 0b0000_1000
_IMAGE = 0b0001_0000
_TAG_BITS = 3
_MAX_DECIMALS = 6


@dataclass(frozen=True)
class Header:
    """What every layer needs to know.

    Attributes:
        projection: The image's size and field of view.
        no_return: Maximum measured range of the original image, metres (exactly a float32).
    """

    projection: SphericalProjection
    no_return: float

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.projection.height, self.projection.width


@dataclass(frozen=True)
class ImageHeader:
    """Header of a picture: its height and width in pixels.

    Raises:
        ValueError: a size is out of range.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        if not (1 <= self.height <= MAX_SIDE and 1 <= self.width <= MAX_SIDE):
            raise ValueError(f"expected sides of 1..{MAX_SIDE}, got {self.height} x {self.width}")
        if self.height * self.width > MAX_PIXELS:
            raise ValueError(
                f"expected at most {MAX_PIXELS} pixels, got {self.height} x {self.width}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.height, self.width


@dataclass(frozen=True)
class Section:
    """One layer's bytes; ``start`` is their offset in the file (0 when packing)."""

    layer: str
    payload: bytes
    start: int = 0


@dataclass(frozen=True)
class Container:
    """A parsed file.

    Attributes:
        header: The header of a scan or of a picture.
        layers: Names of all layers in the file, in the order of their sections.
        sections: The sections that were asked for, in the same order.
        header_bytes: Size of what comes before the first section.
    """

    header: Header | ImageHeader
    layers: tuple[str, ...]
    sections: tuple[Section, ...]
    header_bytes: int

    def section(self, layer: str) -> Section | None:
        """The section of a layer, where the file has it and it was asked for."""
        return next((one for one in self.sections if one.layer == layer), None)

    def require(self, layer: str) -> Section:
        """The section of a layer.

        Raises:
            BitstreamError: the file does not have it, or it was not asked for.
        """
        if (section := self.section(layer)) is None:
            raise BitstreamError(layer, 0, "the file has no such layer, or it was not read")
        return section


def pack(header: Header | ImageHeader, sections: list[Section]) -> bytes:
    """Put sections, in the order of their numbers, into a file."""
    flags = sum(_flag(section.layer) for section in sections)
    if isinstance(header, ImageHeader):
        head = MAGIC + bytes((VERSION, flags | _IMAGE))
        head += varint(header.height) + varint(header.width)
    elif header.projection != SphericalProjection():
        head = MAGIC + bytes((VERSION, flags | _CUSTOM_PROJECTION))
        head += _pack_projection(header.projection) + struct.pack("<f", header.no_return)
    else:
        head = MAGIC + bytes((VERSION, flags)) + struct.pack("<f", header.no_return)
    data = bytearray(head)
    for section in sections:
        tag = varint(len(section.payload) << _TAG_BITS | LAYERS[section.layer].number)
        data += tag + struct.pack("<I", _checksum(head, tag, section.payload)) + section.payload
    return bytes(data)


def unpack(data: bytes, layers: Collection[str] = NAMES) -> Container:
    """Parse a file and verify the checksums of what is asked for.

    Args:
        data: A whole file; sections behind the last one that is asked for may be cut off.
        layers: Which sections are wanted. The others may be damaged.

    Raises:
        BitstreamError: the bytes are not a file of a known version, or a section that is wanted
            is not intact.
    """
    reader = ByteReader(data, "header")
    if reader.take(min(len(data), len(MAGIC)), "magic") != MAGIC:
        raise BitstreamError("header", 0, "not a .quinr file (it does not start with 'QINR')")
    version = reader.byte("version")
    if version != VERSION:
        raise BitstreamError(
            "header",
            len(MAGIC),
            f"format version {version}, but this software reads version {VERSION}; "
            "a newer quinr-lidar may read it",
        )
    flags = reader.byte("flags")
    if flags & ~sum(map(_flag, NAMES), _CUSTOM_PROJECTION | _IMAGE):
        raise reader.error(f"unknown flags 0x{flags:02x}; a newer quinr-lidar may read it")
    present = tuple(name for name in NAMES if flags & _flag(name))
    if REQUIRED not in present:
        raise reader.error(f"no {REQUIRED} layer")
    if (missing := missing_needs(present)) is not None:
        raise reader.error(missing)
    if flags & _IMAGE and (flags & _CUSTOM_PROJECTION or len(present) > 1):
        raise reader.error("an image has neither a projection nor further layers")
    header = _unpack_image(reader) if flags & _IMAGE else _unpack_scan(reader, flags)
    head = data[: reader.position]
    sections = []
    for layer in present:
        if any(one in layers for one in present[present.index(layer) :]):
            section = _unpack_section(reader, head, layer, verify=layer in layers)
            if layer in layers:
                sections.append(section)
    if reader.remaining and max(present, key=NAMES.index) in layers:
        raise reader.error(f"{reader.remaining} bytes after the last section")
    return Container(header, present, tuple(sections), len(head))


def _flag(layer: str) -> int:
    return _LAYER_BITS[LAYERS[layer].number - 1]


def _unpack_image(reader: ByteReader) -> ImageHeader:
    try:
        return ImageHeader(reader.varint("height"), reader.varint("width"))
    except ValueError as error:
        raise reader.error(str(error)) from error


def _unpack_scan(reader: ByteReader, flags: int) -> Header:
    custom = bool(flags & _CUSTOM_PROJECTION)
    projection = _unpack_projection(reader) if custom else SphericalProjection()
    no_return = reader.number("f", "no_return")
    if not (math.isfinite(no_return) and no_return > 0):
        raise reader.error(f"no_return: expected a positive range in metres, got {no_return}")
    return Header(projection, no_return)


def _unpack_section(reader: ByteReader, head: bytes, layer: str, *, verify: bool) -> Section:
    reader.section = layer
    start = reader.position
    tag = reader.varint("section tag")
    number, size = tag & (1 << _TAG_BITS) - 1, tag >> _TAG_BITS
    if number != LAYERS[layer].number:
        raise reader.error(f"expected section {LAYERS[layer].number}, got {number}")
    tag_bytes = reader.data[start : reader.position]
    checksum = int(reader.number("I", "checksum"))
    payload_start = reader.position
    payload = reader.take(size, "payload")
    if verify and _checksum(head, tag_bytes, payload) != checksum:
        raise BitstreamError(layer, start, "checksum mismatch, the file is damaged")
    return Section(layer, payload, payload_start)


def _checksum(head: bytes, tag: bytes, payload: bytes) -> int:
    """CRC-32 of a section and of the header before it: no byte of a file goes unchecked."""
    return zlib.crc32(payload, zlib.crc32(tag, zlib.crc32(head)))


def _pack_projection(projection: SphericalProjection) -> bytes:
    """Kind and decimals in one byte, sizes, and the field of view in 10^-decimals degrees."""
    edges = (projection.fov_up, projection.fov_down)
    decimals = next(
        (d for d in range(_MAX_DECIMALS) if all(_is_multiple(edge, d) for edge in edges)),
        _MAX_DECIMALS,
    )
    packed = bytes((decimals << 4 | SPHERICAL,))
    packed += varint(projection.height) + varint(projection.width)
    return packed + b"".join(signed_varint(round(edge * 10**decimals)) for edge in edges)


def _is_multiple(edge: float, decimals: int) -> bool:
    return round(edge * 10**_MAX_DECIMALS) % 10 ** (_MAX_DECIMALS - decimals) == 0


def _unpack_projection(reader: ByteReader) -> SphericalProjection:
    kind = reader.byte("projection")
    decimals = kind >> 4
    if kind & 0x0F != SPHERICAL or decimals > _MAX_DECIMALS:
        raise reader.error(f"unknown projection 0x{kind:02x}; a newer quinr-lidar may read it")
    height, width = reader.varint("height"), reader.varint("width")
    edges = [reader.signed_varint(name) / 10**decimals for name in ("fov_up", "fov_down")]
    try:
        return SphericalProjection(height, width, *edges)
    except GeometryError as error:
        raise reader.error(str(error)) from error
