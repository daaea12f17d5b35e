"""The training set of an entropy model: which scans, and range images made of them."""

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
    """Scans of a training.

    Attributes:
        training_set: Scans that are learned from.
        held_out: Other scans, on which the model is measured.
    """

    training_set: tuple[FrameSource, ...]
    held_out: tuple[FrameSource, ...]


def choose_scans(
    sources: Sequence[Path], sequence: str | None, frames: int, share_held_out: float
) -> ScanChoice:
    """Choose scans spread evenly over data sets; the last ones are held out.

    Neighbouring scans are alike, so the held-out ones come from the end.

    Args:
        sources: Data sets or single scans.
        sequence: Sequence of data sets that have several.
        frames: Number of scans at most of each source.
        share_held_out: Share of all scans that is held out, 0..1.

    Raises:
        DatasetError: a source is no data set.
        EntropyModelError: nothing is left to learn from.
    """
    scans = [
        scan
        for source in sources
        for scan in _spread(open_dataset(source, sequence).frames(), frames)
    ]
    held_out = math.ceil(share_held_out * len(scans))
    if held_out >= len(scans):
        raise EntropyModelError(
            f"{len(scans)} scans, of which {held_out} are held out: nothing to train on; "
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
    """Range images of one scan: as it is, and turned a little, every second one mirrored.

    About two returns fall on a pixel and the nearest one counts, so that a scan that is turned
    by less than a column gives other pixels of the same scene.

    Args:
        points: Points in metres, [N, >=3].
        projection: Projection of the images.
        count: Number of images.
        generator: Source of random numbers.
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
    """Read scans; all their variants that have a valid pixel.

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
