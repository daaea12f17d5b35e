"""Who takes part in the comparison at a guaranteed error, and what each returns.

A baseline codes a range image, or the points re-created at its pixels' centres. What every
decoder is told for nothing, and so costs no baseline a bit: the projection, the maximum range
(:class:`Known`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.rate.training_sets import TrainingSet
from quinr_lidar import RangeImage, SphericalProjection

Goal = Literal["max_error", "rate", "lossless"]
"""What a baseline is asked for: a maximum error in metres, bits a pixel, or everything."""


@dataclass(frozen=True)
class Known:
    """What a decoder knows besides the bytes.

    Attributes:
        projection: Of the range image.
        no_return: Maximum measured range, metres.
        setting: The bound in metres, or the bits a pixel asked for.
    """

    projection: SphericalProjection
    no_return: float
    setting: float


@dataclass(frozen=True, eq=False)
class Decoded:
    """What comes out of a decoder; either ranges or points.

    Attributes:
        ranges: float [H, W], metres.
        valid: bool [H, W]; ``None`` where a codec knows no mask: then ``ranges`` is the whole
            image, and only its PSNR is defined.
        points: float [N, 3], metres.
    """

    ranges: NDArray[np.floating] | None = None
    valid: NDArray[np.bool_] | None = None
    points: NDArray[np.floating] | None = None


@dataclass(frozen=True, eq=False)
class Encoded:
    """What comes out of an encoder.

    Attributes:
        size: Bytes; a fraction where it is an ideal code length.
        data: The bytes; ``None`` where there is only a length.
        parts: Bytes of each layer, where there are several.
        order: int [N]: the original point that the decoder's i-th point is, where its order is
            another.
        decoded: Where encoding had to search by decoding; its seconds then say nothing.
        seconds: Of encoding, where not all that was done counts as such.
        training_seconds: What did not count: a training that the setting does not change.
    """

    size: float
    data: bytes | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    order: NDArray[np.intp] | None = None
    decoded: Decoded | None = None
    seconds: float | None = None
    training_seconds: float | None = None

    @classmethod
    def of(cls, data: bytes, **others: object) -> Encoded:
        """A file."""
        return cls(len(data), data, **others)  # pyright: ignore[reportArgumentType]


Encode = Callable[[RangeImage, float], Encoded]
Decode = Callable[[bytes, Known], Decoded]


@dataclass(frozen=True)
class Baseline:
    """Someone who takes part.

    Attributes:
        name: Its key.
        title: For people.
        goal: What the setting is that it is run with.
        ways: Encoders by label, from an image and a setting; all are tried, the smallest file
            counts.
        decode: From a file; ``None`` for a baseline that only states a length.
        version: Of the software behind it: results of another version are not reused.
        settings: That it is run with, instead of those of its goal.
        optional: Takes part only where it is asked for by name.
        repeats: Of decoding; the median of the seconds counts.
        taught: Of a baseline that learns from scans: itself, with ``ways`` and ``decode``.
    """

    name: str
    title: str
    goal: Goal
    ways: Mapping[str, Encode]
    decode: Decode | None
    version: Callable[[], str]
    settings: tuple[float, ...] = ()
    optional: bool = False
    repeats: int = 1
    taught: Callable[[TrainingSet], Baseline] | None = None
