"""Hostile files of several layers, checksums forged: an error or wrong values, and an end."""

from __future__ import annotations

import contextlib
import random
import struct
import tracemalloc

import numpy as np
import pytest

import quinr_lidar
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.container import Container, Header, Section, pack, unpack
from quinr_lidar.entropy.models import built_in_models
from quinr_lidar.errors import BitstreamError

SIZE = (12, 40)


@pytest.fixture(scope="module")
def data(small_model) -> bytes:
    points = np.random.default_rng(0).normal(scale=(20, 20, 1), size=(3000, 3))
    image = SphericalProjection(*SIZE, 10.0, -30.0).project(points)
    frame = codec.encode_frame(
        image,
        "bounded",
        entropy_models=[small_model],
        entropy_model=small_model.name,
        features=5,
        blocks=1,
        steps=3,
        sine_layers=1,
        refit_groups=1,
    )
    return frame.data


def forged(container: Container, layer: str, payload: bytes) -> bytes:
    """The file with another payload of one layer, all checksums right."""
    return pack(
        container.header,
        [
            Section(one.layer, payload if one.layer == layer else one.payload)
            for one in container.sections
        ],
    )


def check(image: RangeImage) -> None:
    assert image.shape == SIZE
    assert np.isfinite(image.ranges).all()
    assert (image.ranges[image.valid] > 0).all()


def survives(file: bytes, small_model) -> bool:
    """Whether it decodes to an image, and not to the one error there is for it."""
    with contextlib.suppress(BitstreamError):
        check(codec.salvage(file, entropy_models=[small_model]).image)
    with contextlib.suppress(BitstreamError):
        codec.inspect(file)
    try:
        decoded = quinr_lidar.decode(file, entropy_models=[small_model])
    except BitstreamError:
        return False
    check(decoded)
    return True


def test_damage_without_a_valid_checksum_is_noticed(data, small_model):
    generator = random.Random(0)
    for _ in range(800):
        damaged = bytearray(data)
        start = generator.randrange(len(damaged))
        kind = generator.randrange(4)
        if kind == 0:
            damaged[start] ^= 1 << generator.randrange(8)
        elif kind == 1:
            del damaged[start:]
        elif kind == 2:
            del damaged[start : start + generator.randint(1, 20)]
        else:
            damaged[start:start] = generator.randbytes(generator.randint(1, 20))
        with pytest.raises(BitstreamError):
            quinr_lidar.decode(bytes(damaged), entropy_models=[small_model])


@pytest.mark.parametrize("layer", ["mask", "ranges"])
def test_flipped_payloads(data, small_model, layer):
    container = unpack(data)
    payload = container.require(layer).payload
    generator = random.Random(1)
    survived = 0
    for _ in range(200):
        changed = bytearray(payload)
        for _ in range(generator.randint(1, 4)):
            changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
        survived += survives(forged(container, layer, bytes(changed)), small_model)
    assert 0 < survived < 200 or layer == "mask"


@pytest.mark.parametrize("layer", ["mask", "ranges"])
def test_cut_and_random_payloads(data, small_model, layer):
    container = unpack(data)
    payload = container.require(layer).payload
    generator = random.Random(2)
    head = payload[:8] if layer == "mask" else payload[:5]
    for size in range(0, len(payload), max(1, len(payload) // 25)):
        survives(forged(container, layer, payload[:size]), small_model)
        survives(forged(container, layer, head + generator.randbytes(size)), small_model)
        survives(forged(container, layer, generator.randbytes(size)), small_model)
        survives(forged(container, layer, head + bytes(size)), small_model)
        survives(forged(container, layer, head + b"\xff" * size), small_model)


def test_every_step_and_knee(data, small_model):
    container = unpack(data)
    coded = container.require("ranges").payload[5:]
    generator = random.Random(3)
    survived = 0
    for _ in range(150):
        kind = generator.choice((0, 1))
        floats = generator.randbytes(4 + 4 * kind)
        survived += survives(
            forged(container, "ranges", bytes((kind,)) + floats + coded), small_model
        )
    assert 0 < survived < 150


def test_a_fitting_projection_decodes_to_something(data, small_model):
    """Another size in the header: other pixels, as many or more than the bytes are for."""
    container = unpack(data)
    assert isinstance(container.header, Header)
    for height, width in ((1, 1), (40, 12), (480, 1), (1, 480), (13, 40), (300, 300)):
        header = Header(SphericalProjection(height, width), 80.0)
        file = pack(header, list(container.sections))
        try:
            image = quinr_lidar.decode(file, entropy_models=[small_model])
        except BitstreamError:
            continue
        assert image.shape == (height, width)


@pytest.mark.parametrize("tail", [b"", b"\0", b"\xff" * 30, bytes(range(60))])
def test_a_giant_image_of_few_bytes_ends_with_an_error(data, small_model, tail):
    """2^24 pixels in some 60 bytes: refused as soon as the bytes end, in the image's own memory."""
    container = unpack(data)
    header = Header(SphericalProjection(4096, 4096), 80.0)
    for entropy_model in (small_model, built_in_models()["hdl64"]):
        sections = [
            container.require("preview"),
            Section("mask", entropy_model.digest + tail),
            Section("ranges", struct.pack("<Bf", 0, 0.04) + tail),
        ]
        tracemalloc.start()
        with pytest.raises(BitstreamError, match="coded pixels end too early"):
            quinr_lidar.decode(pack(header, sections), entropy_models=[small_model])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * 2**24


def test_a_giant_size_is_refused_before_anything_else(data):
    sizes = b"\x81\x20\x80\x20"  # 4097 x 4096
    head = b"QINR" + bytes((1, 0b1111, 0)) + sizes + bytes((6, 49)) + struct.pack("<f", 80.0)
    with pytest.raises(BitstreamError, match="at most 16777216 pixels"):
        quinr_lidar.decode(head + data)
