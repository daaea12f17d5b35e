"""Which scans an entropy model learns from, and the range images that one scan gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import open_dataset, read_velodyne
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import EntropyModelError

COLUMN_SHIFTS = 8
"""Copies are turned by up to this many columns of the image."""


@dataclass(frozen=True)
class ScanChoice:
    """Scans to learn from, and others to measure on."""

    learnt: tuple[Path, ...]
    held_out: tuple[Path, ...]


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
    files = [
        path
        for source in sources
        for path in _spread(list(open_dataset(source, sequence).files.values()), frames)
    ]
    held_out = math.ceil(share_held_out * len(files))
    if held_out >= len(files):
        raise EntropyModelError(
            f"{len(files)} scans, of which {held_out} are held out: nothing to learn from; "
            "give more scans, or --held-out 0"
        )
    return ScanChoice(tuple(files[: len(files) - held_out]), tuple(files[len(files) - held_out :]))


def _spread(files: list[Path], count: int) -> list[Path]:
    chosen = np.linspace(0, len(files) - 1, min(count, len(files)))
    return [files[round(at)] for at in chosen]


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
    files: Sequence[Path], projection: SphericalProjection, count: int, seed: int
) -> list[RangeImage]:
    """All variants of all scans that have a valid pixel.

    Raises:
        ScanError: a file is not a scan.
    """
    generator = np.random.default_rng(seed)
    images = [
        image
        for file in files
        for image in variants(read_velodyne(file), projection, count, generator)
    ]
    return [image for image in images if image.valid.any()]
