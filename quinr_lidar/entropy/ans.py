"""Asymmetric numeral systems (Duda 2013) on one big integer.

A few hundred symbols make a number of a few kilobytes, on which Python computes exactly: no
renormalisation, no carries, and nothing is lost to a fixed precision.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

from quinr_lidar.byte_io import ByteReader

MAX_SYMBOLS = 1 << 14
"""Most symbols in one number: the time to code them grows with the square of their count."""

MAX_SCALE_CODE = 104
_SCALES_PER_OCTAVE = 8
_DEGREES = 7
_REACH = 16
_PRECISION = 1 << 16


class Distribution(Protocol):
    """How likely symbols are: each has a share of a whole number, the total."""

    @property
    def total(self) -> int:
        """Sum of all symbols' shares."""
        ...

    def share(self, symbol: int) -> tuple[int, int]:
        """Sum of the shares of all symbols before, and the symbol's own."""
        ...

    def find(self, place: int) -> int:
        """The symbol whose share covers a place in ``range(total)``."""
        ...


@dataclass(frozen=True)
class Uniform:
    """All symbols of ``range(total)`` are equally likely."""

    total: int

    def share(self, symbol: int) -> tuple[int, int]:
        """See :class:`Distribution`."""
        return symbol, 1

    def find(self, place: int) -> int:
        """See :class:`Distribution`."""
        return place


@dataclass(frozen=True)
class Bell:
    """Student's t with 7 degrees of freedom, in exact integer arithmetic.

    Weights of a trained field are about normal, but for a few that are larger.

    Attributes:
        reach: Symbols are ``-reach .. reach``.
        starts: Sum of the shares of all symbols before each one, and of all.
    """

    reach: int
    starts: tuple[int, ...]

    @property
    def total(self) -> int:
        """Sum of all shares."""
        return self.starts[-1]

    def share(self, symbol: int) -> tuple[int, int]:
        """See :class:`Distribution`."""
        start = self.starts[symbol + self.reach]
        return start, self.starts[symbol + self.reach + 1] - start

    def find(self, place: int) -> int:
        """See :class:`Distribution`."""
        return bisect_right(self.starts, place) - 1 - self.reach


@lru_cache(maxsize=128)
def bell(code: int) -> Bell:
    """The distribution of a scale byte: sigma = ``round(4 * 2^(code / 8)) / 4``."""
    quarters = round(4 * 2 ** (code / _SCALES_PER_OCTAVE))
    reach = _REACH * quarters // 4
    square = _DEGREES * quarters**2
    # (1 + k^2 / (7 sigma^2))^-4
    top = _PRECISION * square**4
    half = [1 + top // (square + 16 * k * k) ** 4 for k in range(reach + 1)]
    shares = [*half[:0:-1], *half]
    return Bell(reach, tuple(accumulate(shares, initial=0)))


def encode_symbols(symbols: Sequence[int], distributions: Sequence[Distribution]) -> bytes:
    """Code symbols, each with its own distribution, as one number in as few bytes as hold it."""
    state = 0
    for symbol, distribution in zip(reversed(symbols), reversed(distributions), strict=True):
        start, share = distribution.share(symbol)
        state = state // share * distribution.total + start + state % share
    return state.to_bytes((state.bit_length() + 7) // 8, "little")


def decode_symbols(
    reader: ByteReader, distributions: Sequence[Distribution], what: str
) -> list[int]:
    """The inverse of :func:`encode_symbols`; reads all that is left.

    Raises:
        BitstreamError: the number is not one that an encoder writes.
    """
    data = reader.take(reader.remaining, what)
    if data and not data[-1]:
        raise reader.error(f"{what} end in a zero byte")
    state = int.from_bytes(data, "little")
    symbols = []
    for distribution in distributions:
        state, place = divmod(state, distribution.total)
        symbol = distribution.find(place)
        start, share = distribution.share(symbol)
        state = state * share + place - start
        symbols.append(symbol)
    if state:
        raise reader.error(f"{what} hold a number out of range")
    return symbols
