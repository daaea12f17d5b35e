"""Which scans an entropy model learns from, and the range images that one scan gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import FrameSource, open_dataset
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import EntropyModelError

COLUMN_SHIFTS = 8
"""Copies are turned by up to this many columns of the image."""


@dataclass(frozen=True)
class ScanChoice:
    """Scans to learn from, and others to measure on."""

    learnt: tuple[FrameSource, ...]
    held_out: tuple[FrameSource, ...]


def choose_scans(
    sources: Sequence[Path], sequence: str | None, frames: int, share_held_out: float
) -> ScanChoice:
    """Scans spread evenly over data sets; the last ones are held out.

    Neighbouring scans are alike: taking the held-out ones from the end keeps them apart.

    Args:
        sources: Data sets or single scans.
        sequence: Of those data sets that have several.
        frames: Scans at most, of each source.
        share_held_out: Of all scans, 0..1.

    Raises:
        DatasetError: a source is no data set.
        PriorError: nothing is left to learn from.
    """
    scans = [
        scan
        for source in sources
        for scan in _spread(open_dataset(source, sequence).frames(), frames)
    ]
    held_out = math.ceil(share_held_out * len(scans))
    if held_out >= len(scans):
        raise EntropyModelError(
            f"{len(scans)} scans, of which {held_out} are held out: nothing to learn from; "
            "give more scans, or --held-out 0"
        )
    return ScanChoice(tuple(scans[: len(scans) - held_out]), tuple(scans[len(scans) - held_out :]))


def _spread(scans: Sequence[FrameSource], count: int) -> list[FrameSource]:
    chosen = np.linspace(0, len(scans) - 1, min(count, len(scans)))
    return [scans[round(at)] for at in chosen]


def variants(
    points: NDArray[np.float32],
    projection: SphericalProjection,
    count: int,
    generator: np.random.Generator,
) -> list[RangeImage]:
    """Range images of one scan, turned by fractions of columns and every second one mirrored.

    Two returns or so fall on a pixel and the nearest one counts: a scan that is turned a little
    gives other pixels of the same scene.

    Args:
        points: [N, >=3], metres.
        projection: Makes the images.
        count: Of images; the first is the scan as it is.
        generator: Of random numbers.
    """
    images = [projection.project(points)]
    cloud = points[:, :3].astype(np.float64)
    for number in range(1, count):
        turn = generator.uniform(0, COLUMN_SHIFTS * 2 * math.pi / projection.width)
        cosine, sine = math.cos(turn), math.sin(turn)
        mirrored = cloud * (1, -1 if number % 2 else 1, 1)
        turned = mirrored @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        images.append(projection.project(turned))
    return images


def read_variants(
    scans: Sequence[FrameSource], projection: SphericalProjection, count: int, seed: int
) -> list[RangeImage]:
    """All variants of all scans that have a valid pixel.

    Raises:
        ScanError, StorageError: a scan cannot be read.
    """
    generator = np.random.default_rng(seed)
    images = [
        image
        for scan in scans
        for image in variants(scan.read().points, projection, count, generator)
    ]
    return [image for image in images if image.valid.any()]
