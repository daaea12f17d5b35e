"""Classes of parameters, each on a grid of its own: a step byte, and symbols of mixed radix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.bitstream.primitives import (
    ByteReader,
    pack_digits,
    unpack_digits,
    varint,
)
from quinr_lidar.errors import TrainingError
from quinr_lidar.training.rounding import (
    MAX_LEVEL_CODE,
    MIN_LEVEL_CODE,
    ParameterClass,
    RoundedClass,
    levels,
    step_of,
)

MAX_RADIUS = 1 << 20


def pack_classes(classes: list[ParameterClass], rounded: list[RoundedClass]) -> bytes:
    """Step bytes and radii, then all symbols in the order of the classes.

    Raises:
        TrainingError: a parameter is too large for its step.
    """
    head = bytearray()
    for each, grid in zip(classes, rounded, strict=True):
        head.append(grid.code)
        if each.period is None:
            if _radius(grid) > MAX_RADIUS:
                raise TrainingError(f"{each.name}: a trained parameter is too large for the file")
            head += varint(_radius(grid))
    bases = _bases(classes, rounded)
    shifted = [
        grid.symbols + (_radius(grid) if each.period is None else levels(grid.code) // 2)
        for each, grid in zip(classes, rounded, strict=True)
    ]
    return bytes(head) + pack_digits(np.concatenate(shifted), bases)


def unpack_classes(
    reader: ByteReader, classes: list[ParameterClass]
) -> tuple[list[NDArray[np.float64]], float]:
    """The values of each class, and the mean bits of one.

    Raises:
        BitstreamError: a step or radius is out of range, or bytes are missing.
    """
    codes, offsets, bases = [], [], []
    for each in classes:
        code = reader.byte(each.name)
        if each.period is None:
            offset = reader.varint(f"{each.name} radius")
            if offset > MAX_RADIUS:
                raise reader.error(f"{each.name} radius: expected at most {MAX_RADIUS}")
            base = 2 * offset + 1
        else:
            if not MIN_LEVEL_CODE <= code <= MAX_LEVEL_CODE:
                raise reader.error(
                    f"{each.name}: expected a step byte of {MIN_LEVEL_CODE}..{MAX_LEVEL_CODE}, "
                    f"got {code}"
                )
            base = levels(code)
            offset = base // 2
        codes.append(code)
        offsets.append(offset)
        bases.append(np.full(len(each.index), base, dtype=np.int64))
    together = np.concatenate(bases)
    digits = unpack_digits(reader, together, "symbols")
    values, start = [], 0
    for each, code, offset in zip(classes, codes, offsets, strict=True):
        part = digits[start : start + len(each.index)] - offset
        start += len(part)
        values.append(part * step_of(each, code))
    bits = float(np.log2(together).mean())
    return values, round(bits, 2)


def _radius(grid: RoundedClass) -> int:
    return int(np.abs(grid.symbols).max(initial=0))


def _bases(classes: list[ParameterClass], rounded: list[RoundedClass]) -> NDArray[np.int64]:
    return np.concatenate(
        [
            np.full(
                len(each.index),
                2 * _radius(grid) + 1 if each.period is None else levels(grid.code),
                dtype=np.int64,
            )
            for each, grid in zip(classes, rounded, strict=True)
        ]
    )
