"""Coding of rounded parameters: for every class a step byte, then the symbols of all classes.

All values of an angle are taken as equally likely. Weights are coded with a bell-shaped
distribution, whose scale is one byte. Fields with very many parameters store digits of a mixed
radix instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.byte_io import ByteReader, pack_digits, unpack_digits, varint
from quinr_lidar.entropy.ans import (
    MAX_SCALE_CODE,
    MAX_SYMBOLS,
    Distribution,
    Uniform,
    bell,
    decode_symbols,
    encode_symbols,
)
from quinr_lidar.errors import TrainingError
from quinr_lidar.quantization.classes import (
    MAX_LEVEL_CODE,
    MIN_LEVEL_CODE,
    ParameterClass,
    RoundedClass,
    levels,
    step_of,
)

MAX_RADIUS = 1 << 20
_FLAT = 255
"""Written instead of a scale: all symbols up to a radius, which follows, are equally likely."""


@dataclass(frozen=True)
class _Grid:
    """How a class is coded: ``symbol + offset`` with a distribution."""

    offset: int
    distribution: Distribution


def can_be_modelled(classes: list[ParameterClass]) -> bool:
    """Whether all symbols fit into one number (flag MODELLED); else they are digits."""
    return sum(len(each.index) for each in classes) <= MAX_SYMBOLS


def pack_classes(
    classes: list[ParameterClass], rounded: list[RoundedClass], *, modelled: bool
) -> bytes:
    """Write step and scale bytes of every class, then all symbols in the order of the classes.

    Args:
        classes: The classes of the field.
        rounded: The same classes after rounding.
        modelled: See :func:`can_be_modelled`.

    Raises:
        TrainingError: a parameter is too large for its step.
    """
    head = bytearray()
    symbols: list[int] = []
    distributions: list[Distribution] = []
    for each, rounding in zip(classes, rounded, strict=True):
        described, grid = _describe(each, rounding, modelled=modelled)
        head += bytes((rounding.code,)) + described
        symbols += [int(symbol) + grid.offset for symbol in rounding.symbols]
        distributions += [grid.distribution] * len(each.index)
    if modelled:
        return bytes(head) + encode_symbols(symbols, distributions)
    bases = np.array([distribution.total for distribution in distributions], dtype=np.int64)
    return bytes(head) + pack_digits(np.array(symbols, dtype=np.int64), bases)


def unpack_classes(
    reader: ByteReader, classes: list[ParameterClass], *, modelled: bool
) -> tuple[list[NDArray[np.float64]], float]:
    """Read the values of each class; also returns the mean number of bits of a value.

    Raises:
        BitstreamError: a step, scale or radius is out of range, or bytes are missing.
    """
    if modelled and not can_be_modelled(classes):
        raise reader.error(f"expected at most {MAX_SYMBOLS} symbols in one number")
    codes, grids = [], []
    for each in classes:
        codes.append(reader.byte(each.name))
        grids.append(_read_grid(reader, each, codes[-1], modelled=modelled))
    distributions = [
        grid.distribution
        for each, grid in zip(classes, grids, strict=True)
        for _ in range(len(each.index))
    ]
    before = reader.remaining
    if modelled:
        coded = np.array(decode_symbols(reader, distributions, "symbols"), dtype=np.int64)
    else:
        bases = np.array([distribution.total for distribution in distributions], dtype=np.int64)
        coded = unpack_digits(reader, bases, "symbols")
    values, start = [], 0
    for each, code, grid in zip(classes, codes, grids, strict=True):
        part = coded[start : start + len(each.index)] - grid.offset
        start += len(part)
        values.append(part * step_of(each, code))
    return values, round(8 * (before - reader.remaining) / max(1, len(coded)), 2)


def _describe(
    each: ParameterClass, rounding: RoundedClass, *, modelled: bool
) -> tuple[bytes, _Grid]:
    if each.period is not None:
        count = levels(rounding.code)
        return b"", _Grid(count // 2, Uniform(count))
    radius = int(np.abs(rounding.symbols).max(initial=0))
    if radius > MAX_RADIUS:
        raise TrainingError(f"{each.name}: a trained parameter is too large for the file")
    flat = _Grid(radius, Uniform(2 * radius + 1))
    if not modelled:
        return varint(radius), flat
    scale = _best_scale(rounding.symbols, radius)
    extra = 8 * len(varint(radius))
    if scale is None or len(rounding.symbols) * np.log2(2 * radius + 1) + extra < scale[1]:
        return bytes((_FLAT,)) + varint(radius), flat
    return bytes((scale[0],)), _Grid(0, bell(scale[0]))


def _best_scale(symbols: NDArray[np.int64], radius: int) -> tuple[int, float] | None:
    """The scale byte that takes the fewest bits, and these; ``None`` if none is wide enough."""
    deviation = max(float(np.sqrt(np.square(symbols.astype(float)).mean())), 0.25)
    # The distribution's heavy tails make the deviation larger than the scale, by about 2 codes.
    middle = round(8 * np.log2(deviation)) - 2
    best: tuple[int, float] | None = None
    for code in range(max(0, middle - 6), min(MAX_SCALE_CODE, middle + 4) + 1):
        if bell(code).reach < radius:
            continue
        bits = float(_bits(code)[symbols + bell(code).reach].sum())
        if best is None or bits < best[1]:
            best = code, bits
    return best


@lru_cache(maxsize=128)
def _bits(code: int) -> NDArray[np.float64]:
    """Bits that each symbol of a bell-shaped distribution takes."""
    starts = np.array(bell(code).starts, dtype=np.float64)
    return np.log2(starts[-1] / np.diff(starts))


def _read_grid(reader: ByteReader, each: ParameterClass, code: int, *, modelled: bool) -> _Grid:
    if each.period is not None:
        if not MIN_LEVEL_CODE <= code <= MAX_LEVEL_CODE:
            raise reader.error(
                f"{each.name}: expected a step byte of {MIN_LEVEL_CODE}..{MAX_LEVEL_CODE}, "
                f"got {code}"
            )
        return _Grid(levels(code) // 2, Uniform(levels(code)))
    scale = reader.byte(f"{each.name} scale") if modelled else _FLAT
    if scale <= MAX_SCALE_CODE:
        return _Grid(0, bell(scale))
    if scale != _FLAT:
        raise reader.error(f"{each.name} scale: expected at most {MAX_SCALE_CODE}, got {scale}")
    radius = reader.varint(f"{each.name} radius")
    if radius > MAX_RADIUS:
        raise reader.error(f"{each.name} radius: expected at most {MAX_RADIUS}")
    return _Grid(radius, Uniform(2 * radius + 1))
