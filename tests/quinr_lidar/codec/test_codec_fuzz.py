"""Hostile bytes: nothing but BitstreamError, no hang, no memory beyond the image's own size."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

import quinr_lidar
from quinr_lidar import SphericalProjection, codec
from quinr_lidar.container import Header, Section, pack, unpack
from quinr_lidar.errors import BitstreamError
from quinr_lidar.layers.field_section import unpack_preview
from quinr_lidar.layers.field_sizes import GRIDS, pack_field


@pytest.fixture(scope="module")
def data() -> bytes:
    points = np.random.default_rng(0).normal(scale=(20, 20, 1), size=(4000, 3))
    image = SphericalProjection(16, 64, 10.0, -30.0).project(points)
    return quinr_lidar.encode(image, "paper", qubits=3, features=7, blocks=2, steps=5)


def test_every_flipped_bit_is_noticed(data):
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(BitstreamError):
                quinr_lidar.decode(bytes(damaged))


def test_every_cut_is_noticed(data):
    for size in range(len(data)):
        with pytest.raises(BitstreamError):
            quinr_lidar.decode(data[:size])


def test_random_damage_is_noticed(data):
    generator = random.Random(1)
    for _ in range(4000):
        damaged = bytearray(data)
        start = generator.randrange(len(damaged))
        kind = generator.randrange(3)
        if kind == 0:
            for _ in range(generator.randint(1, 8)):
                damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        elif kind == 1:
            del damaged[start : start + generator.randint(1, 20)]
        else:
            damaged[start:start] = generator.randbytes(generator.randint(1, 20))
        if bytes(damaged) != data:
            with pytest.raises(BitstreamError):
                quinr_lidar.decode(bytes(damaged))


def test_damage_with_a_valid_checksum_is_still_handled(data):
    """An attacker can compute a CRC: then every field must be checked on its own."""
    generator = random.Random(2)
    container = unpack(data)
    refused = 0
    for _ in range(1500):
        payload = bytearray(container.sections[0].payload)
        for _ in range(generator.randint(1, 4)):
            payload[generator.randrange(min(16, len(payload)))] = generator.randrange(256)
        file = pack(container.header, [Section("preview", bytes(payload))])
        try:
            info = codec.inspect(file)
        except BitstreamError:
            refused += 1
        else:
            assert info.parameters > 0
    assert refused > 500


def test_values_that_overflow_decode_to_an_image(data):
    container = unpack(data)
    payload = bytearray(container.sections[0].payload)
    field = unpack_preview(bytes(payload)).field
    scalars = len(pack_field(field, GRIDS, 1)) + len(b"th")
    payload[scalars : scalars + 6] = struct.pack("<eee", 6e4, -6e4, 6e4)
    decoded = quinr_lidar.decode(pack(container.header, [Section("preview", bytes(payload))]))
    assert np.isfinite(decoded.ranges).all()


def test_a_giant_image_is_refused_before_memory_is_taken(data):
    payload = unpack(data).sections[0].payload
    giant = pack(Header(SphericalProjection(4096, 4096), 80.0), [Section("preview", payload)])
    oversized = bytearray(giant)
    # Height 65,536 x width 65,536 instead: over the pixel limit. Re-sealed by hand.
    head = b"QINR" + bytes((1, 9, 0)) + b"\x80\x80\x04\x80\x80\x04" + bytes((6, 49))
    head += struct.pack("<f", 80.0)
    tag = b"\x09"
    oversized = head + tag + struct.pack("<I", zlib.crc32(head + tag + b"x")) + b"x"
    tracemalloc.start()
    with pytest.raises(BitstreamError, match="at most 16777216 pixels"):
        quinr_lidar.decode(bytes(oversized))
    greedy = bytearray(payload)
    greedy[1] = 9 << 4 | 7  # ten qubits
    with pytest.raises(BitstreamError):
        quinr_lidar.decode(
            pack(Header(SphericalProjection(4096, 4096), 80.0), [Section("preview", bytes(greedy))])
        )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
