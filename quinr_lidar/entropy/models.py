"""Priors: the conditional fields that code masks and ranges, trained once and shared by many files.

A file names the prior it was coded with by a hash of the prior's bytes, and holds none of it. The
package ships the priors in ``quinr_lidar/priors``; others are given to the decoder by whoever has
them. Layout: docs/conditional-layers.md.
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
from quinr_lidar.errors import BitstreamError, CircuitError, PriorError, TrainingError
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.fields.field import Parameters
from quinr_lidar.training.code_length import COMPONENTS, NEIGHBOURS

MAGIC = b"QPRI"
VERSION = 1
DIGEST_BYTES = 8
MIN_BITS, MAX_BITS = 4, 16
SUFFIX = ".qprior"
MAX_BYTES = 1 << 20
"""Far above any prior of the largest sizes."""

MASK_OUTPUTS = 1
RANGE_OUTPUTS = 3 * COMPONENTS
LINEAR = "linear"
_PERIODS = {"rotations": 2 * math.pi, "controlled": 4 * math.pi}
"""A whole turn of a qubit is a global phase, unless another qubit controls it."""
_LARGEST, _LARGEST_ANGLE = 1e6, 8192.0
"""Parameters that the strict kernel takes."""


@dataclass(frozen=True, eq=False)
class LayerPrior:
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
class Prior:
    """Of a mask and of a ranges layer.

    Attributes:
        mask: Neighbours' measuredness to the logit of a pixel's.
        ranges: Neighbours' ranges to a mixture of logistic distributions; its parameters hold
            ``linear`` [COMPONENTS, 14] as well.
        data: The prior as bytes.
    """

    mask: LayerPrior
    ranges: LayerPrior
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


def pack_prior(
    mask: tuple[ConditionalField, Parameters],
    ranges: tuple[ConditionalField, Parameters],
    bits: int = 8,
) -> Prior:
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
    return unpack_prior(body + struct.pack("<I", zlib.crc32(body)))


def unpack_prior(data: bytes) -> Prior:
    """Read a prior.

    Raises:
        BitstreamError: the bytes are not an intact prior of a known version.
    """
    reader = ByteReader(data, "prior")
    if reader.take(min(len(data), len(MAGIC)), "magic") != MAGIC:
        raise BitstreamError("prior", 0, "not a prior (it does not start with 'QPRI')")
    version = reader.byte("version")
    if version != VERSION:
        raise reader.error(
            f"prior version {version}, but this software reads version {VERSION}; "
            "a newer quinr-lidar may read it"
        )
    if len(data) > MAX_BYTES:
        raise reader.error(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    (checksum,) = struct.unpack("<I", data[-4:])
    if checksum != zlib.crc32(data[:-4]):
        raise reader.error("checksum mismatch, the prior is damaged")
    bits = reader.byte("bits")
    if not MIN_BITS <= bits <= MAX_BITS:
        raise reader.error(f"bits: expected {MIN_BITS}..{MAX_BITS}, got {bits}")
    mask = _unpack_layer(reader, MASK_INPUTS, MASK_OUTPUTS, {}, bits)
    ranges = _unpack_layer(reader, RANGE_INPUTS, RANGE_OUTPUTS, _EXTRA, bits)
    if reader.remaining != 4:
        raise reader.error("unexpected bytes behind the parameters")
    return Prior(mask, ranges, data)


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
            raise TrainingError(f"prior: {name} is not finite")
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
) -> LayerPrior:
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
    return LayerPrior(field, parameters)


@lru_cache(maxsize=1)
def built_in_priors() -> dict[str, Prior]:
    """The package's priors by their names.

    Raises:
        BitstreamError: one of them is damaged.
    """
    folder = resources.files("quinr_lidar.entropy") / "built_in"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(SUFFIX)), key=lambda f: f.name)
    return {f.name.removesuffix(SUFFIX): unpack_prior(f.read_bytes()) for f in files}


def choose_prior(name: str, others: Iterable[Prior] = ()) -> Prior:
    """A prior to encode with.

    Args:
        name: Of a built-in one, or a digest's hexadecimal digits.
        others: Priors beside the built-in ones.

    Raises:
        PriorError: there is none of that name.
    """
    built_in = built_in_priors()
    if name in built_in:
        return built_in[name]
    known = {prior.name: prior for prior in (*built_in.values(), *others)}
    if name in known:
        return known[name]
    raise PriorError(f"unknown prior {name!r}; there is {', '.join((*built_in, *known))}")


def find_prior(digest: bytes, others: Iterable[Prior] = ()) -> Prior | None:
    """The prior of a file, among the built-in ones and others."""
    for prior in (*built_in_priors().values(), *others):
        if prior.digest == digest:
            return prior
    return None
