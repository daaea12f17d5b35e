"""Jobs in worker processes: runs in order, side by side, and what a killed worker costs."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.jobs.workers import Workers, runs_of
from tests.support.jobs import Done, Task


def in_runs(tmp_path: Path, *, frames: int = 6, length: int = 3) -> list[Task]:
    """Jobs in runs: each but the first of a run has a predecessor."""
    names = [f"{index:06d}" for index in range(frames)]
    folder = tmp_path / "done"
    return [
        Task(name, folder, names[index - 1] if index % length else None)
        for index, name in enumerate(names)
    ]


def test_jobs_belong_to_their_predecessors_run(tmp_path):
    jobs = in_runs(tmp_path, frames=7)
    names = [[job.name[-1] for job in run] for run in runs_of(jobs)]
    assert names == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    # A predecessor that is no job of this call is not waited for.
    assert [len(run) for run in runs_of(jobs[1:])] == [2, 3, 1]
    restore = [Task(name, tmp_path) for name in "abc"]
    assert [len(run) for run in runs_of(restore)] == [1, 1, 1]
    assert runs_of([]) == []


def in_order(job: Task) -> Done:
    """Fails if its predecessor is not done, notes that it is itself."""
    if job.predecessor and not (job.folder / job.predecessor).exists():
        return Done(job.name, "failed", error="before its predecessor")
    job.folder.mkdir(exist_ok=True)
    (job.folder / job.name).touch()
    return Done(job.name)


def side_by_side(job: Task) -> Done:
    """The first frame of a run waits for those of two other runs to begin."""
    if job.predecessor is None:
        begun = job.folder / "begun"
        begun.mkdir(parents=True, exist_ok=True)
        (begun / job.name).touch()
        deadline = time.monotonic() + 120
        while len(list(begun.iterdir())) < 3:
            if time.monotonic() > deadline:
                return Done(job.name, "failed", error="alone")
            time.sleep(0.02)
    return in_order(job)


def test_frames_of_a_run_wait_for_each_other_and_runs_do_not(tmp_path):
    jobs = in_runs(tmp_path, frames=9)
    seen = []
    with Workers(3, seen.append) as workers:
        records = workers.run(side_by_side, jobs)
    assert [record.error for record in records] == [None] * 9
    assert [record.name for record in records] == [job.name for job in jobs]
    reported = [record.name for record in seen]
    assert sorted(reported) == [job.name for job in jobs]
    for run in runs_of(jobs):
        places = [reported.index(job.name) for job in run]
        assert places == sorted(places)


def interrupt(_record: Done) -> None:
    raise KeyboardInterrupt


def test_after_ctrl_c_no_frame_begins(tmp_path):
    jobs = in_runs(tmp_path, length=6)
    with pytest.raises(KeyboardInterrupt), Workers(1, interrupt) as workers:
        workers.run(in_order, jobs)
    assert [path.name for path in jobs[0].folder.iterdir()] == ["000000"]


def die_on_b(work: Task) -> Done:
    if work.name == "b":
        os._exit(9)
    if work.name == "c":
        raise RuntimeError("unexpected")
    return Done(work.name)


def test_a_killed_worker_costs_only_its_own_frame(tmp_path):
    jobs = [Task(name, tmp_path) for name in "abcd"]
    seen = []
    with Workers(2, seen.append) as workers:
        records = workers.run(die_on_b, jobs)
    assert [record.status for record in records] == ["ok", "failed", "failed", "ok"]
    assert "killed" in (records[1].error or "")
    assert "RuntimeError: unexpected" in (records[2].error or "")
    assert sorted(record.name for record in seen) == ["a", "b", "c", "d"]


def die_on_k(work: Task) -> Done:
    if work.name.startswith("k"):
        os._exit(9)
    time.sleep(0.5)
    return Done(work.name)


def test_a_chunk_that_kills_workers_costs_no_other_chunk(tmp_path):
    chunks = [[Task(name, tmp_path) for name in names] for names in (("k0", "k1"), ("a", "b", "c"))]
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
            records = workers.run(die_on_b, [Task("a", tmp_path)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [record.status for record in records] == ["ok"]
