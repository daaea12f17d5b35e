from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from quinr_lidar.byte_io import ByteReader
from quinr_lidar.entropy.ans import (
    MAX_SCALE_CODE,
    Uniform,
    bell,
    decode_symbols,
    encode_symbols,
)
from quinr_lidar.errors import BitstreamError


@st.composite
def coded(draw):
    """A distribution and a symbol of it."""
    if draw(st.booleans()):
        total = draw(st.integers(1, 1000))
        return Uniform(total), draw(st.integers(0, total - 1))
    distribution = bell(draw(st.integers(0, 50)))
    return distribution, draw(st.integers(-distribution.reach, distribution.reach))


@settings(max_examples=200, deadline=None)
@given(st.lists(coded(), max_size=40))
def test_symbols_come_back(pairs):
    distributions = [distribution for distribution, _ in pairs]
    symbols = [symbol for _, symbol in pairs]
    data = encode_symbols(symbols, distributions)
    assert decode_symbols(ByteReader(data, "preview"), distributions, "symbols") == symbols


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=12), st.integers(0, 6))
def test_what_is_read_is_what_an_encoder_writes(data, count):
    distributions = [(Uniform(7), bell(9))[index % 2] for index in range(count)]
    try:
        symbols = decode_symbols(ByteReader(data, "preview"), distributions, "symbols")
    except BitstreamError:
        return
    assert encode_symbols(symbols, distributions) == data


@pytest.mark.parametrize("code", [0, 8, 24, 40])
def test_the_bell_is_student_s(code):
    sigma, distribution = 2 ** (code / 8), bell(code)
    symbols = np.arange(-distribution.reach, distribution.reach + 1)
    shares = np.diff(distribution.starts) / distribution.total
    density = stats.t(7, scale=sigma).pdf(symbols)
    # Shares are whole numbers and at least 1, so that the tails can be coded at all.
    np.testing.assert_allclose(shares, density / density.sum(), rtol=0.01, atol=2e-5)
    assert distribution.find(0) == -distribution.reach
    assert distribution.find(distribution.total - 1) == distribution.reach


def test_shares_are_part_of_the_format():
    distribution = bell(16)  # sigma = 4
    assert distribution.share(0)[1] == 65537
    assert distribution.share(4)[1] == 1 + 65536 * 7**4 // 8**4
    assert distribution.total == 680_987
    assert distribution.reach == 64


def test_sizes_are_those_of_the_entropy():
    generator = np.random.default_rng(0)
    distribution = bell(28)
    symbols = np.rint(stats.t(7, scale=2**3.5).rvs(2000, random_state=generator)).astype(int)
    symbols = np.clip(symbols, -distribution.reach, distribution.reach).tolist()
    ideal = sum(math.log2(distribution.total / distribution.share(symbol)[1]) for symbol in symbols)
    size = len(encode_symbols(symbols, [distribution] * len(symbols)))
    assert ideal / 8 - 1 <= size <= ideal / 8 + 3  # the first symbol has no state to share


def test_the_widest_bell_is_of_a_sensible_size():
    assert len(bell(MAX_SCALE_CODE).starts) < 1 << 19
