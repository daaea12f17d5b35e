"""Entropy models: conditional fields that code the layers of scans, trained once, used often.

A file names its entropy model by a hash of the model's bytes, and holds none of it. The package
ships the models in ``quinr_lidar/entropy/built_in``; others are given to the decoder by whoever
has them. A model is a field for each layer, by the layer's name; which sizes a layer's field must
have is the layer's own affair. Byte layout: docs/conditional-layers.md.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

from quinr_lidar.byte_io import ByteReader
from quinr_lidar.entropy.layer_models import (
    LayerModel,
    ModelShape,
    pack_layer,
    pack_name,
    unpack_layer,
    unpack_name,
)
from quinr_lidar.errors import BitstreamError, EntropyModelError, TrainingError
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.fields.field import ParameterArrays, Parameters

MAGIC = b"QMOD"
VERSION = 1
DIGEST_BYTES = 8
MIN_BITS, MAX_BITS = 4, 16
SUFFIX = ".qmodel"
MAX_BYTES = 1 << 20
"""Far above any entropy model of the largest sizes."""

MAX_LAYERS = 16


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
        body += pack_name(name) + pack_layer(field, parameters, bits)
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
        name = unpack_name(reader, "name of a layer")
        if name in layers:
            raise reader.error(f"layer {name} occurs twice")
        layers[name] = unpack_layer(reader, bits)
    if reader.remaining != 4:
        raise reader.error("unexpected bytes behind the parameters")
    return EntropyModel(layers, data)


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
