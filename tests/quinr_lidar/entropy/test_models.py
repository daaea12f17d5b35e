"""Priors as bytes: what goes in comes out rounded, and hostile bytes are refused."""

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

from quinr_lidar.entropy.models import (
    LINEAR,
    MASK_OUTPUTS,
    MAX_BYTES,
    RANGE_OUTPUTS,
    Prior,
    built_in_priors,
    choose_prior,
    find_prior,
    pack_prior,
    unpack_prior,
)
from quinr_lidar.entropy.samples import MASK_INPUTS, RANGE_INPUTS
from quinr_lidar.errors import BitstreamError, PriorError, TrainingError
from quinr_lidar.fields import Parameters
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.training.code_length import COMPONENTS, NEIGHBOURS

MASK = ConditionalField(MASK_INPUTS, MASK_OUTPUTS, (5,), 2, 1)
RANGES = ConditionalField(RANGE_INPUTS, RANGE_OUTPUTS, (7, 4), 3, 2)


def draw(seed: int = 0) -> tuple[Parameters, Parameters]:
    generator = torch.Generator().manual_seed(seed)
    linear = torch.randn(COMPONENTS, NEIGHBOURS, generator=generator)
    ranges = RANGES.initial_parameters(generator) | {LINEAR: linear}
    return MASK.initial_parameters(generator), ranges


def pack(mask: Parameters, ranges: Parameters, bits: int = 8) -> Prior:
    return pack_prior((MASK, mask), (RANGES, ranges), bits)


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


@given(st.integers(4, 16), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_parameters_come_back_rounded(bits, seed):
    mask, ranges = draw(seed)
    prior = pack(mask, ranges, bits)
    assert (prior.mask.field, prior.ranges.field) == (MASK, RANGES)
    for layer, wanted in ((prior.mask, mask), (prior.ranges, ranges)):
        assert list(layer.parameters) == list(wanted)
        for name, tensor in wanted.items():
            found = layer.parameters[name]
            assert (found.dtype, found.shape) == (torch.float32, tensor.shape)
            half_step = tensor.abs().max() / (2 ** (bits - 1) - 1) / 2
            assert (found - tensor).abs().max() <= half_step * 1.001 + 1e-6, name


@given(st.integers(4, 16))
@settings(deadline=None, max_examples=13)
def test_bytes_come_back_as_they_were(bits):
    prior = pack(*draw(), bits)
    again = unpack_prior(prior.data)
    assert again.digest == hashlib.sha256(prior.data).digest()[:8]
    assert again.name == prior.name == prior.digest.hex()
    for layer, other in ((prior.mask, again.mask), (prior.ranges, again.ranges)):
        for name in layer.parameters:
            assert torch.equal(layer.parameters[name], other.parameters[name])
    # Rounding what is rounded already: the same numbers.
    twice = pack(again.mask.parameters, again.ranges.parameters, bits)
    np.testing.assert_allclose(twice.linear, prior.linear, rtol=1e-6)


def test_the_layout_is_the_documented_one():
    data = pack(*draw(), bits=6).data
    assert data[:6] == b"QPRI\x01\x06"
    assert data[6:10] == bytes((1, 5, 2, 1))  # sine layers, width, qubits, blocks
    step = struct.unpack("<f", data[10:14])[0]
    weight = draw()[0]["weight0"]
    assert step == pytest.approx(weight.abs().max().item() / 31, rel=1e-6)
    symbols = np.unpackbits(np.frombuffer(data[14:], np.uint8), bitorder="little")
    first = int(symbols[:6] @ (1 << np.arange(6)))
    assert first - 32 == round(weight[0, 0].item() / step)
    assert data[-4:] == struct.pack("<I", zlib.crc32(data[:-4]))


def outputs_of(prior: Prior) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((40, RANGE_INPUTS)).astype(np.float32)
    out = np.empty((40, RANGE_OUTPUTS), np.float32)
    prior.ranges.strict.evaluate(x, out, isa="baseline")
    return out


@pytest.mark.parametrize(("name", "turns"), [("controlled", 2), ("rotations", 1)])
def test_angles_may_be_turned_by_their_period(name, turns):
    """A controlled rotation by 2 pi is not the identity: its period is 4 pi."""
    mask, ranges = draw()
    turned = ranges | {name: ranges[name] + turns * 2 * math.pi}
    same, moved = pack(mask, ranges, 16), pack(mask, turned, 16)
    np.testing.assert_allclose(outputs_of(moved), outputs_of(same), atol=2e-3)
    assert (moved.ranges.parameters[name].abs() <= turns * math.pi + 1e-3).all()


def test_a_controlled_rotation_beyond_half_its_period_stays_what_it_is():
    mask, ranges = draw()
    far = ranges["controlled"].clone()
    far.view(-1)[:] = torch.linspace(-6, 6, far.numel())
    prior = pack(mask, ranges | {"controlled": far}, 16)
    torch.testing.assert_close(prior.ranges.parameters["controlled"], far, rtol=0, atol=3e-4)
    half = pack(mask, ranges | {"controlled": far + 2 * math.pi}, 16)
    assert np.abs(outputs_of(half) - outputs_of(prior)).max() > 0.05


def test_numbers_of_threads_change_nothing():
    data = pack(*draw()).data
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            results.append((outputs_of(unpack_prior(data)), pack(*draw()).data))
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
    prior = pack(mask | {"readout": torch.zeros_like(mask["readout"])}, ranges)
    assert (prior.mask.parameters["readout"] == 0).all()


@given(st.binary(max_size=200))
def test_random_bytes_are_no_prior(data):
    with pytest.raises(BitstreamError):
        unpack_prior(data)
    with pytest.raises(BitstreamError):
        unpack_prior(sealed(b"QPRI\x01" + data))


def test_every_flipped_byte_and_every_cut_is_noticed(small_prior):
    data = small_prior.data
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(BitstreamError):
            unpack_prior(bytes(damaged))
        with pytest.raises(BitstreamError):
            unpack_prior(data[:position])
    with pytest.raises(BitstreamError, match="checksum"):
        unpack_prior(data + b"\0")


def test_damage_with_a_valid_checksum_is_refused_or_harmless(small_prior):
    body = small_prior.data[:-4]
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
            prior = unpack_prior(sealed(bytes(damaged)))
        except BitstreamError:
            refused += 1
        else:
            # Whatever is taken for a prior must work.
            prior.ranges.strict.evaluate(x, out, isa="baseline")
            assert np.isfinite(out).all()
            assert np.isfinite(prior.linear).all()
    assert 500 < refused < 1500


def steps_replaced(prior: Prior, step: float) -> bytes:
    """The same prior with the largest step that passes for every tensor."""
    data = bytearray(prior.data[:-4])
    bits, position = data[5], 6
    for layer in (prior.mask, prior.ranges):
        position += 1 + len(layer.field.widths) + 2
        for tensor in layer.parameters.values():
            data[position : position + 4] = struct.pack("<f", step)
            position += 4 + (tensor.numel() * bits + 7) // 8
    assert position == len(data)
    return sealed(bytes(data))


def test_the_largest_numbers_that_pass_work(small_prior):
    for step in (8192 / 128, 1e-30):
        prior = unpack_prior(steps_replaced(small_prior, step))
        assert np.isfinite(outputs_of(prior)).all()
    with pytest.raises(BitstreamError, match="rotations: expected numbers up to 8192"):
        unpack_prior(steps_replaced(small_prior, 999.0))
    mask, ranges = draw()
    with pytest.raises(BitstreamError, match=r"offset: expected numbers up to 1e\+06"):
        pack(mask | {"offset": torch.full((1,), 2e6)}, ranges, 16)
    for step in (0.0, -1.0, 1000.0, math.nan, math.inf):
        with pytest.raises(BitstreamError, match="step of weight0"):
            unpack_prior(steps_replaced(small_prior, step))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a prior"),
        (b"QPR", "not a prior"),
        (b"QINR" + bytes(20), "not a prior"),
        (b"QPRI", "version needs 1 bytes"),
        (b"QPRI\x02" + bytes(20), "prior version 2, but this software reads version 1"),
        (b"QPRI\x01", "checksum mismatch"),
        (sealed(b"QPRI\x01\x03"), r"bits: expected 4\.\.16, got 3"),
        (sealed(b"QPRI\x01\x08\x00\x02\x01" + bytes(40)), "sine layers: expected"),
        (sealed(b"QPRI\x01\x08\x01\x81\x01\x02\x01" + bytes(40)), "width: expected"),
        (sealed(b"QPRI\x01\x08\x01\x04\x07\x01" + bytes(40)), "qubits: expected"),
        (sealed(b"QPRI\x01\x08\x01\x04\x02\x21" + bytes(40)), "blocks: expected"),
        (b"QPRI\x01\x08" + bytes(MAX_BYTES), "at most 1048576 bytes"),
    ],
)
def test_what_is_wrong_is_said(data, message):
    with pytest.raises(BitstreamError, match=message) as caught:
        unpack_prior(data)
    assert caught.value.section == "prior"


def test_bytes_behind_the_parameters_are_refused(small_prior):
    with pytest.raises(BitstreamError, match="unexpected bytes"):
        unpack_prior(sealed(small_prior.data[:-4] + b"\0"))


def test_priors_are_found_by_name_and_digest(small_prior):
    built_in = built_in_priors()["hdl64"]
    assert choose_prior("hdl64") is built_in
    assert choose_prior(built_in.name) is built_in
    assert choose_prior(small_prior.name, [small_prior]) is small_prior
    assert find_prior(small_prior.digest, [small_prior]) is small_prior
    assert find_prior(built_in.digest) is built_in
    assert find_prior(small_prior.digest) is None
    with pytest.raises(PriorError, match=rf"unknown prior 'hdl65'; .*hdl64.*{small_prior.name}"):
        choose_prior("hdl65", [small_prior])


def test_the_built_in_prior_is_small_and_for_every_bound():
    prior = built_in_priors()["hdl64"]
    assert len(prior.data) < 20_000
    assert len(prior.name) == 16
