"""Layer 1, the preview: a quINR's sizes, its mask threshold and its quantised parameters.

Tensors of two and more values are quantised, either all to the same number of bits
(:mod:`quinr_lidar.training.quantization`) or each class on a grid of its own
(:mod:`quinr_lidar.training.rounding`); the few scalars (embedding scale, output scale and
offset) are float16. See docs/format.md.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray

from quinr_lidar.bitstream.grids import pack_classes, unpack_classes
from quinr_lidar.bitstream.primitives import ByteReader, pack_bits, unpack_bits, varint
from quinr_lidar.errors import BitstreamError, CircuitError, TrainingError
from quinr_lidar.fields import Parameters, QuinrField
from quinr_lidar.fields.field import parameter_count, unflatten
from quinr_lidar.training.quantization import (
    MAX_BITS,
    MIN_BITS,
    QuantizedTensor,
    dequantize,
    quantize,
)
from quinr_lidar.training.rounding import RoundedClass, parameter_classes

THRESHOLD_STEPS = (1 << 16) - 1
SCALARS = ("embedding_scale", "output_scale", "output_offset")

_ZSTD, _UPPER, _ITERATED, _SEED, _W0, _GRIDS = 1, 2, 4, 8, 16, 32
_KNOWN_FLAGS = _ZSTD | _UPPER | _ITERATED | _SEED | _W0 | _GRIDS
_ZSTD_LEVEL = 22
_MAX_ZSTD_WINDOW = 1 << 23


@dataclass(frozen=True, eq=False)
class Preview:
    """A decoded preview section.

    Attributes:
        field: The field's sizes.
        parameters: float64 tensors [1, ...], exactly what every decoder sees.
        bits: Width of quantised parameters; their mean where classes differ.
        threshold: Values at or above it are unmeasured; a multiple of 1 / 65535 in [0, 1].
    """

    field: QuinrField
    parameters: Parameters
    bits: float
    threshold: float


def pack_preview(field: QuinrField, parameters: Parameters, bits: int, threshold: float) -> bytes:
    """Quantise one frame's parameters and write the section.

    Args:
        field: The field's sizes; one output, two inputs.
        parameters: Tensors [1, ...].
        bits: Width of quantised parameters, 2..16.
        threshold: In [0, 1]; rounded to a multiple of 1 / 65535.

    Raises:
        TrainingError: a parameter is not finite or too large to be written.
    """
    body = _pack_parameters(field, parameters, bits)
    compressed = _compressor().compress(body)
    if len(compressed) < len(body):
        return _head(field, _ZSTD, bits, threshold) + compressed
    return _head(field, 0, bits, threshold) + body


def pack_rounded_preview(
    field: QuinrField,
    values: NDArray[np.float64],
    rounded: list[RoundedClass],
    threshold: float,
) -> bytes:
    """Write the section from parameters on grids of their classes.

    Args:
        field: The field's sizes; one output, two inputs.
        values: [S], of which the scalars are taken.
        rounded: As :func:`~quinr_lidar.training.rounding.round_parameters` gives it.
        threshold: In [0, 1]; rounded to a multiple of 1 / 65535.

    Raises:
        TrainingError: a scalar is too large to be written.
    """
    scalars = b"".join(
        _pack_float16(name, tensor.numpy())
        for name, tensor in unflatten(field, torch.from_numpy(values)[None]).items()
        if name.startswith(SCALARS)
    )
    body = scalars + pack_classes(parameter_classes(field, SCALARS), rounded)
    return _head(field, _GRIDS, 1, threshold) + body


def _head(field: QuinrField, flags: int, bits: int, threshold: float) -> bytes:
    flags |= (
        (_UPPER if field.pairs == "upper" else 0)
        | (_ITERATED if (field.stages, field.entangling_layers) != (1, 1) else 0)
        | (_SEED if field.shuffle_seed else 0)
        | (_W0 if field.w0 != QuinrField(1, 1, 1).w0 else 0)
    )
    head = bytes((flags, field.qubits - 1 << 4 | bits - 1))
    head += varint(field.features) + varint(field.blocks)
    if flags & _ITERATED:
        head += bytes((field.stages - 1 << 4 | field.entangling_layers,))
    if flags & _SEED:
        head += struct.pack("<I", field.shuffle_seed)
    if flags & _W0:
        head += struct.pack("<f", field.w0)
    return head + struct.pack("<H", round(threshold * THRESHOLD_STEPS))


def unpack_preview(payload: bytes, start: int = 0) -> Preview:
    """Read the section.

    Args:
        payload: The section's bytes.
        start: Their offset in the file, for error messages.

    Raises:
        BitstreamError: the bytes describe no field, or too few or too many parameters.
    """
    reader = ByteReader(payload, "preview", start)
    flags = reader.byte("flags")
    if flags & ~_KNOWN_FLAGS:
        raise reader.error(f"unknown flags 0x{flags:02x}; a newer quinr-lidar may read it")
    sizes = reader.byte("qubits and bits")
    bits = (sizes & 0x0F) + 1
    if flags & _GRIDS and (bits != 1 or flags & _ZSTD):
        raise reader.error("classes have grids of their own, but a width or zstd is given")
    if not flags & _GRIDS and bits < MIN_BITS:
        raise reader.error(f"bits: expected {MIN_BITS}..{MAX_BITS}, got {bits}")
    features, blocks = reader.varint("features"), reader.varint("blocks")
    iterated = reader.byte("stages") if flags & _ITERATED else 1
    seed = int(reader.number("I", "shuffle seed")) if flags & _SEED else 0
    w0 = reader.number("f", "w0") if flags & _W0 else QuinrField(1, 1, 1).w0
    threshold = reader.number("H", "threshold") / THRESHOLD_STEPS
    try:
        field = QuinrField(
            qubits=(sizes >> 4) + 1,
            features=features,
            blocks=blocks,
            entangling_layers=iterated & 0x0F,
            stages=(iterated >> 4) + 1,
            pairs="upper" if flags & _UPPER else "ordered",
            shuffle_seed=seed,
            w0=w0,
        )
    except CircuitError as error:
        raise reader.error(str(error)) from error
    if flags & _GRIDS:
        parameters, mean_bits = _unpack_rounded(reader, field)
        return Preview(field, parameters, mean_bits, threshold)
    parameters = _unpack_parameters(reader, field, bits, compressed=bool(flags & _ZSTD))
    return Preview(field, parameters, bits, threshold)


def _pack_parameters(field: QuinrField, parameters: Parameters, bits: int) -> bytes:
    """Float16 scalars, then a step byte for each tensor without period, then all symbols."""
    scalars, steps, symbols = bytearray(), bytearray(), []
    canonical = field.canonical({name: tensor.double() for name, tensor in parameters.items()})
    for name in field.shapes:
        values = canonical[name][0].cpu().numpy()
        if name.startswith(SCALARS):
            scalars += _pack_float16(name, values)
            continue
        if not field.wraps(name):
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
    reader: ByteReader, field: QuinrField, bits: int, *, compressed: bool
) -> Parameters:
    scalars = {n: s for n, s in field.shapes.items() if n.startswith(SCALARS)}
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
        parameters[name] = _tensor(values, shape)
    return parameters


def _unpack_scalars(body: ByteReader, shapes: dict[str, tuple[int, ...]]) -> Parameters:
    parameters: Parameters = {}
    for name, shape in shapes.items():
        values = np.frombuffer(body.take(2 * math.prod(shape), name), "<f2")
        if not np.isfinite(values).all():
            raise body.error(f"{name}: expected finite values")
        parameters[name] = _tensor(values.astype(np.float64), shape)
    return parameters


def _unpack_rounded(reader: ByteReader, field: QuinrField) -> tuple[Parameters, float]:
    """Parameters on grids of their classes, and the mean bits of one."""
    shapes = {n: s for n, s in field.shapes.items() if n.startswith(SCALARS)}
    scalars = _unpack_scalars(reader, shapes)
    classes = parameter_classes(field, SCALARS)
    values, mean_bits = unpack_classes(reader, classes)
    if reader.remaining:
        raise reader.error(f"{reader.remaining} bytes are left after the parameters")
    flat = np.zeros((1, parameter_count(field)))
    for each, part in zip(classes, values, strict=True):
        flat[0, each.index] = part
    return unflatten(field, torch.from_numpy(flat)) | scalars, mean_bits


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


def _tensor(values: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values).reshape(1, *shape))


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
