"""Frames in worker processes: runs in order, side by side, and what a killed worker costs."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.single_file import scan_file
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.jobs.workers import Workers, runs_of
from pipeline.sequence.frames import ArchiveJob, RestoreJob, archive_frame
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


def test_jobs_belong_to_their_predecessors_run(tmp_path):
    jobs = archive_jobs(tmp_path, frames=7)
    names = [[job.frame_id[-1] for job in run] for run in runs_of(jobs)]
    assert names == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    # A predecessor that is no job of this call is not waited for.
    assert [len(run) for run in runs_of(jobs[1:])] == [2, 3, 1]
    restore = [RestoreJob(name, tmp_path, tmp_path) for name in "abc"]
    assert [len(run) for run in runs_of(restore)] == [1, 1, 1]
    assert runs_of([]) == []


def in_order(job: ArchiveJob) -> FrameRecord:
    """Fails if its predecessor is not done, notes that it is itself."""
    if job.predecessor and not (job.folder / job.predecessor).exists():
        return FrameRecord(job.frame_id, "failed", error="before its predecessor")
    job.folder.mkdir(exist_ok=True)
    (job.folder / job.frame_id).touch()
    return FrameRecord(job.frame_id, "ok")


def side_by_side(job: ArchiveJob) -> FrameRecord:
    """The first frame of a run waits for those of two other runs to begin."""
    if job.predecessor is None:
        begun = job.folder / "begun"
        begun.mkdir(parents=True, exist_ok=True)
        (begun / job.frame_id).touch()
        deadline = time.monotonic() + 120
        while len(list(begun.iterdir())) < 3:
            if time.monotonic() > deadline:
                return FrameRecord(job.frame_id, "failed", error="alone")
            time.sleep(0.02)
    return in_order(job)


def test_frames_of_a_run_wait_for_each_other_and_runs_do_not(tmp_path):
    jobs = archive_jobs(tmp_path, frames=9)
    seen = []
    with Workers(3, seen.append) as workers:
        records = workers.run(side_by_side, jobs)
    assert [record.error for record in records] == [None] * 9
    assert [record.frame_id for record in records] == [job.frame_id for job in jobs]
    reported = [record.frame_id for record in seen]
    assert sorted(reported) == [job.frame_id for job in jobs]
    for run in runs_of(jobs):
        places = [reported.index(job.frame_id) for job in run]
        assert places == sorted(places)


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


def interrupt(_record: FrameRecord) -> None:
    raise KeyboardInterrupt


def test_after_ctrl_c_no_frame_begins(tmp_path):
    jobs = archive_jobs(tmp_path, length=6)
    with pytest.raises(KeyboardInterrupt), Workers(1, interrupt) as workers:
        workers.run(in_order, jobs)
    assert [path.name for path in jobs[0].folder.iterdir()] == ["000000"]


def die_on_b(work: RestoreJob) -> FrameRecord:
    if work.frame_id == "b":
        os._exit(9)
    if work.frame_id == "c":
        raise RuntimeError("unexpected")
    return FrameRecord(work.frame_id, "ok")


def test_a_killed_worker_costs_only_its_own_frame(tmp_path):
    jobs = [RestoreJob(name, tmp_path / name, tmp_path) for name in "abcd"]
    seen = []
    with Workers(2, seen.append) as workers:
        records = workers.run(die_on_b, jobs)
    assert [record.status for record in records] == ["ok", "failed", "failed", "ok"]
    assert "killed" in (records[1].error or "")
    assert "RuntimeError: unexpected" in (records[2].error or "")
    assert sorted(record.frame_id for record in seen) == ["a", "b", "c", "d"]


def die_on_k(work: RestoreJob) -> FrameRecord:
    if work.frame_id.startswith("k"):
        os._exit(9)
    time.sleep(0.5)
    return FrameRecord(work.frame_id, "ok")


@pytest.mark.slow
def test_a_chunk_that_kills_workers_costs_no_other_chunk(tmp_path):
    chunks = [
        [RestoreJob(name, tmp_path / name, tmp_path) for name in names]
        for names in (("k0", "k1"), ("a", "b", "c"))
    ]
    with Workers(2) as workers, ThreadPoolExecutor(2) as threads:
        killers, innocent = threads.map(lambda jobs: workers.run(die_on_k, jobs), chunks)
    assert [record.status for record in killers] == ["failed", "failed"]
    assert [record.status for record in innocent] == ["ok", "ok", "ok"]


def test_more_workers_than_the_limit_of_open_files_allows(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    try:
        with Workers(100) as workers:
            records = workers.run(die_on_b, [RestoreJob("a", tmp_path / "a", tmp_path)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [record.status for record in records] == ["ok"]
