"""Reading and writing the numbers that sections are made of.

Every reader checks how much is left before it takes anything, and raises
:class:`~quinr_lidar.errors.BitstreamError` with the place in the file.
"""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import BitstreamError

MAX_VARINT_BYTES = 5


class ByteReader:
    """Sequential access to a section's bytes.

    Attributes:
        section: Name for error messages.
        start: Offset of ``data`` in the file.
        position: Bytes read so far.
    """

    def __init__(self, data: bytes, section: str, start: int = 0) -> None:
        self.data = data
        self.section = section
        self.start = start
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bytes left."""
        return len(self.data) - self.position

    def error(self, reason: str) -> BitstreamError:
        """An error at the current position."""
        return BitstreamError(self.section, self.start + self.position, reason)

    def take(self, count: int, what: str) -> bytes:
        """The next ``count`` bytes."""
        if count > self.remaining:
            raise self.error(f"{what} needs {count} bytes, {self.remaining} are left")
        taken = self.data[self.position : self.position + count]
        self.position += count
        return taken

    def byte(self, what: str) -> int:
        """One unsigned byte."""
        return self.take(1, what)[0]

    def number(self, layout: str, what: str) -> float:
        """One little-endian number of a :mod:`struct` layout such as ``"f"``."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), what))[0]

    def varint(self, what: str) -> int:
        """An unsigned integer below 2^35, 7 bits a byte, least significant first."""
        value = 0
        for index in range(MAX_VARINT_BYTES):
            byte = self.byte(what)
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if byte == 0 and index:
                    raise self.error(f"{what} is not in its shortest form")
                return value
        raise self.error(f"{what} is longer than {MAX_VARINT_BYTES} bytes")

    def signed_varint(self, what: str) -> int:
        """A signed integer, zigzag-coded."""
        value = self.varint(what)
        return -(value + 1 >> 1) if value & 1 else value >> 1


def varint(value: int) -> bytes:
    """An unsigned integer below 2^35 in 1-5 bytes."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def signed_varint(value: int) -> bytes:
    """A signed integer, zigzag-coded: 0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    return varint(-2 * value - 1 if value < 0 else 2 * value)


def pack_bits(symbols: NDArray[np.uint32], bits: int) -> bytes:
    """Concatenate ``bits`` low bits of every symbol, least significant first, zero-padded."""
    planes = symbols.reshape(-1, 1) >> np.arange(bits, dtype=np.uint32) & 1
    return np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def unpack_bits(data: bytes, count: int, bits: int) -> NDArray[np.uint32]:
    """The inverse of :func:`pack_bits` for ``count`` symbols; uint32 [count]."""
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    planes = stream[: count * bits].reshape(count, bits).astype(np.uint32)
    return (planes << np.arange(bits, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)


_DIGITS_TOGETHER = 256


def pack_digits(digits: NDArray[np.int64], bases: NDArray[np.int64]) -> bytes:
    """Digits of a mixed-radix number, 256 at a time, each such number in as few bytes as fit.

    Args:
        digits: [count], ``0 <= digit < base``.
        bases: [count], positive.
    """
    packed = bytearray()
    for group in _groups(len(digits)):
        number = 0
        for digit, base in zip(digits[group][::-1], bases[group][::-1], strict=True):
            number = number * int(base) + int(digit)
        packed += number.to_bytes(_group_bytes(bases[group]), "little")
    return bytes(packed)


def unpack_digits(reader: ByteReader, bases: NDArray[np.int64], what: str) -> NDArray[np.int64]:
    """The inverse of :func:`pack_digits`.

    Raises:
        BitstreamError: bytes are missing, or a number is beyond its last digit.
    """
    digits = np.empty(len(bases), dtype=np.int64)
    for group in _groups(len(bases)):
        number = int.from_bytes(reader.take(_group_bytes(bases[group]), what), "little")
        for index in range(group.start, group.stop):
            number, digits[index] = divmod(number, int(bases[index]))
        if number:
            raise reader.error(f"{what} hold a number out of range")
    return digits


def _groups(count: int) -> list[slice]:
    # Whole files as one number would take a time that grows with the square of their size.
    starts = range(0, count, _DIGITS_TOGETHER)
    return [slice(start, min(start + _DIGITS_TOGETHER, count)) for start in starts]


def _group_bytes(bases: NDArray[np.int64]) -> int:
    return ((math.prod(int(base) for base in bases) - 1).bit_length() + 7) // 8
