"""The range coder: what goes in comes out, in as few bytes as the probabilities allow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quinr_lidar import _native

HOSTILE = (1, 2, 255, 256, 32767, 32768, 65280, 65534, 65535)


def encode(bits: NDArray[np.uint8], probabilities: NDArray[np.uint16]) -> bytes:
    return _native.range_encode(bits, probabilities)


def decode(data: bytes, probabilities: NDArray[np.uint16]) -> tuple[NDArray[np.uint8], int]:
    bits = np.empty(len(probabilities), np.uint8)
    overrun = _native.range_decode(data, probabilities, bits)
    return bits, overrun


def assert_round_trip(bits: NDArray[np.uint8], probabilities: NDArray[np.uint16]) -> bytes:
    data = encode(bits, probabilities)
    np.testing.assert_array_equal(decode(data, probabilities)[0], bits)
    assert not data.endswith(b"\0")
    return data


def ideal_bytes(bits: NDArray[np.uint8], probabilities: NDArray[np.uint16]) -> float:
    one = probabilities.astype(np.float64) / 65536
    return float(-np.log2(np.where(bits, one, 1 - one)).sum() / 8)


SYMBOLS = st.lists(
    st.tuples(st.booleans(), st.one_of(st.sampled_from(HOSTILE), st.integers(1, 65535))),
    max_size=400,
)


@given(SYMBOLS)
@settings(deadline=None)
def test_round_trip(symbols):
    bits = np.array([bit for bit, _ in symbols], np.uint8)
    probabilities = np.array([p for _, p in symbols], np.uint16)
    data = assert_round_trip(bits, probabilities)
    assert len(data) <= ideal_bytes(bits, probabilities) * 1.0002 + 5


@pytest.mark.parametrize("probability", HOSTILE)
@pytest.mark.parametrize("kind", ["likely", "unlikely", "fair"])
def test_no_loss_worth_naming(probability, kind):
    count = 100_000
    if kind == "fair":
        bits = (np.random.default_rng(0).random(count) < probability / 65536).astype(np.uint8)
    else:
        bits = np.full(count, (probability >= 32768) == (kind == "likely"), np.uint8)
    probabilities = np.full(count, probability, np.uint16)
    data = assert_round_trip(bits, probabilities)
    assert len(data) <= ideal_bytes(bits, probabilities) * 1.0002 + 5


def test_changing_probabilities_cost_what_they_say():
    random = np.random.default_rng(1)
    probabilities = np.clip(65536 * random.beta(0.2, 0.2, 500_000), 1, 65535).astype(np.uint16)
    bits = (random.random(len(probabilities)) < probabilities / 65536).astype(np.uint8)
    data = assert_round_trip(bits, probabilities)
    assert len(data) <= ideal_bytes(bits, probabilities) * 1.00001 + 2


def test_carries_run_through_many_bytes():
    """An interval that straddles a boundary for long, then leaves it upward or downward."""
    for last in (0, 1):
        bits = np.array([0] + [1] * 4000 + [last], np.uint8)
        probabilities = np.array([32768] + [65535] * 4000 + [1], np.uint16)
        assert_round_trip(bits, probabilities)


def test_nothing_costs_nothing():
    assert encode(np.empty(0, np.uint8), np.empty(0, np.uint16)) == b""
    certain = np.full(40, 65535, np.uint16)
    assert encode(np.ones(40, np.uint8), certain) == b""
    bits, overrun = decode(b"", certain)
    assert bits.all()
    assert overrun == 8


def test_every_byte_is_needed():
    random = np.random.default_rng(2)
    for count in range(1, 200):
        probabilities = random.integers(1, 65536, count).astype(np.uint16)
        bits = random.integers(0, 2, count).astype(np.uint8)
        data = encode(bits, probabilities)
        if data:
            assert not np.array_equal(decode(data[:-1], probabilities)[0], bits)


@given(st.binary(max_size=60), SYMBOLS)
@settings(deadline=None)
def test_any_bytes_decode_to_something(data, symbols):
    probabilities = np.array([p for _, p in symbols], np.uint16)
    bits, overrun = decode(data, probabilities)
    assert set(bits.tolist()) <= {0, 1}
    assert overrun >= 8 - len(data)


@pytest.mark.parametrize("data", [b"", b"\0" * 50, b"\xff" * 50, b"\xff" * 7])
@pytest.mark.parametrize("probability", [0, 1, 65535])
def test_hostile_bytes_end(data, probability):
    probabilities = np.full(50_000, probability, np.uint16)
    assert len(decode(data, probabilities)[0]) == 50_000


def test_a_cut_stream_is_overrun_by_what_it_lost():
    probabilities = np.full(10_000, 30_000, np.uint16)
    bits = (np.arange(10_000) % 2).astype(np.uint8)
    data = encode(bits, probabilities)
    whole, cut = decode(data, probabilities)[1], decode(data[:-500], probabilities)[1]
    assert whole <= 8
    # What is decoded behind the cut is something else, so the lengths differ a little.
    assert cut > whole + 400


def test_zero_counts_as_the_least_probability():
    bits = np.array([1, 0, 1], np.uint8)
    zero, one = np.zeros(3, np.uint16), np.ones(3, np.uint16)
    assert encode(bits, zero) == encode(bits, one)
