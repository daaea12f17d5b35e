"""Whatever stops an evaluation, the next one goes on; what no longer fits is measured again."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest

import quinr_lidar
from pipeline.evaluation.archive import (
    evaluation_jobs,
    jobs,
    plan_evaluation,
    read_evaluation,
    run_evaluation_job,
)
from pipeline.evaluation.archive.drive import ArchivedDrive
from pipeline.evaluation.tasks import TaskSettings
from pipeline.jobs.workers import Workers
from quinr_lidar.errors import StorageError
from tests.support.archived_drive import digests


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Frames in the order in which their clouds were read."""
    names: list[str] = []
    whole = ArchivedDrive.clouds

    def counted(self, frame_id):
        names.append(frame_id)
        return whole(self, frame_id)

    monkeypatch.setattr(ArchivedDrive, "clouds", counted)
    return names


def names_of(found) -> list[str]:
    return [frame for job in found for frame, _ in job.frames]


def test_nothing_is_measured_twice(place, read):
    first = place.evaluate()
    assert read == [f"{index:06d}" for index in range(5)]
    assert evaluation_jobs(place.plan()) == []
    assert place.evaluate() == first
    assert len(read) == 5


def test_a_larger_sample_measures_what_is_new(place, read):
    place.evaluate(every=2)
    assert read == ["000000", "000002", "000004"]
    everything = place.evaluate()
    assert read[3:] == ["000001", "000003"]
    assert all(record.figures for record in everything.records)
    # A smaller one shows no more than was asked for.
    assert sum(bool(record.figures) for record in place.evaluate(sample=2).records) == 2
    assert len(read) == 5


def test_a_stopped_job_keeps_what_it_has_measured(place, read, monkeypatch):
    expected = place.evaluate()
    shutil.rmtree(place.out)
    written, whole = [], jobs.add_figures

    def stops(folder, first, entry):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(entry.frame)
        whole(folder, first, entry)

    plan = place.plan()
    (job,) = evaluation_jobs(plan)
    monkeypatch.setattr(jobs, "add_figures", stops)
    with pytest.raises(KeyboardInterrupt):
        run_evaluation_job(job)
    monkeypatch.setattr(jobs, "add_figures", whole)
    errors = [record.error for record in read_evaluation(plan).records]
    assert errors == [None, None, None, "not evaluated yet", "not evaluated yet"]
    read.clear()
    assert place.evaluate() == expected
    assert read == ["000003", "000004"]


def test_a_line_cut_short_is_measured_again(place, read):
    expected = place.evaluate()
    (journal,) = (place.out / "figures").iterdir()
    data = journal.read_bytes()
    journal.write_bytes(data[:-40])
    read.clear()
    assert place.evaluate() == expected
    assert read == ["000004"]


@pytest.mark.parametrize(
    "damage",
    [
        {"figures": 5},
        {"figures": {"psnr_db": "high"}},
        {"figures": {"psnr_db": float("nan")}},
        {"digest": 3},
        {"error": ["why"]},
        {"more": 1},
    ],
)
def test_lines_that_are_no_entries_are_measured_again(place, read, damage):
    expected = place.evaluate()
    (journal,) = (place.out / "figures").iterdir()
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    lines[1] |= damage
    journal.write_text("".join(json.dumps(line) + "\n" for line in ["x", 3, *lines]))
    read.clear()
    assert place.evaluate() == expected
    assert read == ["000001"]


def test_bytes_that_are_no_journal_are_passed_over(place):
    journal = place.out / "figures" / "000000.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"\xff\xfe\n\x00")
    assert place.evaluate() == place.evaluate()
    assert evaluation_jobs(place.plan()) == []


def test_odometry_is_not_run_again(place, monkeypatch):
    settings = {"odometry": True, "sample": 1}
    first = place.evaluate(**settings)
    assert evaluation_jobs(place.plan(**settings)) == []
    assert place.evaluate(**settings) == first
    file = place.out / "odometry" / "image.json"
    good = file.read_text()
    for damage in (
        '{"cloud": "image"',
        good.replace("0.", "9e999", 1),
        good.replace('"image"', "3"),
    ):
        file.write_text(damage)
        (again,) = evaluation_jobs(place.plan(**settings))
        assert again.name.endswith("odometry of image")
    run_evaluation_job(again)
    assert place.evaluate(**settings) == first


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("time", ["000002", "000003"]),
        ("truth", ["000002", "000003"]),
        ("peak", [f"{index:06d}" for index in range(5)]),
        ("software", [f"{index:06d}" for index in range(5)]),
        ("moved", []),
    ],
)
def test_what_does_not_fit_any_more_is_measured_again(place, monkeypatch, change, expected):
    """Registration looks one frame back: a change of frame 2 concerns frame 3."""
    place.evaluate(registration=True)
    settings = {"registration": True}
    if change == "time":
        os.utime(place.scan(2), (1e9, 1e9))
    if change == "truth":
        file = place.scans / "poses" / "00.txt"
        lines = file.read_text().splitlines()
        lines[2] = lines[1]
        file.write_text("\n".join(lines))
    if change == "peak":
        settings["peak"] = 100.0
    if change == "software":
        monkeypatch.setattr(quinr_lidar, "__version__", "99")
    if change == "moved":
        scans = place.scans.rename(place.scans.parent / "elsewhere")
        place = replace(place, scans=scans)
    assert names_of(evaluation_jobs(place.plan(**settings))) == expected


def test_without_registration_a_neighbour_does_not_matter(place):
    place.evaluate()
    os.utime(place.scan(2), (1e9, 1e9))
    assert names_of(evaluation_jobs(place.plan())) == ["000002"]


def test_a_scan_that_comes_back_is_measured(place):
    good = place.scan(1).read_bytes()
    place.scan(1).write_bytes(good[:-16])
    changed = place.evaluate(odometry=True)
    assert "not the scan that was archived" in (changed.records[1].error or "")
    assert changed.records[1].figures == {}
    # It is tried again each time, and so is odometry, which missed it.
    assert len(evaluation_jobs(place.plan(odometry=True))) == 4
    place.scan(1).write_bytes(good)
    found = place.evaluate(odometry=True)
    assert all(record.figures and record.error is None for record in found.records)
    assert all("decoded" in record.poses for record in found.records)


def test_registration_is_made_up_for_once_its_neighbour_can_be_read(place):
    settings = {"registration": True, "sample": 2}
    expected = place.evaluate(**settings)
    shutil.rmtree(place.out)
    good, stamp = place.scan(1).read_bytes(), place.scan(1).stat().st_mtime_ns
    place.scan(1).write_bytes(good[:-1] + b"x")
    os.utime(place.scan(1), ns=(stamp, stamp))
    lacking = place.evaluate(**settings).records
    # Nobody asked for its figures, but somebody tried to read it.
    assert "not the scan that was archived" in (lacking[1].error or "")
    assert lacking[2].figures["codec_registration_m"] is None
    assert lacking[2].error is None
    place.scan(1).write_bytes(good)
    os.utime(place.scan(1), ns=(stamp, stamp))
    assert names_of(evaluation_jobs(place.plan(**settings))) == ["000002"]
    mended = place.evaluate(**settings).records
    assert mended[1] == expected.records[1]
    assert mended[2].figures == pytest.approx(expected.records[2].figures, rel=1e-6)
    assert evaluation_jobs(place.plan(**settings)) == []


def test_a_damaged_archive_fails_its_frames_until_it_is_mended(place):
    mcap = place.packed / "frames.mcap"
    good = mcap.read_bytes()
    data = bytearray(good)
    data[len(data) // 2] ^= 1
    mcap.write_bytes(data)
    assert all(str(mcap) in (record.error or "") for record in place.evaluate().records)
    mcap.write_bytes(good)
    # Frame 2 is now a job of its own, with another journal.
    assert all(place.evaluate(sample=2).records[index].figures for index in (0, 2))
    assert len(list((place.out / "figures").iterdir())) == 2


def test_another_archive_in_its_place_is_not_mixed_in(place):
    plan = place.plan()
    place.archive_as("bounded", max_error=0.1)
    (job,) = evaluation_jobs(plan)
    record = run_evaluation_job(job)
    assert (record.status, record.complete) == ("failed", False)
    assert "replaced while it was evaluated" in (record.error or "")
    assert {one.error for one in read_evaluation(plan).records} == {record.error}
    found = place.evaluate()
    assert found.mcap_sha256 != plan.source.mcap_sha256
    assert found.records[0].figures["max_error_m"] == pytest.approx(0.1, rel=1e-3)


def test_a_lost_job_keeps_what_it_has_measured(place):
    expected = place.evaluate(sample=1)
    plan = place.plan(odometry=True)
    for job in evaluation_jobs(plan):
        record = job.lost("its worker process was killed")
        assert str(place.packed) in (record.error or "")
        # Once more, as flows do: that changes nothing.
        kept = digests(plan.folder)
        assert kept
        job.keep(record)
        assert digests(plan.folder) == kept
    found = read_evaluation(plan)
    assert found.records[0].figures == expected.records[0].figures
    assert all("was killed" in (record.error or "") for record in found.records[1:])
    again = place.evaluate(odometry=True)
    assert all(record.figures and len(record.poses) == 4 for record in again.records)


def test_a_folder_that_cannot_be_written_fails_the_job(place):
    place.out.mkdir()
    (place.out / "figures").write_text("in the way")
    plan = place.plan()
    (job,) = evaluation_jobs(plan)
    with pytest.raises(StorageError, match="figures"):
        run_evaluation_job(job)


def test_jobs_run_in_worker_processes(place, street, tmp_path):
    settings = TaskSettings(registration=False)
    plan = plan_evaluation(str(place.packed), place.scans, place.out, settings)
    with Workers(2) as workers:
        records = workers.run(run_evaluation_job, evaluation_jobs(plan, stretch=3))
    assert [record.status for record in records] == ["ok"] * 5
    alone = replace(place, out=tmp_path / "alone")
    assert read_evaluation(plan) == alone.evaluate(odometry=True)
