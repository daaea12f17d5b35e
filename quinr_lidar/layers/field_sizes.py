"""The sizes of a field, whatever its kind, at the head of a section (docs/format.md).

All kinds share one layout: flags, qubits and bits, features and blocks, and what the flags
announce. A quINR of one value with one sine layer and no read-out matrix is written without a kind.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from quinr_lidar.byte_io import ByteReader, varint
from quinr_lidar.errors import CircuitError, TrainingError
from quinr_lidar.fields import Field, FourierField, QirenField, QuinrField, SirenField
from quinr_lidar.fields.field import parameter_count

ZSTD, GRIDS, MODELLED = 1, 32, 128
_ITERATED, _SEED, _W0, _KIND = 4, 8, 16, 64
_UNUSED = 2
_DEFAULT_W0 = 30.0

MAX_PARAMETERS = 1 << 22
"""Far more than makes sense: a hostile file must not be able to ask for all memory."""

KINDS = ("quinr", "siren", "fourier-relu", "fourier-tanh", "qiren")
"""Names of the kinds; their numbers are part of the format."""


@dataclass
class _Sizes:
    """The numbers of the shared layout."""

    kind: int = 0
    outputs: int = 1
    readout: int = 0
    sine_layers: int = 1
    qubits: int = 1
    features: int = 1
    blocks: int = 1
    stages: int = 1
    entangling_layers: int = 1
    seed: int = 0
    w0: float = _DEFAULT_W0
    width: int = 0
    deviations: tuple[float, ...] = ()


def kind_of(field: Field) -> str:
    """The name of a field's kind, one of :data:`KINDS`."""
    return KINDS[_sizes(field).kind]


def pack_field(field: Field, coding: int, bits: int) -> bytes:
    """The head of a section.

    Args:
        field: A field of two inputs.
        coding: How parameters follow: :data:`ZSTD`, :data:`GRIDS`, the latter with
            :data:`MODELLED`, or 0.
        bits: Width of a symbol, 1..16.

    Raises:
        TrainingError: a file cannot hold such a field.
    """
    if field.inputs != 2:
        raise TrainingError(f"a file holds fields of two coordinates, got {field.inputs}")
    sizes = _sizes(field)
    plain = (sizes.kind, sizes.outputs, sizes.readout, sizes.sine_layers) == (0, 1, 0, 1)
    iterated = (sizes.stages, sizes.entangling_layers) != (1, 1)
    flags = coding | (_ITERATED if iterated else 0)
    flags |= (_SEED if sizes.seed else 0) | (_W0 if sizes.w0 != _DEFAULT_W0 else 0)
    flags |= 0 if plain else _KIND
    head = bytes((flags, sizes.qubits - 1 << 4 | bits - 1))
    if not plain:
        head += bytes((sizes.outputs - 1 << 4 | sizes.kind,))
    head += varint(sizes.features) + varint(sizes.blocks)
    if not plain:
        head += _pack_extras(sizes)
    if iterated:
        head += bytes((sizes.stages - 1 << 4 | sizes.entangling_layers,))
    if sizes.seed:
        head += struct.pack("<I", sizes.seed)
    if flags & _W0:
        head += struct.pack("<f", sizes.w0)
    return head


def unpack_field(reader: ByteReader) -> tuple[Field, int, int]:
    """The field, and how its parameters follow: coding flags and bits.

    Raises:
        BitstreamError: the bytes describe no field.
    """
    flags = reader.byte("flags")
    if flags & _UNUSED:
        raise reader.error("flags: bit 1 is set; a newer quinr-lidar may read it")
    packed = reader.byte("qubits and bits")
    sizes = _Sizes(qubits=(packed >> 4) + 1)
    if flags & _KIND:
        kind = reader.byte("kind")
        sizes.kind, sizes.outputs = kind & 0x0F, (kind >> 4) + 1
        if sizes.kind >= len(KINDS):
            raise reader.error(f"unknown kind {sizes.kind}; a newer quinr-lidar may read it")
    sizes.features, sizes.blocks = reader.varint("features"), reader.varint("blocks")
    if flags & _KIND:
        _unpack_extras(reader, sizes)
    if flags & _ITERATED:
        iterated = reader.byte("stages")
        sizes.stages, sizes.entangling_layers = (iterated >> 4) + 1, iterated & 0x0F
    if flags & _SEED:
        sizes.seed = int(reader.number("I", "seed"))
    if flags & _W0:
        sizes.w0 = reader.number("f", "w0")
    try:
        field = _field(sizes)
    except CircuitError as error:
        raise reader.error(str(error)) from error
    if parameter_count(field) > MAX_PARAMETERS:
        raise reader.error(
            f"expected at most {MAX_PARAMETERS} parameters, got {parameter_count(field)}"
        )
    return field, flags & (ZSTD | GRIDS | MODELLED), (packed & 0x0F) + 1


def _pack_extras(sizes: _Sizes) -> bytes:
    if sizes.kind == 0:
        return varint(sizes.readout) + bytes((sizes.sine_layers,))
    if sizes.deviations:
        return varint(sizes.width) + struct.pack("<2e", *sizes.deviations)
    return b""


def _unpack_extras(reader: ByteReader, sizes: _Sizes) -> None:
    if sizes.kind == 0:
        sizes.readout = reader.varint("readout")
        sizes.sine_layers = reader.byte("sine layers")
    elif KINDS[sizes.kind].startswith("fourier"):
        sizes.width = reader.varint("width")
        sizes.deviations = tuple(reader.number("e", "deviation") for _ in range(2))


def _sizes(field: Field) -> _Sizes:
    match field:
        case QuinrField():
            return _Sizes(
                outputs=field.outputs,
                readout=field.readout,
                sine_layers=field.sine_layers,
                qubits=field.qubits,
                features=field.features,
                blocks=field.blocks,
                stages=field.stages,
                entangling_layers=field.entangling_layers,
                seed=field.shuffle_seed,
                w0=field.w0,
            )
        case SirenField():
            return _Sizes(1, field.outputs, features=field.width, blocks=field.layers, w0=field.w0)
        case FourierField():
            return _Sizes(
                2 if field.activation == "relu" else 3,
                field.outputs,
                features=field.features,
                blocks=field.layers,
                seed=field.seed,
                width=field.width,
                deviations=field.deviations,
            )
        case QirenField():
            return _Sizes(
                4,
                field.outputs,
                qubits=field.qubits,
                features=field.qubits,
                blocks=field.blocks,
                stages=field.stages,
                entangling_layers=field.entangling_layers,
            )
    raise TrainingError(f"a file cannot hold a {type(field).__name__}")


def _field(sizes: _Sizes) -> Field:
    common: dict[str, Any] = {"outputs": sizes.outputs}
    match KINDS[sizes.kind]:
        case "quinr":
            return QuinrField(
                sizes.qubits,
                sizes.features,
                sizes.blocks,
                sizes.entangling_layers,
                sizes.stages,
                shuffle_seed=sizes.seed,
                w0=sizes.w0,
                readout=sizes.readout,
                sine_layers=sizes.sine_layers,
                **common,
            )
        case "siren":
            return SirenField(sizes.features, sizes.blocks, w0=sizes.w0, **common)
        case "fourier-relu" | "fourier-tanh" as kind:
            return FourierField(
                sizes.features,
                sizes.width,
                sizes.blocks,
                "relu" if kind == "fourier-relu" else "tanh",
                deviations=sizes.deviations,
                seed=sizes.seed,
                **common,
            )
    return QirenField(sizes.qubits, sizes.blocks, sizes.stages, sizes.entangling_layers, **common)
