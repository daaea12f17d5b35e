"""A tiny archived drive, made once: every test packs a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.archive import writer
from pipeline.archive.mcap.index import read_index
from pipeline.archive.mcap.records import records_of
from pipeline.archive.reader import PackedSequence
from pipeline.archive.target import encoder_settings
from pipeline.archive.writer import pack_sequence
from pipeline.config.archive_config import ArchiveConfig, ProjectionConfig
from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.model_files import keep_model
from pipeline.sequence.records import frame_path, read_record, write_record
from pipeline.sequence.sequence import archive_jobs, write_results
from pipeline.storage.files import sha256_of
from pipeline.storage.locations import locate
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar import SphericalProjection
from quinr_lidar.entropy.models import EntropyModel
from tests.support.tiny import tiny

TINY = tiny(keyframe_interval=3)
PROJECTION = SphericalProjection(8, 32)
CONFIG = ArchiveConfig(overrides=TINY, projection=ProjectionConfig(**vars(PROJECTION)))
FRAMES = 6


@pytest.fixture(scope="session")
def drive(tmp_path_factory) -> Path:
    """A folder: scans in ``scans/00``, archived within 2 cm in ``archive/00``."""
    root = tmp_path_factory.mktemp("drive")
    scans = root / "scans" / "00"
    scans.mkdir(parents=True)
    for index in range(FRAMES):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(400, 3))
        (scans / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
    _archive(root, "archive", CONFIG)
    _archive(root, "previews", CONFIG.model_copy(update={"profile": "paper"}))
    return root


def _archive(root: Path, out: str, config: ArchiveConfig) -> None:
    chosen, _ = encoder_settings(root / out / "00", config)
    jobs = archive_jobs(open_dataset(root / "scans" / "00"), root / out, chosen)
    records = [archive_frame(job) for job in jobs]
    assert all(record.status == "ok" for record in records), records
    write_results(root / out / "00", records, chosen.as_dict())


@pytest.fixture
def folder(drive, tmp_path) -> Path:
    """A sequence's folder that a test may damage."""
    return shutil.copytree(drive / "archive" / "00", tmp_path / "nightly" / "00")


@pytest.fixture
def packed(folder, tmp_path) -> Path:
    """A packed sequence that a test may damage."""
    pack_sequence(folder, tmp_path / "packed" / "00")
    return tmp_path / "packed" / "00"


@pytest.fixture
def many(folder) -> Callable[[int], Path]:
    """Makes the sequence longer: copies of its frames under new ids."""

    def copy(count: int) -> Path:
        originals = [read_record(folder, f"{index:06d}") for index in range(FRAMES)]
        for index in range(FRAMES, count):
            record = originals[index % FRAMES]
            assert record is not None
            name = f"{index:06d}"
            shutil.copy(frame_path(folder, record.frame_id), frame_path(folder, name))
            write_record(folder, replace(record, frame_id=name))
        return folder

    return copy


@pytest.fixture(scope="session")
def own_drive(drive, own_model: EntropyModel, tmp_path_factory) -> Path:
    """A sequence's folder that carries the entropy model of its frames."""
    root = tmp_path_factory.mktemp("own")
    keep_model(root / "archive" / "00", own_model)
    shutil.copytree(drive / "scans", root / "scans")
    overrides = TINY | {"entropy_model": own_model.name}
    _archive(root, "archive", CONFIG.model_copy(update={"overrides": overrides}))
    return root / "archive" / "00"


def flip(path: Path, position: int, mask: int = 0x55) -> None:
    """Damage one byte of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= mask
    path.write_bytes(data)


def digests(folder: Path) -> dict[str, str]:
    """What is in a folder, byte for byte."""
    return {
        str(path.relative_to(folder)): sha256_of(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def record_places(mcap: Path) -> list[tuple[int, int]]:
    """Start and end of every record before the summary."""
    data = RangedFile(locate(mcap))
    return [(r.offset, r.end) for r in records_of(data, read_index(data).start)]


def store(packed: Path, out: Path) -> Path:
    """The same archive without compression, as if that were smaller."""
    archive = PackedSequence.open(packed)
    frames = [(row, archive.read(row.frame_id)) for row in archive.rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "min", lambda paths, key: paths[0], raising=False)
        writer.write_archive(locate(out), archive.description, archive.entropy_models, frames)
    assert not next(iter(PackedSequence.open(out).index.chunks.values())).compression
    return out
