"""A tiny archived drive with its originals, and archives made of its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.archive import PackedSequence
from pipeline.archive.manifest import FrameRow
from pipeline.archive.writer import write_archive
from pipeline.datasets import Dataset, open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.storage.locations import locate
from tests.support.reports import FRAMES, archive_scans

Repack = Callable[..., PackedSequence]


@pytest.fixture(scope="session")
def scans(tmp_path_factory) -> Path:
    """A folder of scans; the third one is farther away than the others."""
    folder = tmp_path_factory.mktemp("report") / "scans" / "00"
    folder.mkdir(parents=True)
    for index in range(FRAMES):
        scale = 25 if index == 2 else 15
        points = np.random.default_rng(index).normal(scale=(scale, scale, 1), size=(400, 3))
        (folder / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
    return folder


@pytest.fixture(scope="session")
def packed(scans) -> Path:
    """Its archive, within 2 cm; not to be changed."""
    return archive_scans(scans, scans.parents[1] / "bounded")


@pytest.fixture(scope="session")
def previews(scans) -> Path:
    """Its archive of previews, without a max error; not to be changed."""
    return archive_scans(scans, scans.parents[1] / "previews", "paper")


@pytest.fixture
def archive(packed) -> PackedSequence:
    return PackedSequence.open(packed)


@pytest.fixture
def originals(scans) -> Dataset:
    return open_dataset(scans)


@pytest.fixture
def repack(tmp_path) -> Repack:
    """Makes another archive of an archive's frames, with rows changed."""
    places = iter(range(100))

    def make(
        archive: PackedSequence,
        rows: Sequence[tuple[FrameRow, bytes | None]] | None = None,
        **description: object,
    ) -> PackedSequence:
        frames = rows or [(row, archive.read(row.frame_id)) for row in archive.rows]
        said = replace(archive.description, frames=len(frames), **description)
        where = tmp_path / f"repacked-{next(places)}"
        write_archive(locate(where), said, archive.entropy_models, frames)
        return PackedSequence.open(where)

    return make
