from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quinr_lidar.byte_io import (
    ByteReader,
    pack_bits,
    signed_varint,
    unpack_bits,
    varint,
)
from quinr_lidar.errors import BitstreamError


@given(st.integers(0, 2**35 - 1))
def test_varint_round_trip(value):
    reader = ByteReader(varint(value), "test")
    assert reader.varint("value") == value
    assert reader.remaining == 0


@given(st.integers(-(2**34), 2**34 - 1))
def test_signed_varint_round_trip(value):
    assert ByteReader(signed_varint(value), "test").signed_varint("value") == value


@given(st.integers(1, 16), st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=50))
def test_bits_round_trip(bits, values):
    symbols = np.array(values, dtype=np.uint32) % 2**bits
    packed = pack_bits(symbols, bits)
    assert len(packed) == (len(symbols) * bits + 7) // 8
    assert int.from_bytes(packed, "little") == sum(
        int(symbol) << (index * bits) for index, symbol in enumerate(symbols)
    )
    np.testing.assert_array_equal(unpack_bits(packed, len(symbols), bits), symbols)


def test_reader_names_section_offset_and_need():
    reader = ByteReader(b"\x01\x02", "mask", start=40)
    reader.byte("first")
    with pytest.raises(BitstreamError, match="mask at byte 41: number needs 4 bytes, 1 are left"):
        reader.number("I", "number")
