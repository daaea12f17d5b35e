from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows._prefect.chunks import (
    CHUNKS_IN_FLIGHT,
    MAX_TASKS,
    chunks_of,
    default_chunk,
    is_worth_retrying,
    run_in_chunks,
)
from flows.restore_sequence import restore_sequence
from pipeline.config.archive_config import ExecutorConfig, RunConfig
from pipeline.datasets.single_file import scan_file
from pipeline.jobs.executors import GaveUpError
from pipeline.jobs.workers import Workers, runs_of
from pipeline.sequence.frames import ArchiveJob, RestoreJob, archive_frame
from pipeline.sequence.records import FrameRecord, frame_path, read_record
from quinr_lidar import Profile, SphericalProjection
from quinr_lidar.errors import ScanError
from tests.support.tiny import tiny

TINY = Profile(**tiny())


@given(st.integers(1, 1_000_000), st.integers(1, 256))
def test_neither_too_many_tasks_nor_idle_workers(frames, workers):
    size = default_chunk(frames, workers)
    assert size >= 1
    assert math.ceil(frames / size) <= MAX_TASKS
    in_flight = min(CHUNKS_IN_FLIGHT * size, frames)
    assert in_flight >= min(workers, frames)


def jobs_in_runs(frames: int, length: int) -> list[ArchiveJob]:
    return [
        ArchiveJob(
            str(index),
            scan_file(Path()),
            Path(),
            TINY,
            predecessor=str(index - 1) if index % length else None,
        )
        for index in range(frames)
    ]


@settings(deadline=None)
@given(
    frames=st.integers(1, 5000),
    length=st.integers(1, 64),
    workers=st.integers(1, 256),
    wanted=st.none() | st.integers(1, 200),
)
def test_chunks_hold_whole_runs(frames, length, workers, wanted):
    jobs = jobs_in_runs(frames, length)
    chunks = chunks_of(jobs, workers, wanted)
    assert [job for chunk in chunks for job in chunk] == jobs
    assert all(chunk[0].predecessor is None for chunk in chunks)
    assert all(len(chunk) % length == 0 for chunk in chunks[:-1])
    if wanted:
        assert all(wanted <= len(chunk) < wanted + length for chunk in chunks[:-1])
    else:
        assert len(chunks) <= MAX_TASKS
        in_flight = sum(len(runs_of(chunk)) for chunk in chunks[:CHUNKS_IN_FLIGHT])
        assert in_flight >= min(workers, math.ceil(frames / length))


class _Ended:
    def __init__(self, error):
        self.error = error

    def result(self):
        raise self.error


def test_corrupt_frames_are_not_tried_again():
    assert not is_worth_retrying(None, None, _Ended(ScanError("bad")))
    assert is_worth_retrying(None, None, _Ended(OSError("the network went away")))


def echo(job: RestoreJob) -> FrameRecord:
    return FrameRecord(job.frame_id, "ok")


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_a_failed_task_fails_its_own_frames_only(tmp_path, monkeypatch):
    jobs = [RestoreJob(name, tmp_path / f"{name}.quinr", tmp_path) for name in "abcd"]
    run = Workers.run

    def broken(self, function, chunk):
        # ScanError, since anything else would be tried again after a pause.
        if chunk[0].frame_id == "a":
            raise ScanError("no such luck")
        return run(self, function, chunk)

    monkeypatch.setattr(Workers, "run", broken)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def whole():
        return run_in_chunks(echo, jobs, RunConfig(workers=1, chunk_size=2), title="test")

    records = whole()
    assert [record.status for record in records] == ["failed", "failed", "ok", "ok"]
    assert "a.quinr: ScanError: no such luck" in (records[0].error or "")


def hang(job: ArchiveJob) -> FrameRecord:
    """Jobs named "never" hang; others leave a record as archived frames do."""
    if job.frame_id.startswith("never"):
        time.sleep(60)
    record = FrameRecord(job.frame_id, "ok")
    job.keep(record)
    return record


def in_threads(jobs: list[ArchiveJob]) -> list[FrameRecord]:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def whole() -> list[FrameRecord]:
        threads = ExecutorConfig(kind="threads")
        run = RunConfig(workers=1, chunk_size=2, executor=threads, timeout=0.2)
        return run_in_chunks(hang, jobs, run, title="test")

    return whole()


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_a_frame_that_hangs_fails_alone(tmp_path):
    jobs = [
        ArchiveJob(name, scan_file(tmp_path / name), tmp_path, TINY) for name in ("a", "never", "c")
    ]
    records = in_threads(jobs)
    assert [record.status for record in records] == ["ok", "failed", "ok"]
    assert (records[1].error or "").endswith("never: no result after 0.2 s")
    assert [read_record(tmp_path, job.frame_id) for job in jobs] == records


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_where_everything_hangs_finished_frames_stay_finished(tmp_path):
    names = ("never1", "never2", "never3", "d", "e")
    jobs = [ArchiveJob(name, scan_file(tmp_path / name), tmp_path, TINY) for name in names]
    finished = FrameRecord("d", "ok", file_sha256="of an earlier run")
    jobs[3].keep(finished)
    with pytest.raises(GaveUpError, match="3 jobs in a row"):
        in_threads(jobs)
    assert read_record(tmp_path, "d") == finished
    assert read_record(tmp_path, "e") is None
    kept = [read_record(tmp_path, name) for name in names[:3]]
    assert [record and record.status for record in kept] == ["failed"] * 3


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_sequences_may_share_frame_ids(tmp_path, capfd):
    for seed, sequence in enumerate(("00", "01")):
        source = tmp_path / f"{sequence}.bin"
        points = np.random.default_rng(seed).normal(scale=(15, 15, 1, 0), size=(2000, 4))
        source.write_bytes(points.astype("<f4").tobytes())
        folder = tmp_path / "archive" / sequence
        job = ArchiveJob("000000", scan_file(source), folder, TINY, SphericalProjection(16, 64))
        assert archive_frame(job).status == "ok"
    damaged = frame_path(tmp_path / "archive" / "00", "000000")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    out, one = tmp_path / "kitti", RunConfig(workers=1)
    state = restore_sequence(str(tmp_path / "archive"), str(out), one, return_state=True)
    assert (state.name, state.message) == ("CompletedWithFailures", "1/2 frames failed")
    assert str(damaged) in capfd.readouterr().err
    reports = [
        json.loads((out / "sequences" / s / "restore.json").read_text()) for s in ("00", "01")
    ]
    assert str(damaged) in reports[0]["failures"]["000000"]
    assert reports[0]["frames"] == {"total": 1, "ok": 0, "failed": 1}
    assert reports[1]["failures"] == {}
    assert not (out / "sequences/00/velodyne/000000.bin").exists()
    assert (out / "sequences/01/velodyne/000000.bin").stat().st_size % 16 == 0
