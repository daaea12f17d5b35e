"""Frames in worker processes: the archive is the same, and what a killed worker costs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from pipeline.datasets.single_file import scan_file
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.jobs.workers import Workers
from pipeline.sequence.frames import ArchiveJob, archive_frame
from pipeline.sequence.records import FrameRecord, frame_path, read_record
from quinr_lidar import Profile, SphericalProjection
from tests.support.tiny import tiny

TINY = Profile(**tiny(steps=20, warm_steps=5))


def archive_jobs(
    tmp_path: Path, *, frames: int = 6, length: int = 3, out: str = "archive"
) -> list[ArchiveJob]:
    """Scans of noise, in runs."""
    jobs = []
    for index in range(frames):
        source = tmp_path / "scans" / f"{index:06d}.bin"
        source.parent.mkdir(exist_ok=True)
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(500, 3))
        source.write_bytes(encode_velodyne(points))
        before = f"{index - 1:06d}" if index % length else None
        projection = SphericalProjection(16, 64)
        jobs.append(
            ArchiveJob(source.stem, scan_file(source), tmp_path / out, TINY, projection, before)
        )
    return jobs


def test_the_archive_does_not_depend_on_the_number_of_workers(tmp_path):
    written = []
    for processes in (1, 3):
        jobs = archive_jobs(tmp_path, out=f"by{processes}")
        with Workers(processes) as workers:
            records = workers.run(archive_frame, jobs)
        assert {record.status for record in records} == {"ok"}
        assert sum(record.start != "cold" for record in records) == 4
        written.append([frame_path(j.folder, j.frame_id).read_bytes() for j in jobs])
    assert written[0] == written[1]


def die_on_000001(job: ArchiveJob) -> FrameRecord:
    if job.frame_id == "000001":
        os._exit(9)
    return archive_frame(job)


def test_a_worker_killed_in_a_run_costs_one_frame_and_its_followers_go_on(tmp_path):
    jobs = archive_jobs(tmp_path)
    for job in jobs:
        archive_frame(job)
    with Workers(2) as workers:
        records = workers.run(die_on_000001, jobs)
    assert [record.status for record in records] == ["ok", "failed"] + ["ok"] * 4
    assert "killed" in (records[1].error or "")
    # On disk before its follower began, which must not start from the file of the first time.
    assert read_record(jobs[1].folder, "000001") == records[1]
    assert (records[2].start, records[2].start_sha256) == ("cold", None)
    assert [record.start == "cold" for record in records[3:]] == [True, False, False]
