"""The section of a field: its sizes, a threshold and its quantised parameters.

Tensors are quantised, either all to the same number of bits
(:mod:`quinr_lidar.quantization.uniform`) or each class on a grid of its own
(:mod:`quinr_lidar.quantization.rounding`); the few scalars (of a quINR: embedding scale, output
scale and offset) are float16. A file with a mask layer, or of a picture, has no threshold. See
docs/format.md.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from quinr_lidar.arrays import to_numpy
from quinr_lidar.byte_io import ByteReader, pack_bits, unpack_bits
from quinr_lidar.errors import BitstreamError, TrainingError
from quinr_lidar.fields import Field, ParameterArrays, Parameters
from quinr_lidar.fields.field import parameter_count, unflatten
from quinr_lidar.layers.field_sizes import GRIDS, MODELLED, ZSTD, pack_field, unpack_field
from quinr_lidar.quantization.classes import RoundedClass, parameter_classes
from quinr_lidar.quantization.grids import can_be_modelled, pack_classes, unpack_classes
from quinr_lidar.quantization.uniform import (
    MAX_BITS,
    MIN_BITS,
    QuantizedTensor,
    dequantize,
    quantize,
)

THRESHOLD_STEPS = (1 << 16) - 1
_ZSTD_LEVEL = 22
_MAX_ZSTD_WINDOW = 1 << 23


@dataclass(frozen=True, eq=False)
class Preview:
    """A decoded preview section.

    Attributes:
        field: The field's sizes.
        parameters: float64 arrays [1, ...], exactly what every decoder sees.
        bits: Width of quantised parameters; their mean where classes differ.
        threshold: Values at or above it are invalid; a multiple of 1 / 65535 in [0, 1], or
            ``None`` for an image without a mask.
    """

    field: Field
    parameters: ParameterArrays
    bits: float
    threshold: float | None


def pack_preview(
    field: Field,
    parameters: Parameters | ParameterArrays,
    bits: int,
    threshold: float | None,
) -> bytes:
    """Quantise one frame's parameters and write the section.

    Args:
        field: The field's sizes; two inputs.
        parameters: Tensors or NumPy arrays [1, ...].
        bits: Width of quantised parameters, 2..16.
        threshold: Values at or above it are invalid; in [0, 1], rounded to a multiple of
            1 / 65535. ``None`` for a file with a mask, or of a picture.

    Raises:
        TrainingError: a parameter is not finite or too large to be written.
    """
    body = _pack_parameters(field, parameters, bits)
    compressed = _compressor().compress(body)
    if len(compressed) < len(body):
        return pack_field(field, ZSTD, bits) + _pack_threshold(threshold) + compressed
    return pack_field(field, 0, bits) + _pack_threshold(threshold) + body


def pack_rounded_preview(
    field: Field,
    values: NDArray[np.float64],
    rounded: list[RoundedClass],
    threshold: float | None,
) -> bytes:
    """Write the section from parameters on grids of their classes.

    Args:
        field: The field's sizes; two inputs.
        values: All parameters, float64 [S]; the scalars are taken from it.
        rounded: The classes on their grids, as
            :func:`~quinr_lidar.quantization.rounding.round_parameters` gives them.
        threshold: Values at or above it are invalid; in [0, 1], rounded to a multiple of
            1 / 65535. ``None`` for a file with a mask, or of a picture.

    Raises:
        TrainingError: a scalar is too large to be written.
    """
    scalars = b"".join(
        _pack_float16(name, scalar)
        for name, scalar in unflatten(field, values[None]).items()
        if name.startswith(field.scalars)
    )
    classes = parameter_classes(field)
    modelled = can_be_modelled(classes)
    body = scalars + pack_classes(classes, rounded, modelled=modelled)
    coding = GRIDS | MODELLED if modelled else GRIDS
    return pack_field(field, coding, 1) + _pack_threshold(threshold) + body


def _pack_threshold(threshold: float | None) -> bytes:
    return b"" if threshold is None else struct.pack("<H", round(threshold * THRESHOLD_STEPS))


def unpack_preview(payload: bytes, start: int = 0, *, masked: bool = True) -> Preview:
    """Read the section.

    Args:
        payload: The section's bytes.
        start: Their offset in the file, for error messages.
        masked: Whether the section has a threshold.

    Raises:
        BitstreamError: the bytes describe no field, or too few or too many parameters.
    """
    reader = ByteReader(payload, "preview", start)
    field, coding, bits = unpack_field(reader)
    if coding & GRIDS and (bits != 1 or coding & ZSTD):
        raise reader.error("classes have grids of their own, but a width or zstd is given")
    if coding & MODELLED and not coding & GRIDS:
        raise reader.error("symbols are modelled, but classes have no grids")
    if not coding & GRIDS and bits < MIN_BITS:
        raise reader.error(f"bits: expected {MIN_BITS}..{MAX_BITS}, got {bits}")
    threshold = reader.number("H", "threshold") / THRESHOLD_STEPS if masked else None
    if coding & GRIDS:
        parameters, mean_bits = _unpack_rounded(reader, field, modelled=bool(coding & MODELLED))
        return Preview(field, parameters, mean_bits, threshold)
    parameters = _unpack_parameters(reader, field, bits, compressed=bool(coding & ZSTD))
    return Preview(field, parameters, bits, threshold)


def _pack_parameters(field: Field, parameters: Parameters | ParameterArrays, bits: int) -> bytes:
    """Float16 scalars, then a step byte for each tensor without period, then all symbols."""
    scalars, steps, symbols = bytearray(), bytearray(), []
    doubles = {name: to_numpy(tensor).astype(np.float64) for name, tensor in parameters.items()}
    canonical = field.canonical(doubles)
    for name in field.shapes:
        values = canonical[name][0]
        if name.startswith(field.scalars):
            scalars += _pack_float16(name, values)
            continue
        if name in field.periods and not field.wraps(name):
            # +pi must not become -pi, which a symbol more would mean.
            values = np.minimum(values, math.pi * (1 - 2.0 ** (1 - bits)))
        tensor = quantize(values, bits, field.periods.get(name))
        if tensor.step_code is not None:
            steps.append(tensor.step_code)
        symbols.append(tensor.symbols.reshape(-1))
    return bytes(scalars + steps) + pack_bits(np.concatenate(symbols), bits)


def _pack_float16(name: str, values: np.ndarray) -> bytes:
    with np.errstate(over="ignore"):
        halves = values.astype("<f2")
    if not np.isfinite(halves).all():
        raise TrainingError(f"{name}: expected values below 65504, got {values.tolist()}")
    return halves.tobytes()


def _unpack_parameters(
    reader: ByteReader, field: Field, bits: int, *, compressed: bool
) -> ParameterArrays:
    scalars = {n: s for n, s in field.shapes.items() if n.startswith(field.scalars)}
    tensors = {n: s for n, s in field.shapes.items() if n not in scalars}
    steps = sum(name not in field.periods for name in tensors)
    count = sum(math.prod(shape) for shape in tensors.values())
    size = 2 * (parameter_count(field) - count) + steps + (count * bits + 7) // 8
    body = _body(reader, size, compressed=compressed)
    parameters = _unpack_scalars(body, scalars)
    codes = [None if name in field.periods else body.byte(name) for name in tensors]
    symbols = unpack_bits(body.take(body.remaining, "symbols"), count, bits)
    position = 0
    for (name, shape), code in zip(tensors.items(), codes, strict=True):
        part = symbols[position : position + math.prod(shape)]
        position += len(part)
        values = dequantize(QuantizedTensor(part, bits, code), field.periods.get(name))
        parameters[name] = values.reshape(1, *shape)
    return parameters


def _unpack_scalars(body: ByteReader, shapes: dict[str, tuple[int, ...]]) -> ParameterArrays:
    parameters: ParameterArrays = {}
    for name, shape in shapes.items():
        values = np.frombuffer(body.take(2 * math.prod(shape), name), "<f2")
        if not np.isfinite(values).all():
            raise body.error(f"{name}: expected finite values")
        parameters[name] = values.astype(np.float64).reshape(1, *shape)
    return parameters


def _unpack_rounded(
    reader: ByteReader, field: Field, *, modelled: bool
) -> tuple[ParameterArrays, float]:
    """Parameters on grids of their classes, and the mean bits of one."""
    shapes = {n: s for n, s in field.shapes.items() if n.startswith(field.scalars)}
    scalars = _unpack_scalars(reader, shapes)
    classes = parameter_classes(field)
    values, mean_bits = unpack_classes(reader, classes, modelled=modelled)
    if reader.remaining:
        raise reader.error(f"{reader.remaining} bytes are left after the parameters")
    flat = np.zeros((1, parameter_count(field)))
    for each, part in zip(classes, values, strict=True):
        flat[0, each.index] = part
    return dict(unflatten(field, flat)) | scalars, mean_bits


def _body(reader: ByteReader, size: int, *, compressed: bool) -> ByteReader:
    """The parameter bytes, which must be exactly as many as the field needs."""
    start = reader.start + reader.position
    data = reader.take(reader.remaining, "parameters")
    if compressed:
        try:
            # One byte more than expected is asked for, so that a longer stream shows.
            with _decompressor().stream_reader(data) as stream:
                data = stream.read(size + 1)
        except zstandard.ZstdError as error:
            raise BitstreamError("preview", start, f"zstd: {error}") from error
    if len(data) != size:
        found = "more" if len(data) > size else str(len(data))
        raise BitstreamError("preview", start, f"expected {size} parameter bytes, got {found}")
    return ByteReader(data, "preview", start)


def _compressor() -> zstandard.ZstdCompressor:
    """Without magic number, size and checksum: the container has its own."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _ZSTD_LEVEL,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=0,
        write_checksum=0,
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


def _decompressor() -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(
        format=zstandard.FORMAT_ZSTD1_MAGICLESS, max_window_size=_MAX_ZSTD_WINDOW
    )
