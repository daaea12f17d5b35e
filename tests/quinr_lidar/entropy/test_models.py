"""Entropy models as bytes: what goes in comes out rounded, and hostile bytes are refused."""

from __future__ import annotations

import hashlib
import math
import random
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quinr_lidar.entropy.layer_models import ModelShape
from quinr_lidar.entropy.models import (
    MAX_BYTES,
    EntropyModel,
    built_in_models,
    choose_model,
    find_model,
    pack_model,
    unpack_model,
)
from quinr_lidar.errors import BitstreamError, EntropyModelError, TrainingError
from quinr_lidar.fields import Parameters
from quinr_lidar.layers import mask as mask_layer
from quinr_lidar.layers import ranges as ranges_layer
from quinr_lidar.layers.ranges import LINEAR, linear_of

MASK = mask_layer.model_shape().field((5,), 2, 1)
RANGES = ranges_layer.model_shape().field((7, 4), 3, 2)
RANGE_INPUTS, RANGE_OUTPUTS = ranges_layer.model_shape().inputs, ranges_layer.model_shape().outputs


def draw(seed: int = 0) -> tuple[Parameters, Parameters]:
    generator = torch.Generator().manual_seed(seed)
    linear = torch.randn(ranges_layer.model_shape().further[LINEAR], generator=generator)
    ranges = RANGES.initial_parameters(generator) | {LINEAR: linear}
    return MASK.initial_parameters(generator), ranges


def pack(mask: Parameters, ranges: Parameters, bits: int = 8) -> EntropyModel:
    return pack_model({"mask": (MASK, mask), "ranges": (RANGES, ranges)}, bits)


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def layer_of(body: bytes) -> bytes:
    """A model of one layer with this head, and zeros."""
    return sealed(b"QMOD\x01\x08\x01\x01x" + body + bytes(40))


@given(st.integers(4, 16), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_parameters_come_back_rounded(bits, seed):
    mask, ranges = draw(seed)
    entropy_model = pack(mask, ranges, bits)
    assert (entropy_model["mask"].field, entropy_model["ranges"].field) == (MASK, RANGES)
    for layer, wanted in ((entropy_model["mask"], mask), (entropy_model["ranges"], ranges)):
        assert list(layer.parameters) == list(wanted)
        for name, tensor in wanted.items():
            found = torch.from_numpy(layer.parameters[name])
            assert (found.dtype, found.shape) == (torch.float32, tensor.shape)
            half_step = tensor.abs().max() / (2 ** (bits - 1) - 1) / 2
            assert (found - tensor).abs().max() <= half_step * 1.001 + 1e-6, name


@given(st.integers(4, 16))
@settings(deadline=None, max_examples=13)
def test_bytes_come_back_as_they_were(bits):
    entropy_model = pack(*draw(), bits)
    again = unpack_model(entropy_model.data)
    assert again.digest == hashlib.sha256(entropy_model.data).digest()[:8]
    assert again.name == entropy_model.name == entropy_model.digest.hex()
    for layer, other in ((entropy_model[name], again[name]) for name in again.layers):
        for name in layer.parameters:
            assert np.array_equal(layer.parameters[name], other.parameters[name])
    # Rounding what is rounded already: the same numbers.
    twice = pack(again["mask"].parameters, again["ranges"].parameters, bits)
    np.testing.assert_allclose(linear_of(twice), linear_of(entropy_model), rtol=1e-6)


def test_the_layout_is_the_documented_one():
    data = pack(*draw(), bits=6).data
    assert data[:12] == b"QMOD\x01\x06\x02\x04mask"  # version, bits, layers, the first one's name
    # Inputs, outputs, sine layers, width, qubits, blocks, further parameters.
    assert data[12:19] == bytes((29, 1, 1, 5, 2, 1, 0))
    step = struct.unpack("<f", data[19:23])[0]
    weight = draw()[0]["weight0"]
    assert step == pytest.approx(weight.abs().max().item() / 31, rel=1e-6)
    symbols = np.unpackbits(np.frombuffer(data[23:], np.uint8), bitorder="little")
    first = int(symbols[:6] @ (1 << np.arange(6)))
    assert first - 32 == round(weight[0, 0].item() / step)
    assert data[-4:] == struct.pack("<I", zlib.crc32(data[:-4]))
    head = b"\x06ranges" + bytes((51, 30, 2, 7, 4, 3, 2, 1)) + b"\x06linear" + bytes((2, 10, 14))
    assert data.count(head) == 1


def outputs_of(entropy_model: EntropyModel) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((40, RANGE_INPUTS)).astype(np.float32)
    out = np.empty((40, RANGE_OUTPUTS), np.float32)
    entropy_model["ranges"].strict.evaluate(x, out, isa="baseline")
    return out


@pytest.mark.parametrize(("name", "turns"), [("controlled", 2), ("rotations", 1)])
def test_angles_may_be_turned_by_their_period(name, turns):
    """A controlled rotation by 2 pi is not the identity: its period is 4 pi."""
    mask, ranges = draw()
    turned = ranges | {name: ranges[name] + turns * 2 * math.pi}
    same, moved = pack(mask, ranges, 16), pack(mask, turned, 16)
    np.testing.assert_allclose(outputs_of(moved), outputs_of(same), atol=2e-3)
    assert (np.abs(moved["ranges"].parameters[name]) <= turns * math.pi + 1e-3).all()


def test_a_controlled_rotation_beyond_half_its_period_stays_what_it_is():
    mask, ranges = draw()
    far = ranges["controlled"].clone()
    far.view(-1)[:] = torch.linspace(-6, 6, far.numel())
    entropy_model = pack(mask, ranges | {"controlled": far}, 16)
    np.testing.assert_allclose(entropy_model["ranges"].parameters["controlled"], far, atol=3e-4)
    half = pack(mask, ranges | {"controlled": far + 2 * math.pi}, 16)
    assert np.abs(outputs_of(half) - outputs_of(entropy_model)).max() > 0.05


def test_numbers_of_threads_change_nothing():
    data = pack(*draw()).data
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            results.append((outputs_of(unpack_model(data)), pack(*draw()).data))
    finally:
        torch.set_num_threads(before)
    for outputs, packed in results:
        assert outputs.tobytes() == results[0][0].tobytes()
        assert packed == data


@pytest.mark.parametrize("bits", [3, 17])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(TrainingError, match=rf"bits: expected 4\.\.16, got {bits}"):
        pack(*draw(), bits)


def test_parameters_that_are_not_finite_are_refused():
    mask, ranges = draw()
    ranges[LINEAR][0, 0] = torch.inf
    with pytest.raises(TrainingError, match="linear is not finite"):
        pack(mask, ranges)


def test_a_parameter_tensor_of_zeros_stays_zero():
    mask, ranges = draw()
    entropy_model = pack(mask | {"readout": torch.zeros_like(mask["readout"])}, ranges)
    assert (entropy_model["mask"].parameters["readout"] == 0).all()


@given(st.binary(max_size=200))
def test_random_bytes_are_no_entropy_model(data):
    with pytest.raises(BitstreamError):
        unpack_model(data)
    with pytest.raises(BitstreamError):
        unpack_model(sealed(b"QMOD\x01" + data))


def test_every_flipped_byte_and_every_cut_is_noticed(small_model):
    data = small_model.data
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(BitstreamError):
            unpack_model(bytes(damaged))
        with pytest.raises(BitstreamError):
            unpack_model(data[:position])
    with pytest.raises(BitstreamError, match="checksum"):
        unpack_model(data + b"\0")


def test_damage_with_a_valid_checksum_is_refused_or_harmless(small_model):
    body = small_model.data[:-4]
    generator = random.Random(0)
    refused = 0
    x = np.ones((3, RANGE_INPUTS), np.float32)
    out = np.empty((3, RANGE_OUTPUTS), np.float32)
    for _ in range(1500):
        damaged = bytearray(body)
        for _ in range(generator.randint(1, 4)):
            reach = generator.choice((20, len(damaged)))
            damaged[generator.randrange(reach)] = generator.randrange(256)
        if generator.random() < 0.3:
            del damaged[generator.randrange(len(damaged)) :]
        try:
            entropy_model = unpack_model(sealed(bytes(damaged)))
            layer = entropy_model.layer("ranges", ranges_layer.model_shape())
        except (BitstreamError, EntropyModelError):
            refused += 1
        else:
            # Whatever is taken for an entropy model must work.
            layer.strict.evaluate(x, out, isa="baseline")
            assert np.isfinite(out).all()
            assert np.isfinite(linear_of(entropy_model)).all()
    assert 500 < refused < 1500


def steps_replaced(entropy_model: EntropyModel, step: float) -> bytes:
    """The same entropy model with the largest step that passes for every tensor."""
    data = bytearray(entropy_model.data[:-4])
    bits, position = data[5], 7
    for name, layer in entropy_model.layers.items():
        position += 1 + len(name) + 3 + len(layer.field.widths) + 3
        position += sum(2 + len(one) + len(shape) for one, shape in layer.further.items())
        for tensor in layer.parameters.values():
            data[position : position + 4] = struct.pack("<f", step)
            position += 4 + (tensor.size * bits + 7) // 8
    assert position == len(data)
    return sealed(bytes(data))


def test_the_largest_numbers_that_pass_work(small_model):
    for step in (8192 / 128, 1e-30):
        entropy_model = unpack_model(steps_replaced(small_model, step))
        assert np.isfinite(outputs_of(entropy_model)).all()
    with pytest.raises(BitstreamError, match="rotations: expected numbers up to 8192"):
        unpack_model(steps_replaced(small_model, 999.0))
    mask, ranges = draw()
    with pytest.raises(BitstreamError, match=r"offset: expected numbers up to 1e\+06"):
        pack(mask | {"offset": torch.full((1,), 2e6)}, ranges, 16)
    for step in (0.0, -1.0, 1000.0, math.nan, math.inf):
        with pytest.raises(BitstreamError, match="step of weight0"):
            unpack_model(steps_replaced(small_model, step))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an entropy model"),
        (b"QPR", "not an entropy model"),
        (b"QINR" + bytes(20), "not an entropy model"),
        (b"QMOD", "version needs 1 bytes"),
        (b"QMOD\x02" + bytes(20), "entropy model version 2, but this software reads version 1"),
        (b"QMOD\x01", "checksum mismatch"),
        (sealed(b"QMOD\x01\x03"), r"bits: expected 4\.\.16, got 3"),
        (sealed(b"QMOD\x01\x08\x00"), r"layers: expected 1\.\.16, got 0"),
        (sealed(b"QMOD\x01\x08\x11"), r"layers: expected 1\.\.16, got 17"),
        (sealed(b"QMOD\x01\x08\x01\x00" + bytes(40)), "name of a layer: expected letters"),
        (sealed(b"QMOD\x01\x08\x01\x02\xff\xff" + bytes(40)), "name of a layer: expected letters"),
        (layer_of(b"\x81\x01\x01\x01\x04\x02\x01"), "inputs: expected"),
        (layer_of(b"\x03\x00\x01\x04\x02\x01"), "outputs: expected"),
        (layer_of(b"\x03\x01\x00\x02\x01"), "sine layers: expected"),
        (layer_of(b"\x03\x01\x01\x81\x01\x02\x01"), "width: expected"),
        (layer_of(b"\x03\x01\x01\x04\x07\x01"), "qubits: expected"),
        (layer_of(b"\x03\x01\x01\x04\x02\x21"), "blocks: expected"),
        (
            layer_of(b"\x03\x01\x01\x04\x02\x01\x01\x01a\x00"),
            r"a: expected 1\.\.4 dimensions, got 0",
        ),
        (layer_of(b"\x03\x01\x01\x04\x02\x01\x01\x07readout\x01\x01"), "readout occurs twice"),
        (b"QMOD\x01\x08" + bytes(MAX_BYTES), "at most 1048576 bytes"),
    ],
)
def test_what_is_wrong_is_said(data, message):
    with pytest.raises(BitstreamError, match=message) as caught:
        unpack_model(data)
    assert caught.value.section == "entropy_model"


def test_bytes_behind_the_parameters_are_refused(small_model):
    with pytest.raises(BitstreamError, match="unexpected bytes"):
        unpack_model(sealed(small_model.data[:-4] + b"\0"))


def test_a_layer_may_have_any_name_and_shape():
    """A new layer's model needs no edit of the others."""
    shape = ModelShape(7, 3, {"bias_of_rows": (2, 5)})
    field = shape.field((4,), 2, 1)
    parameters = field.initial_parameters(torch.Generator().manual_seed(0))
    further = {"bias_of_rows": torch.arange(10.0).reshape(2, 5)}
    entropy_model = pack_model({"reflectance": (field, parameters | further)}, 12)
    layer = unpack_model(entropy_model.data).layer("reflectance", shape)
    assert layer.field == field
    np.testing.assert_allclose(layer.parameters["bias_of_rows"], further["bias_of_rows"], atol=3e-3)


def test_a_model_of_another_layer_or_shape_is_refused(small_model):
    with pytest.raises(EntropyModelError, match="codes mask, ranges, not reflectance"):
        small_model["reflectance"]
    with pytest.raises(EntropyModelError, match="for mask expected 28 inputs"):
        small_model.layer("mask", ModelShape(28, 1))
    with pytest.raises(EntropyModelError, match="for ranges expected"):
        small_model.layer("ranges", ModelShape(RANGE_INPUTS, RANGE_OUTPUTS))


def test_a_parameter_larger_than_the_file_is_refused():
    field = ModelShape(3, 1).field((4,), 2, 1)
    parameters = field.initial_parameters(torch.Generator().manual_seed(0))
    body = pack_model({"x": (field, parameters | {"a": torch.ones(1, 1)})}).data[:-4]
    small, huge = b"\x01a\x02\x01\x01", b"\x01a\x02" + 2 * b"\xff\xff\xff\xff\x7f"
    assert body.count(small) == 1
    with pytest.raises(BitstreamError, match=r"a needs \d{18,} bytes"):
        unpack_model(sealed(body.replace(small, huge)))


def test_a_layer_that_occurs_twice_is_refused(small_model):
    body = small_model.data[:-4]
    layers = body[7:]
    with pytest.raises(BitstreamError, match="layer mask occurs twice"):
        unpack_model(sealed(body[:6] + bytes((4,)) + layers + layers))


def test_models_are_found_by_name_and_digest(small_model):
    built_in = built_in_models()["hdl64"]
    assert choose_model("hdl64") is built_in
    assert choose_model(built_in.name) is built_in
    assert choose_model(small_model.name, [small_model]) is small_model
    assert find_model(small_model.digest, [small_model]) is small_model
    assert find_model(built_in.digest) is built_in
    assert find_model(small_model.digest) is None
    with pytest.raises(
        EntropyModelError, match=rf"unknown entropy model 'hdl65'; .*hdl64.*{small_model.name}"
    ):
        choose_model("hdl65", [small_model])


def test_the_built_in_model_is_small_and_for_every_bound():
    entropy_model = built_in_models()["hdl64"]
    assert len(entropy_model.data) < 20_000
    assert len(entropy_model.name) == 16
