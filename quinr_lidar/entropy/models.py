"""Entropy models: conditional fields that code the layers of scans, trained once, used often.

A file names its entropy model by a hash of the model's bytes, and holds none of it. The package
ships the models in ``quinr_lidar/entropy/built_in``; others are given to the decoder by whoever
has them. A model is a field for each layer, by the layer's name; which sizes a layer's field must
have is the layer's own affair. Byte layout: docs/conditional-layers.md.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.arrays import to_numpy
from quinr_lidar.byte_io import ByteReader, pack_bits, unpack_bits, varint
from quinr_lidar.circuit.native import native_spec
from quinr_lidar.errors import BitstreamError, CircuitError, EntropyModelError, TrainingError
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.fields.field import ParameterArrays, Parameters
from quinr_lidar.kernel import load_kernel

MAGIC = b"QMOD"
VERSION = 1
DIGEST_BYTES = 8
MIN_BITS, MAX_BITS = 4, 16
SUFFIX = ".qmodel"
MAX_BYTES = 1 << 20
"""Far above any entropy model of the largest sizes."""

MAX_LAYERS = 16
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


@dataclass(frozen=True, eq=False)
class EntropyModel:
    """Fields that code the layers of scans.

    Attributes:
        layers: The model of each layer, by the layer's name.
        data: The whole entropy model as bytes.
    """

    layers: Mapping[str, LayerModel]
    data: bytes

    def __getitem__(self, layer: str) -> LayerModel:
        """The model of a layer.

        Raises:
            EntropyModelError: this entropy model has none for it.
        """
        try:
            return self.layers[layer]
        except KeyError:
            raise EntropyModelError(
                f"entropy model {self.name} codes {', '.join(self.layers)}, not {layer}"
            ) from None

    def layer(self, name: str, shape: ModelShape) -> LayerModel:
        """The model of a layer, if it is of the shape that the layer asks for.

        Raises:
            EntropyModelError: it is not, or this entropy model has none for the layer.
        """
        model = self[name]
        found = ModelShape(model.field.inputs, model.field.outputs, model.further)
        if found != shape:
            raise EntropyModelError(
                f"entropy model {self.name}: for {name} expected {shape}, got {found}"
            )
        return model

    @cached_property
    def digest(self) -> bytes:
        """The hash by which files name this entropy model."""
        return hashlib.sha256(self.data).digest()[:DIGEST_BYTES]

    @property
    def name(self) -> str:
        """The digest as hexadecimal digits."""
        return self.digest.hex()


def pack_model(
    layers: Mapping[str, tuple[ConditionalField, Parameters | ParameterArrays]], bits: int = 8
) -> EntropyModel:
    """Quantise trained fields.

    Args:
        layers: Field and parameters of each layer, by the layer's name. Parameters that the
            field does not know are stored as well, for the layer's own use.
        bits: Width of a quantised parameter, 4..16.

    Raises:
        TrainingError: a parameter is not finite, or ``bits`` is out of range.
    """
    if not MIN_BITS <= bits <= MAX_BITS:
        raise TrainingError(f"bits: expected {MIN_BITS}..{MAX_BITS}, got {bits}")
    body = MAGIC + bytes((VERSION, bits, len(layers)))
    for name, (field, parameters) in layers.items():
        body += _pack_name(name) + _pack_layer(field, parameters, bits)
    return unpack_model(body + struct.pack("<I", zlib.crc32(body)))


def unpack_model(data: bytes) -> EntropyModel:
    """Read an entropy model.

    Raises:
        BitstreamError: the bytes are not an intact entropy model of a known version.
    """
    reader = ByteReader(data, "entropy_model")
    if reader.take(min(len(data), len(MAGIC)), "magic") != MAGIC:
        raise BitstreamError(
            "entropy_model", 0, "not an entropy model (it does not start with 'QMOD')"
        )
    version = reader.byte("version")
    if version != VERSION:
        raise reader.error(
            f"entropy model version {version}, but this software reads version {VERSION}; "
            "a newer quinr-lidar may read it"
        )
    if len(data) > MAX_BYTES:
        raise reader.error(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    (checksum,) = struct.unpack("<I", data[-4:])
    if checksum != zlib.crc32(data[:-4]):
        raise reader.error("checksum mismatch, the entropy model is damaged")
    bits = reader.byte("bits")
    if not MIN_BITS <= bits <= MAX_BITS:
        raise reader.error(f"bits: expected {MIN_BITS}..{MAX_BITS}, got {bits}")
    count = reader.byte("number of layers")
    if not 1 <= count <= MAX_LAYERS:
        raise reader.error(f"layers: expected 1..{MAX_LAYERS}, got {count}")
    layers: dict[str, LayerModel] = {}
    for _ in range(count):
        name = _unpack_name(reader, "name of a layer")
        if name in layers:
            raise reader.error(f"layer {name} occurs twice")
        layers[name] = _unpack_layer(reader, bits)
    if reader.remaining != 4:
        raise reader.error("unexpected bytes behind the parameters")
    return EntropyModel(layers, data)


def _pack_name(name: str) -> bytes:
    return bytes((len(name),)) + name.encode("ascii")


def _unpack_name(reader: ByteReader, what: str) -> str:
    name = reader.take(reader.byte(what), what)
    if not (name.isascii() and name.decode("ascii").isidentifier()):
        raise reader.error(f"{what}: expected letters and digits, got {name!r}")
    return name.decode("ascii")


def _pack_layer(
    field: ConditionalField, parameters: Parameters | ParameterArrays, bits: int
) -> bytes:
    further = {n: tuple(v.shape) for n, v in parameters.items() if n not in field.shapes}
    packed = varint(field.inputs) + varint(field.outputs)
    packed += bytes((len(field.widths),)) + b"".join(varint(width) for width in field.widths)
    packed += bytes((field.qubits, field.blocks, len(further)))
    for name, shape in further.items():
        packed += _pack_name(name) + bytes((len(shape),)) + b"".join(map(varint, shape))
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


def _unpack_layer(reader: ByteReader, bits: int) -> LayerModel:
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
        name = _unpack_name(reader, "name of a parameter")
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


@lru_cache(maxsize=1)
def built_in_models() -> dict[str, EntropyModel]:
    """The package's entropy models by their names.

    Raises:
        BitstreamError: one of them is damaged.
    """
    folder = resources.files("quinr_lidar.entropy") / "built_in"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(SUFFIX)), key=lambda f: f.name)
    return {f.name.removesuffix(SUFFIX): unpack_model(f.read_bytes()) for f in files}


def choose_model(name: str, others: Iterable[EntropyModel] = ()) -> EntropyModel:
    """An entropy model to encode with.

    Args:
        name: Name of a built-in model, or a digest's hexadecimal digits.
        others: Entropy models beside the built-in ones.

    Raises:
        EntropyModelError: there is no model of that name.
    """
    built_in = built_in_models()
    if name in built_in:
        return built_in[name]
    known = {entropy_model.name: entropy_model for entropy_model in (*built_in.values(), *others)}
    if name in known:
        return known[name]
    raise EntropyModelError(
        f"unknown entropy model {name!r}; there is {', '.join((*built_in, *known))}"
    )


def find_model(digest: bytes, others: Iterable[EntropyModel] = ()) -> EntropyModel | None:
    """The entropy model with this digest, among the built-in ones and others, if there is one."""
    for entropy_model in (*built_in_models().values(), *others):
        if entropy_model.digest == digest:
            return entropy_model
    return None
