"""What takes part in a comparison: one protocol for fields, image codecs, point codecs and models.

A baseline codes a range image, a picture, or the points re-created at the centres of a range
image's pixels. Every decoder is told the projection and the maximum range, so no baseline pays for
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.training_sets import TrainingSet
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.codec.images import as_values

Goal = Literal["max_error", "size", "lossless"]
"""What is asked for: a largest error in metres, a number of bytes, or everything."""
Kind = Literal["scan", "picture"]
Content = RangeImage | NDArray[np.uint8]
"""A range image, or a picture: uint8 [H, W] or [H, W, 3]."""


@dataclass(frozen=True)
class Request:
    """What a baseline is asked for.

    Attributes:
        setting: Largest error in metres, or bytes of the file; 0 for a lossless baseline.
        channels: Values of a pixel: 1, or 3 for a picture.
        variant: Number of the variant, for a baseline that has several.
        seed: Seed of the training.
        share: Share of the usual training steps; less than 1 for a quick look.
        training_set: What a baseline that learns may learn from.
    """

    setting: float
    channels: int = 1
    variant: int = 0
    seed: int = 0
    share: float = 1.0
    training_set: TrainingSet | None = None

    def steps(self, usual: int) -> int:
        """Steps of a training, from the usual number."""
        return max(1, round(self.share * usual))

    @property
    def lessons(self) -> TrainingSet:
        """The training set of a baseline that learns."""
        if self.training_set is None:
            raise ValueError("training_set: a baseline that learns needs one")
        return self.training_set


@dataclass(frozen=True)
class Known:
    """What a decoder is told besides the file; ``no_return`` is the maximum range in metres."""

    projection: SphericalProjection
    no_return: float
    request: Request


@dataclass(frozen=True, eq=False)
class Decoded:
    """What comes out of a decoder: ranges with their mask, points, or values.

    Attributes:
        ranges: Ranges in metres, float [H, W].
        valid: Mask of the valid pixels, bool [H, W].
        points: Points in metres, float [N, 3].
        values: Every pixel's values in [0, 1], float [H, W, C], from a codec that knows no mask.
    """

    ranges: NDArray[np.floating] | None = None
    valid: NDArray[np.bool_] | None = None
    points: NDArray[np.floating] | None = None
    values: NDArray[np.floating] | None = None


@dataclass(frozen=True, eq=False)
class Encoded:
    """What comes out of an encoder.

    Attributes:
        size: Bytes; a fraction where it is an ideal code length.
        data: The file; ``None`` where there is only a length.
        parts: Bytes of each layer, where there are several.
        order: int [N], the original point that the i-th decoded point is, if the order changes.
        decoded: The decoded file, where encoding had to decode it anyway.
        seconds: Encoding time, where not all that was done counts as encoding.
        figures: Further figures, such as the seconds of a training.
    """

    size: float
    data: bytes | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    order: NDArray[np.intp] | None = None
    decoded: Decoded | None = None
    seconds: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, data: bytes, **others: object) -> Encoded:
        """A file."""
        return cls(len(data), data, **others)  # pyright: ignore[reportArgumentType]


Encode = Callable[..., Encoded]
"""From a content and a :class:`Request`; a baseline is only given the kinds that it codes."""
Decode = Callable[[bytes, Known], Decoded]


def _one_variant(_setting: float, _channels: int) -> Sequence[str]:
    return ("",)


@dataclass(frozen=True)
class Baseline:
    """One that takes part.

    Attributes:
        name: Key in the registry, and the name on the command line.
        title: Name for people.
        goal: What the setting means.
        ways: Encoders by label; all are tried, and the smallest file counts.
        decode: Decoder; ``None`` if the encoder returns what it decoded, or only a length.
        version: What decides the result besides the source: points of another one are not reused.
        codes: Kinds of sources it is used for.
        variants: Labels of the variants for a setting and a number of channels, none if it cannot
            do it. Each is measured on its own, and the best mean PSNR counts.
        settings: Settings to use instead of the comparison's.
        optional: Takes part only if it is asked for by name.
        repeats: Runs of the decoder; the median of the seconds counts.
        learns: Whether it needs a training set.
        unseen_only: Whether it leaves out scans that the built-in entropy model has seen.
    """

    name: str
    title: str
    goal: Goal
    ways: Mapping[str, Encode]
    decode: Decode | None
    version: Callable[[Request], str]
    codes: tuple[Kind, ...] = ("scan",)
    variants: Callable[[float, int], Sequence[str]] = _one_variant
    settings: tuple[float, ...] = ()
    optional: bool = False
    repeats: int = 1
    learns: bool = False
    unseen_only: bool = False


def packages(*names: str) -> Callable[[Request], str]:
    """The ``version`` of a baseline that some Python packages decide."""
    return lambda _: " ".join(f"{name} {version(name)}" for name in names)


def values_of(content: Content) -> NDArray[np.float32]:
    """Values [H, W, C] in [0, 1]; invalid pixels of a range image hold the maximum range."""
    if isinstance(content, RangeImage):
        return (content.filled() / np.float32(content.no_return))[..., None]
    return as_values(content)
