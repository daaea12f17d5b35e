"""Entropy models: conditional fields that code masks and ranges, trained once, used often.

A file names the entropy model it was coded with by a hash of the entropy model's bytes, and holds
none of it. The package ships the entropy models in ``quinr_lidar/entropy_models``; others are
given to the decoder by whoever has them. Layout: docs/conditional-layers.md.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quinr_lidar.byte_io import ByteReader, pack_bits, unpack_bits, varint
from quinr_lidar.circuit.native import load_kernel, native_spec
from quinr_lidar.entropy.samples import MASK_INPUTS, RANGE_INPUTS
from quinr_lidar.errors import BitstreamError, CircuitError, EntropyModelError, TrainingError
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.fields.field import Parameters
from quinr_lidar.training.code_length import COMPONENTS, NEIGHBOURS

MAGIC = b"QPRI"
VERSION = 1
DIGEST_BYTES = 8
MIN_BITS, MAX_BITS = 4, 16
SUFFIX = ".qmodel"
MAX_BYTES = 1 << 20
"""Far above any entropy model of the largest sizes."""

MASK_OUTPUTS = 1
RANGE_OUTPUTS = 3 * COMPONENTS
LINEAR = "linear"
_PERIODS = {"rotations": 2 * math.pi, "controlled": 4 * math.pi}
"""A whole turn of a qubit is a global phase, unless another qubit controls it."""
_LARGEST, _LARGEST_ANGLE = 1e6, 8192.0
"""Parameters that the strict kernel takes."""


@dataclass(frozen=True, eq=False)
class LayerModel:
    """A layer's field and its quantised parameters.

    Attributes:
        field: Its sizes.
        parameters: float32 tensors, exactly what every decoder sees.
    """

    field: ConditionalField
    parameters: Parameters

    @cached_property
    def strict(self) -> Any:
        """The field on the strict kernel: the same bits on every machine.

        Raises:
            BackendError: the kernel cannot be loaded.
        """
        names = [f"{kind}{k}" for kind in ("weight", "bias") for k in range(len(self.field.widths))]
        flat = {name: self.parameters[name].numpy().reshape(-1) for name in self.parameters}
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
    """Of a mask and of a ranges layer.

    Attributes:
        mask: Neighbours' measuredness to the logit of a pixel's.
        ranges: Neighbours' ranges to a mixture of logistic distributions; its parameters hold
            ``linear`` [COMPONENTS, 14] as well.
        data: The entropy model as bytes.
    """

    mask: LayerModel
    ranges: LayerModel
    data: bytes

    @cached_property
    def digest(self) -> bytes:
        """What files name it by."""
        return hashlib.sha256(self.data).digest()[:DIGEST_BYTES]

    @property
    def name(self) -> str:
        """The digest as hexadecimal digits."""
        return self.digest.hex()

    @cached_property
    def linear(self) -> NDArray[np.float32]:
        """How neighbours move the means of the ranges' mixture: float32 [COMPONENTS, 14]."""
        return np.ascontiguousarray(self.ranges.parameters[LINEAR].numpy())


def pack_model(
    mask: tuple[ConditionalField, Parameters],
    ranges: tuple[ConditionalField, Parameters],
    bits: int = 8,
) -> EntropyModel:
    """Quantise trained fields.

    Args:
        mask: Field and parameters.
        ranges: Field and parameters, ``linear`` among them.
        bits: Of a parameter, 4..16.

    Raises:
        TrainingError: a parameter is not finite, or ``bits`` is out of range.
    """
    if not MIN_BITS <= bits <= MAX_BITS:
        raise TrainingError(f"bits: expected {MIN_BITS}..{MAX_BITS}, got {bits}")
    body = MAGIC + bytes((VERSION, bits))
    body += _pack_layer(*mask, {}, bits) + _pack_layer(*ranges, _EXTRA, bits)
    return unpack_model(body + struct.pack("<I", zlib.crc32(body)))


def unpack_model(data: bytes) -> EntropyModel:
    """Read an entropy model.

    Raises:
        BitstreamError: the bytes are not an intact entropy model of a known version.
    """
    reader = ByteReader(data, "entropy_model")
    if reader.take(min(len(data), len(MAGIC)), "magic") != MAGIC:
        raise BitstreamError(
            "entropy_model", 0, "not an entropy model (it does not start with 'QPRI')"
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
    mask = _unpack_layer(reader, MASK_INPUTS, MASK_OUTPUTS, {}, bits)
    ranges = _unpack_layer(reader, RANGE_INPUTS, RANGE_OUTPUTS, _EXTRA, bits)
    if reader.remaining != 4:
        raise reader.error("unexpected bytes behind the parameters")
    return EntropyModel(mask, ranges, data)


_EXTRA = {LINEAR: (COMPONENTS, NEIGHBOURS)}


def _pack_layer(
    field: ConditionalField,
    parameters: Parameters,
    extra: dict[str, tuple[int, ...]],
    bits: int,
) -> bytes:
    packed = bytes((len(field.widths),)) + b"".join(varint(width) for width in field.widths)
    packed += bytes((field.qubits, field.blocks))
    half = 1 << (bits - 1)
    for name in (*field.shapes, *extra):
        values = parameters[name].double().numpy().reshape(-1)
        if not np.isfinite(values).all():
            raise TrainingError(f"entropy model: {name} is not finite")
        if (period := _PERIODS.get(name)) is not None:
            values = np.mod(values + period / 2, period) - period / 2
        step = np.float32(max(np.abs(values).max(initial=0), 1e-6) / (half - 1))
        symbols = np.clip(np.rint(values / float(step)), 1 - half, half - 1).astype(np.int64)
        packed += struct.pack("<f", step) + pack_bits((symbols + half).astype(np.uint32), bits)
    return packed


def _unpack_layer(
    reader: ByteReader,
    inputs: int,
    outputs: int,
    extra: dict[str, tuple[int, ...]],
    bits: int,
) -> LayerModel:
    widths = tuple(reader.varint("width") for _ in range(reader.byte("sine layers")))
    qubits, blocks = reader.byte("qubits"), reader.byte("blocks")
    try:
        field = ConditionalField(inputs, outputs, widths, qubits, blocks)
    except CircuitError as error:
        raise reader.error(str(error)) from error
    parameters: Parameters = {}
    for name, shape in (field.shapes | extra).items():
        step = np.float32(reader.number("f", "step"))
        if not (np.isfinite(step) and 0 < step < 1e3):
            raise reader.error(f"step of {name}: expected a number in (0, 1000), got {step}")
        count = int(np.prod(shape))
        packed = reader.take(-(-count * bits // 8), name)
        symbols = unpack_bits(packed, count, bits).astype(np.int64) - (1 << (bits - 1))
        # One multiplication in float32: the same number on every machine.
        values = symbols.astype(np.float32) * step
        largest = _LARGEST_ANGLE if name in _PERIODS else _LARGEST
        if np.abs(values).max(initial=0) > largest:
            raise reader.error(f"{name}: expected numbers up to {largest:g}")
        parameters[name] = torch.from_numpy(values.reshape(shape))
    return LayerModel(field, parameters)


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
        name: Of a built-in one, or a digest's hexadecimal digits.
        others: Entropy models beside the built-in ones.

    Raises:
        PriorError: there is none of that name.
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
    """The entropy model of a file, among the built-in ones and others."""
    for entropy_model in (*built_in_models().values(), *others):
        if entropy_model.digest == digest:
            return entropy_model
    return None
