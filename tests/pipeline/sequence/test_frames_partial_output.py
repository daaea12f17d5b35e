"""A frame that fails late leaves nothing that a later run could take for finished."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.single_file import scan_file
from pipeline.sequence import frames, records
from pipeline.sequence.frames import ArchiveJob, archive_frame
from pipeline.sequence.records import frame_path, read_record
from quinr_lidar import Profile, SphericalProjection
from quinr_lidar.errors import BitstreamError, StorageError
from tests.support.tiny import tiny

TINY = Profile(**tiny())


@pytest.fixture
def job(tmp_path) -> ArchiveJob:
    points = np.random.default_rng(0).normal(scale=(15, 15, 1, 0), size=(2000, 4))
    source = tmp_path / "000000.bin"
    source.write_bytes(points.astype("<f4").tobytes())
    return ArchiveJob(
        "000000", scan_file(source), tmp_path / "00", TINY, SphericalProjection(16, 64)
    )


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_that_does_not_decode_is_removed(job, monkeypatch):
    def corrupt(_data, _layers=None, **_options):
        raise BitstreamError("preview", 31, "checksum differs")

    monkeypatch.setattr(frames.quinr_lidar, "decode", corrupt)
    record = archive_frame(job)
    assert record.status == "failed"
    assert "000000.quinr: preview at byte 31" in (record.error or "")
    assert files_below(job.folder) == ["000000.json"]
    assert read_record(job.folder, "000000") == record


def test_an_unexpected_error_while_measuring_removes_the_file_too(job, monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(frames, "measure_frame", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        archive_frame(job)
    assert files_below(job.folder) == []


def test_a_file_whose_record_cannot_be_kept_is_removed(job, monkeypatch):
    def full(path, _value):
        raise StorageError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(records, "write_json_atomically", full)
    record = archive_frame(job)
    assert record.status == "failed"
    assert "No space left" in (record.error or "")
    assert not frame_path(job.folder, "000000").exists()


def test_a_bad_source_does_not_cost_the_file_of_an_earlier_run(job):
    assert archive_frame(job).status == "ok"
    before = frame_path(job.folder, "000000").read_bytes()
    job.source.path.write_bytes(b"\x00\x01\x02")
    assert archive_frame(job).status == "failed"
    assert frame_path(job.folder, "000000").read_bytes() == before
