"""The model of one layer: a conditional field with its quantised parameters, and its bytes."""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.arrays import to_numpy
from quinr_lidar.byte_io import ByteReader, pack_bits, unpack_bits, varint
from quinr_lidar.circuit.native import native_spec
from quinr_lidar.errors import CircuitError, TrainingError
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.fields.field import ParameterArrays, Parameters
from quinr_lidar.kernel import load_kernel

MAX_DIMENSIONS = 4
_PERIODS = {"rotations": 2 * math.pi, "controlled": 4 * math.pi}
"""A whole turn of a qubit is a global phase, unless another qubit controls it."""
_LARGEST, _LARGEST_ANGLE = 1e6, 8192.0
"""The largest parameters that the strict kernel takes."""


@dataclass(frozen=True)
class ModelShape:
    """What a layer asks of its model.

    Attributes:
        inputs: Numbers that the field is told about a pixel's surroundings.
        outputs: Numbers with which it describes the distribution of the pixel's value.
        further: Shapes of the parameters beside the field's, by name.
    """

    inputs: int
    outputs: int
    further: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    def field(self, widths: tuple[int, ...], qubits: int, blocks: int) -> ConditionalField:
        """A field of this shape, see :class:`~quinr_lidar.fields.conditional.ConditionalField`."""
        return ConditionalField(self.inputs, self.outputs, widths, qubits, blocks)

    def __str__(self) -> str:
        further = "".join(f", {name} {list(shape)}" for name, shape in self.further.items())
        return f"{self.inputs} inputs, {self.outputs} outputs{further}"


@dataclass(frozen=True, eq=False)
class LayerModel:
    """One layer's field and its quantised parameters.

    Attributes:
        field: Sizes of the field.
        parameters: float32 arrays, exactly what every decoder sees: those of the field, then
            any further ones that the layer asks for.
    """

    field: ConditionalField
    parameters: ParameterArrays

    @property
    def further(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters that are not the field's, by name."""
        return {
            name: values.shape
            for name, values in self.parameters.items()
            if name not in self.field.shapes
        }

    @cached_property
    def strict(self) -> Any:
        """The field on the strict kernel: the same bits on every machine.

        Raises:
            BackendError: the kernel cannot be loaded.
        """
        names = [f"{kind}{k}" for kind in ("weight", "bias") for k in range(len(self.field.widths))]
        flat = {name: self.parameters[name].reshape(-1) for name in self.field.shapes}
        layers = len(self.field.widths)
        return load_kernel().StrictField(
            native_spec(self.field.circuit),
            self.field.inputs,
            self.field.outputs,
            list(self.field.widths),
            np.concatenate([flat[name] for name in names[:layers]]),
            np.concatenate([flat[name] for name in names[layers:]]),
            float(flat["embedding_scale"][0]),
            flat["rotations"],
            flat["controlled"],
            flat["readout"],
            flat["offset"],
        )


def pack_name(name: str) -> bytes:
    """A name of letters and digits: its length, then ASCII."""
    return bytes((len(name),)) + name.encode("ascii")


def unpack_name(reader: ByteReader, what: str) -> str:
    """The inverse of :func:`pack_name`.

    Raises:
        BitstreamError: the bytes are no name.
    """
    name = reader.take(reader.byte(what), what)
    if not (name.isascii() and name.decode("ascii").isidentifier()):
        raise reader.error(f"{what}: expected letters and digits, got {name!r}")
    return name.decode("ascii")


def pack_layer(
    field: ConditionalField, parameters: Parameters | ParameterArrays, bits: int
) -> bytes:
    """Quantise the model of a layer and write its bytes.

    Args:
        field: Sizes of the field.
        parameters: The field's parameters, and any further ones.
        bits: Width of a quantised parameter.

    Raises:
        TrainingError: a parameter is not finite.
    """
    further = {n: tuple(v.shape) for n, v in parameters.items() if n not in field.shapes}
    packed = varint(field.inputs) + varint(field.outputs)
    packed += bytes((len(field.widths),)) + b"".join(varint(width) for width in field.widths)
    packed += bytes((field.qubits, field.blocks, len(further)))
    for name, shape in further.items():
        packed += pack_name(name) + bytes((len(shape),)) + b"".join(map(varint, shape))
    half = 1 << (bits - 1)
    for name in (*field.shapes, *further):
        values = to_numpy(parameters[name]).astype(np.float64).reshape(-1)
        if not np.isfinite(values).all():
            raise TrainingError(f"entropy model: {name} is not finite")
        if (period := _PERIODS.get(name)) is not None:
            values = np.mod(values + period / 2, period) - period / 2
        step = np.float32(max(np.abs(values).max(initial=0), 1e-6) / (half - 1))
        symbols = np.clip(np.rint(values / float(step)), 1 - half, half - 1).astype(np.int64)
        packed += struct.pack("<f", step) + pack_bits((symbols + half).astype(np.uint32), bits)
    return packed


def unpack_layer(reader: ByteReader, bits: int) -> LayerModel:
    """Read the model of a layer.

    Raises:
        BitstreamError: the bytes describe no field, or a number is out of range.
    """
    inputs, outputs = reader.varint("inputs"), reader.varint("outputs")
    widths = tuple(reader.varint("width") for _ in range(reader.byte("sine layers")))
    qubits, blocks = reader.byte("qubits"), reader.byte("blocks")
    try:
        field = ConditionalField(inputs, outputs, widths, qubits, blocks)
    except CircuitError as error:
        raise reader.error(str(error)) from error
    further = _unpack_shapes(reader, field)
    shapes = (field.shapes | further).items()
    return LayerModel(field, {n: _unpack_values(reader, n, shape, bits) for n, shape in shapes})


def _unpack_shapes(reader: ByteReader, field: ConditionalField) -> dict[str, tuple[int, ...]]:
    """The shapes of a layer's further parameters."""
    shapes: dict[str, tuple[int, ...]] = {}
    for _ in range(reader.byte("further parameters")):
        name = unpack_name(reader, "name of a parameter")
        if name in shapes or name in field.shapes:
            raise reader.error(f"parameter {name} occurs twice")
        dimensions = reader.byte("dimensions")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise reader.error(f"{name}: expected 1..{MAX_DIMENSIONS} dimensions, got {dimensions}")
        shapes[name] = tuple(reader.varint(name) for _ in range(dimensions))
    return shapes


def _unpack_values(
    reader: ByteReader, name: str, shape: tuple[int, ...], bits: int
) -> NDArray[np.float32]:
    step = np.float32(reader.number("f", "step"))
    if not (np.isfinite(step) and 0 < step < 1e3):
        raise reader.error(f"step of {name}: expected a number in (0, 1000), got {step}")
    count = math.prod(shape)
    packed = reader.take(-(-count * bits // 8), name)
    symbols = unpack_bits(packed, count, bits).astype(np.int64) - (1 << (bits - 1))
    # One multiplication in float32: the same number on every machine.
    values = symbols.astype(np.float32) * step
    largest = _LARGEST_ANGLE if name in _PERIODS else _LARGEST
    if np.abs(values).max(initial=0) > largest:
        raise reader.error(f"{name}: expected numbers up to {largest:g}")
    return values.reshape(shape)
