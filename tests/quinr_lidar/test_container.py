from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quinr_lidar.container import Header, Section, pack, unpack
from quinr_lidar.errors import BitstreamError
from quinr_lidar.geometry import SphericalProjection

HEADER = Header(SphericalProjection(), 80.0)

projections = st.builds(
    SphericalProjection,
    height=st.integers(1, 256),
    width=st.integers(1, 4096),
    fov_up=st.floats(0, 90),
    fov_down=st.floats(-90, -0.001),
)


@given(
    projection=projections,
    no_return=st.floats(2**-10, 300, width=32),
    payload=st.binary(max_size=300),
    mask=st.one_of(st.none(), st.binary(max_size=40)),
)
def test_round_trip(projection, no_return, payload, mask):
    sections = [Section("preview", payload)]
    if mask is not None:
        sections.append(Section("mask", mask))
    container = unpack(pack(Header(projection, no_return), sections))
    assert container.header == Header(projection, no_return)
    assert [(s.layer, s.payload) for s in container.sections] == [
        (s.layer, s.payload) for s in sections
    ]


def test_documented_header_bytes():
    data = pack(HEADER, [Section("preview", b"abc")])
    head = b"QINR" + bytes((1, 1)) + struct.pack("<f", 80.0)
    tag = bytes((3 * 8 + 1,))
    assert data == head + tag + struct.pack("<I", zlib.crc32(head + tag + b"abc")) + b"abc"


@pytest.mark.parametrize(
    "projection",
    [
        SphericalProjection(32, 1800, 10.67, -30.67),
        SphericalProjection(128, 2048, 22.5, -22.5),
        SphericalProjection(64, 1024, 2.013, -24.876),
    ],
)
def test_other_sensors_cost_at_most_ten_bytes(projection):
    plain = pack(HEADER, [Section("preview", b"")])
    other = pack(Header(projection, 80.0), [Section("preview", b"")])
    assert len(other) - len(plain) <= 10


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a .quinr file"),
        (b"QIN", "not a .quinr file"),
        (b"PNG\r\n12345678", "not a .quinr file"),
        (b"QINR", "version needs 1 bytes"),
        (b"QINR\x02\x01" + bytes(20), "format version 2"),
        (b"QINR\x01\x81" + bytes(20), "unknown flags"),
        (b"QINR\x01\x02" + bytes(20), "no preview"),
        (b"QINR\x01\x01" + struct.pack("<f", float("nan")), "no_return"),
        (b"QINR\x01\x09\x01" + bytes(20), "unknown projection"),
        (b"QINR\x01\x09\x00\x00\x01" + bytes(20), "height"),
        (b"QINR\x01\x09\x00\xff\xff\xff\xff\xff\xff", "longer than 5 bytes"),
        (b"QINR\x01\x09\x00\x80\x00", "shortest form"),
    ],
)
def test_bad_headers_say_what_is_wrong(data, reason):
    with pytest.raises(BitstreamError, match=reason):
        unpack(data)


def test_damage_names_the_section():
    data = bytearray(pack(HEADER, [Section("preview", b"abc"), Section("mask", b"defgh")]))
    data[-1] ^= 1
    with pytest.raises(BitstreamError, match="checksum") as caught:
        unpack(bytes(data))
    assert caught.value.section == "mask"
    with pytest.raises(BitstreamError, match="1 bytes after the last section"):
        unpack(pack(HEADER, [Section("preview", b"abc")]) + b"\0")


def test_cut_between_sections_is_noticed():
    whole = pack(HEADER, [Section("preview", b"abc"), Section("mask", b"defgh")])
    for size in range(len(whole)):
        with pytest.raises(BitstreamError):
            unpack(whole[:size])
