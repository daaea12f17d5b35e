"""Pictures in worker processes: what a killed one costs, and Ctrl-C."""

from __future__ import annotations

import os

import pytest

from pipeline.jobs.workers import Workers
from pipeline.kodak.pictures import PictureJob, PictureRecord, read_picture_record
from quinr_lidar import Profile
from tests.support.tiny import tiny

TINY = Profile(**tiny())


def die_on_b(work: PictureJob) -> PictureRecord:
    if work.stem == "b":
        os._exit(9)
    if work.stem == "c":
        raise RuntimeError("unexpected")
    return PictureRecord(work.stem, "ok", str(work.source))


@pytest.mark.slow
def test_a_killed_worker_costs_only_its_own_picture(tmp_path):
    jobs = [PictureJob(tmp_path / f"{name}.png", tmp_path / "out", TINY) for name in "abcd"]
    seen = []
    with Workers(2, seen.append) as workers:
        records = workers.run(die_on_b, jobs)
    assert [record.status for record in records] == ["ok", "failed", "failed", "ok"]
    assert "b.png: its worker process was killed" in (records[1].error or "")
    assert "RuntimeError: unexpected" in (records[2].error or "")
    assert sorted(record.stem for record in seen) == ["a", "b", "c", "d"]
    assert [read_picture_record(work) for work in jobs] == [None, *records[1:3], None]


def leave_a_trace(work: PictureJob) -> PictureRecord:
    work.folder.mkdir(exist_ok=True)
    (work.folder / work.stem).touch()
    return PictureRecord(work.stem, "ok", str(work.source))


def interrupt(_record: PictureRecord) -> None:
    raise KeyboardInterrupt


def test_after_ctrl_c_no_picture_begins(tmp_path):
    jobs = [PictureJob(tmp_path / f"{i}.png", tmp_path / "out", TINY) for i in range(20)]
    with pytest.raises(KeyboardInterrupt), Workers(1, interrupt) as workers:
        workers.run(leave_a_trace, jobs)
    assert len(list((tmp_path / "out").iterdir())) < 20
