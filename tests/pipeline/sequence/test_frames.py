from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.encoder_settings import EncoderSettings
from pipeline.datasets import open_dataset
from pipeline.datasets.single_file import scan_file
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.sequence import frames
from pipeline.sequence.frames import ArchiveJob, archive_frame, restore_frame
from pipeline.sequence.records import frame_path, read_record
from pipeline.sequence.sequence import archive_jobs, restore_jobs, write_results
from quinr_lidar import Profile, SphericalProjection, codec
from quinr_lidar.errors import DatasetError, StorageError
from tests.support.tiny import tiny

TINY = Profile(**tiny(steps=4))
PROJECTION = SphericalProjection(16, 64)


def write_scan(path: Path, seed: int = 0) -> Path:
    points = np.random.default_rng(seed).normal(scale=(15, 15, 1), size=(2000, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_velodyne(points))
    return path


def job(
    tmp_path: Path, name: str = "000000", timestamp: float | None = None, **changes
) -> ArchiveJob:
    source = tmp_path / "scans" / f"{name}.bin"
    if not source.exists():
        write_scan(source)
    values = {"profile": TINY, "projection": PROJECTION} | changes
    scan = replace(scan_file(source), timestamp=timestamp)
    return ArchiveJob(name, scan, tmp_path / "archive" / "00", **values)


def test_a_frame_is_written_decoded_measured_and_recorded(tmp_path):
    work = job(tmp_path, timestamp=1.5)
    record = archive_frame(work)
    assert record.status == "ok"
    data = frame_path(work.folder, "000000").read_bytes()
    assert record.fidelity is not None
    assert record.fidelity["encoded_bytes"] == len(data)
    assert record.fidelity["raw_bytes"] == work.source.path.stat().st_size
    assert record.fidelity["psnr_db"] > 0
    assert (record.timestamp, record.steps) == (1.5, 4)
    assert read_record(work.folder, "000000") == record


def test_resume_skips_only_what_is_the_same(tmp_path, monkeypatch):
    work = job(tmp_path)
    first = archive_frame(work)
    calls = []
    encode = codec.FrameEncoder.encode
    monkeypatch.setattr(
        codec.FrameEncoder, "encode", lambda *a, **k: calls.append(1) or encode(*a, **k)
    )
    assert archive_frame(work) == first
    assert not calls
    archive_frame(job(tmp_path, profile=TINY.with_overrides(seed=1)))
    assert len(calls) == 1, "other settings"
    archive_frame(work)
    assert len(calls) == 2, "and back"
    path = frame_path(work.folder, "000000")
    path.write_bytes(path.read_bytes()[:-1])
    archive_frame(work)
    assert len(calls) == 3, "a damaged file"
    path.unlink()
    archive_frame(work)
    assert len(calls) == 4, "a missing file"
    write_scan(work.source.path, seed=9)
    archive_frame(work)
    assert len(calls) == 5, "another scan"
    monkeypatch.setattr("quinr_lidar.__version__", "9.9")
    archive_frame(work)
    assert len(calls) == 6, "other software"
    archive_frame(job(tmp_path, resume=False))
    assert len(calls) == 7, "not asked to resume"
    (work.folder / "records" / "000000.json").write_text("{broken")
    archive_frame(work)
    assert len(calls) == 8, "an unreadable record"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"x" * 33, "text"),
        (np.ones((3, 4), np.float32).tobytes()[:-1], "multiple of 16"),
        (np.full((3, 4), np.nan, np.float32).tobytes(), "finite"),
        (np.zeros((3, 4), np.float32).tobytes(), "range above 0"),
        (None, "No such file"),
    ],
)
def test_a_bad_frame_is_recorded_and_leaves_no_file(tmp_path, content, reason):
    work = job(tmp_path)
    work.source.path.unlink()
    if content is not None:
        work.source.path.write_bytes(content)
    record = archive_frame(work)
    assert record.status == "failed"
    assert record.error is not None
    assert str(work.source) in record.error
    assert reason in record.error
    assert "\n" not in record.error
    assert not frame_path(work.folder, "000000").exists()
    assert read_record(work.folder, "000000") == record


def test_a_full_disk_is_a_failed_frame(tmp_path, monkeypatch):
    def full(path, _data):
        raise StorageError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(frames, "write_atomically", full)
    record = archive_frame(job(tmp_path))
    assert record.status == "failed"
    assert record.error is not None
    assert "No space left" in record.error


def test_restored_scans_open_as_a_data_set(tmp_path):
    work = job(tmp_path, profile=TINY.with_overrides(steps=60))
    archive_frame(work)
    jobs = restore_jobs(tmp_path / "archive", tmp_path / "restored")
    assert list(jobs) == ["00"]
    assert restore_frame(jobs["00"][0]).status == "ok"
    dataset = open_dataset(tmp_path / "restored")
    assert (dataset.name, dataset.frame_ids) == ("00", ("000000",))
    scan = dataset.read("000000")
    record = read_record(work.folder, "000000")
    assert record is not None
    assert len(scan.points) > 0
    assert not scan.channels["reflectance"].any()


@pytest.mark.parametrize("kind", ["ply", "pcd", "npy"])
def test_restored_frames_of_other_kinds(tmp_path, kind):
    archive_frame(job(tmp_path))
    (work,) = restore_jobs(tmp_path / "archive", tmp_path / "restored", kind)["00"]
    assert restore_frame(work).status == "ok"
    assert work.target == tmp_path / "restored" / "00" / f"000000.{kind}"
    assert work.target.stat().st_size > 0
    with pytest.raises(StorageError, match="--as las: expected one of bin, ply, npy, pcd"):
        restore_jobs(tmp_path / "archive", tmp_path / "restored", "las")


def test_a_damaged_file_fails_alone(tmp_path):
    for name in ("000000", "000001"):
        archive_frame(job(tmp_path, name))
    path = frame_path(tmp_path / "archive" / "00", "000000")
    path.write_bytes(path.read_bytes()[:-3])
    records = [
        restore_frame(item)
        for item in restore_jobs(tmp_path / "archive" / "00", tmp_path / "out")["00"]
    ]
    assert [record.status for record in records] == ["failed", "ok"]
    assert str(path) in (records[0].error or "")
    assert not (tmp_path / "out/sequences/00/velodyne/000000.bin").exists()


def test_nothing_to_restore_is_said(tmp_path):
    with pytest.raises(DatasetError, match=r"no archived sequence, expected <sequence>/frames"):
        restore_jobs(tmp_path, tmp_path)


def test_results_beside_the_frames(tmp_path):
    good, bad = job(tmp_path, "000000"), job(tmp_path, "000001")
    bad.source.path.write_bytes(b"")
    records = [archive_frame(good), archive_frame(bad)]
    write_results(good.folder, records, {"profile": {"name": "paper"}})
    results = json.loads((good.folder / "metrics.json").read_text())
    assert results["name"] == "quINR paper"
    assert results["frames"] == {"total": 2, "ok": 1, "failed": 1}
    assert list(results["failures"]) == ["000001"]
    assert len(results["results"]["psnr_db"]) == 1
    lines = (good.folder / "metrics.csv").read_text().splitlines()
    assert lines[0].startswith("frame_id,status,error")
    assert lines[1].startswith("000000,ok")
    assert lines[2].startswith("000001,failed")


def test_jobs_follow_the_data_set(tmp_path):
    for name in ("a", "b", "c"):
        write_scan(tmp_path / "scans" / f"{name}.bin")
    jobs = archive_jobs(
        open_dataset(tmp_path / "scans"), tmp_path / "out", EncoderSettings(TINY), n_scans=2
    )
    assert [item.frame_id for item in jobs] == ["a", "b"]
    assert jobs[0].folder == tmp_path / "out" / "scans"
