"""Many drives and whole nightly runs: their decisions alone, then against a real Prefect server."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from flows.archive_dataset import archive_dataset, count_kinds, dataset_state, decide
from flows.nightly import judge, nightly, nightly_state
from flows.verify_archive import verify_archive
from pipeline.archive.layout import MCAP
from pipeline.archive.reader import PackedSequence
from pipeline.config.archive_config import ArchiveConfig, ExecutorConfig, RunConfig
from pipeline.datasets.discovery import Drive
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.nightly.report import REPORT, DriveOutcome
from pipeline.nightly.verification import ArchiveRecord
from pipeline.storage.lock import lock
from tests.support.tiny import tiny

TINY = tiny()
THREADS = ExecutorConfig(kind="threads")
"""Starting worker processes again and again takes most of a test's time."""
CONFIG = ArchiveConfig(overrides=TINY | {"restarts": 1}, run=RunConfig(workers=1, executor=THREADS))


def write_scan(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    points = np.random.default_rng(seed).normal(scale=(15, 15, 1), size=(1500, 3))
    path.write_bytes(encode_velodyne(points))
    os.utime(path, (1e9, 1e9))


@pytest.fixture
def inbox(tmp_path) -> Path:
    for drive, scans in (("a", 2), ("b", 1)):
        for index in range(scans):
            write_scan(tmp_path / "inbox" / drive / "velodyne" / f"{index:06d}.bin", index)
    return tmp_path / "inbox"


def outcome(name: str, kind: str, **more) -> DriveOutcome:
    return DriveOutcome(Drive(Path(name), name), kind, **more)  # pyright: ignore


def test_drives_that_failed_count(tmp_path):
    good, bad = outcome("a", "archived"), outcome("b", "failed", message="no scans")
    assert count_kinds([good, bad, good]) == "2 archived, 1 failed"
    assert dataset_state([good, outcome("c", "complete")], 0.5, "x").name == "Completed"
    some = dataset_state([good, good, bad], 0.5, "x")
    assert (some.name, some.message) == ("CompletedWithFailures", "1/3 drives failed")
    many = dataset_state([good, bad, bad], 0.5, "x")
    assert many.is_failed()
    assert "first: b: no scans" in (many.message or "")
    partial = outcome("d", "archived", message="1/9 frames failed", partial=True)
    state = dataset_state([good, partial], 0.5, "x")
    assert state.name == "CompletedWithFailures"
    assert "d: 1/9 frames failed" in (state.message or "")
    assert dataset_state([], 0.5, "x").message == "0 drives: none"


def test_an_archive_that_does_not_verify_is_a_failed_drive():
    archived = outcome("a", "archived")
    assert judge(archived, None) is archived
    assert judge(archived, ArchiveRecord("a", "ok")) is archived
    assert judge(archived, ArchiveRecord("a", "failed", "a: damaged")).kind == "failed"
    lacking = judge(archived, ArchiveRecord("a", "failed", "a: frame 1", only_unarchived=True))
    assert (lacking.kind, lacking.partial) == ("archived", True)


def test_a_nightly_run_with_problems_is_not_plainly_complete():
    fine = dataset_state([outcome("a", "archived")], 0.5, "x")
    assert nightly_state(fine, [], "x") is fine
    assert nightly_state(fine, ["scan stays"], "x").name == "CompletedWithFailures"
    failed = dataset_state([outcome("a", "failed")], 0.5, "x")
    assert nightly_state(failed, ["why"], "x") is failed


def test_drives_in_use_or_still_arriving_wait(inbox, tmp_path):
    drive = Drive(inbox / "a", "a")
    assert decide(drive, tmp_path, CONFIG, resume=True, settle_minutes=10) is None
    (inbox / "a" / "velodyne" / "000001.bin").touch()
    arriving = decide(drive, tmp_path, CONFIG, resume=True, settle_minutes=10)
    assert arriving is not None
    assert arriving.kind == "arriving"
    with lock(tmp_path / "a"):
        busy = decide(drive, tmp_path, CONFIG, resume=True, settle_minutes=0)
    assert busy is not None
    assert busy.kind == "busy"


@pytest.mark.parametrize(
    "values",
    [
        {"max_error": 0},
        {"max_error": -1},
        {"relative_error": 0.6},
        {"run": {"workers": 0}},
        {"run": {"max_failed_share": 1.5}},
        {"bond": 0.02},
    ],
)
def test_settings_are_checked(values):
    with pytest.raises(ValidationError):
        ArchiveConfig(**values)


def test_prefect_makes_a_form_of_the_parameters():
    schema = nightly.parameters.model_dump()
    assert schema["required"] == ["source", "archive"]
    fields = schema["definitions"]["ArchiveConfig"]["properties"]
    assert fields["max_error"]["anyOf"][0]["minimum"] == 1e-4
    assert "Largest error" in fields["max_error"]["description"]
    assert schema["properties"]["retention"]["enum"] == ["off", "dry-run", "delete"]
    assert schema["properties"]["retention"]["default"] == "off"
    assert "dry-run" in schema["properties"]["retention"]["description"]


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_only_what_is_new_is_archived(inbox, tmp_path):
    out = tmp_path / "archive"

    def run(**changes):
        return archive_dataset(str(inbox), str(out), CONFIG, **changes, return_state=True)

    first = run()
    assert (first.name, first.message) == ("Completed", "2 drives: 2 archived")
    packed = {name: (out / name / MCAP).stat().st_ino for name in "ab"}
    assert len(PackedSequence.open(out / "a").rows) == 2
    assert run().message == "2 drives: 2 complete"
    write_scan(inbox / "b" / "velodyne" / "000001.bin", 7)
    (inbox / "c").mkdir()
    (inbox / "c" / "000000.bin").write_bytes(b"no scan")
    state = run()
    assert (state.name, state.message) == ("CompletedWithFailures", "1/3 drives failed")
    assert (out / "a" / MCAP).stat().st_ino == packed["a"]
    assert len(PackedSequence.open(out / "b").rows) == 2
    # Another bound would leave the packed archive behind its frames.
    shutil.rmtree(inbox / "c")
    frames = {path.name: path.read_bytes() for path in (out / "a" / "frames").iterdir()}
    other = CONFIG.model_copy(update={"max_error": 0.5})
    refused = archive_dataset(str(inbox), str(out), other, return_state=True)
    assert refused.is_failed()
    assert "made with others" in (refused.message or "")
    assert {path.name: path.read_bytes() for path in (out / "a" / "frames").iterdir()} == frames
    again = archive_dataset(str(inbox), str(out), other, resume=False, return_state=True)
    assert again.message == "2 drives: 2 archived"
    with_max_error = PackedSequence.open(out / "a").rows[0].figures["max_error_m"]
    assert with_max_error == pytest.approx(0.5, rel=1e-2)


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_a_nightly_run_removes_what_it_has_proven_only(inbox, tmp_path):
    out = tmp_path / "archive"

    def run(retention: str):
        options = {"sample": 1, "retention": retention}
        return nightly(str(inbox), str(out), CONFIG, **options, return_state=True)

    def scans() -> list[str]:
        return sorted(str(path.relative_to(inbox)) for path in inbox.rglob("*.bin"))

    every = ["a/velodyne/000000.bin", "a/velodyne/000001.bin", "b/velodyne/000000.bin"]
    state = run("off")
    assert (state.name, state.message) == ("Completed", "2 drives: 2 archived")
    assert scans() == every
    report = (out / REPORT).read_text()
    assert "| a | archived | 2 frames | ok | 0.0" in report
    assert "[index.html](a/report/index.html)" in report
    for drive in "ab":
        found = json.loads((out / drive / "report" / "report.json").read_text())
        assert found["evaluation"]["measured"] == 1
    assert run("dry-run").name == "Completed"
    assert scans() == every
    assert "2 would be removed" in (out / REPORT).read_text()
    # One scan changed without changing its size: its whole drive stays.
    scan = inbox / "a" / "velodyne" / "000001.bin"
    good = scan.read_bytes()
    scan.write_bytes(good[:-1] + b"\x01")
    os.utime(scan, (1e9, 1e9))
    state = run("delete")
    assert (state.name, state.message) == ("CompletedWithFailures", "1/2 drives failed")
    assert scans() == every[:2]
    report = (out / REPORT).read_text()
    assert "not the scan that was archived" in report
    scan.write_bytes(good)
    os.utime(scan, (1e9, 1e9))
    assert run("delete").name == "Completed"
    assert scans() == []
    assert run("delete").message == "0 drives: none"
    verified = verify_archive(str(out), return_state=True)
    assert (verified.name, verified.message) == ("Completed", "2 archives")


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_a_drive_whose_report_fails_is_archived_all_the_same(inbox, tmp_path, monkeypatch):
    out = tmp_path / "archive"
    (out / "a").mkdir(parents=True)
    (out / "a" / "report").write_text("in the way")
    state = nightly(str(inbox), str(out), CONFIG, sample=0, return_state=True)
    assert state.name == "CompletedWithFailures"
    report = (out / REPORT).read_text()
    assert "| a | archived |" in report
    assert "## Problems" in report
    assert f"- a: {out / 'a' / 'report'}" in report
    assert "[index.html](b/report/index.html)" in report
    # Nobody wanted frames measured.
    assert json.loads((out / "b" / "report" / "report.json").read_text())["evaluation"] is None
    shutil.rmtree(out)
    monkeypatch.setattr("flows.evaluate_archive.write_report", lambda *_, **__: 1 / 0)
    state = nightly(str(inbox), str(out), CONFIG, sample=1, return_state=True)
    assert state.name == "CompletedWithFailures"
    assert "- b: report: " in (out / REPORT).read_text()
    assert "ZeroDivisionError" in (out / REPORT).read_text()


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_a_damaged_archive_fails_its_verification(inbox, tmp_path):
    out = tmp_path / "archive"
    archive_dataset(str(inbox), str(out), CONFIG, return_state=True)
    deep = verify_archive(str(out), str(inbox), return_state=True)
    assert deep.message == "2 archives"
    data = bytearray((out / "b" / MCAP).read_bytes())
    data[len(data) // 2] ^= 1
    (out / "b" / MCAP).write_bytes(data)
    state = verify_archive(str(out), return_state=True)
    assert state.is_failed()
    assert str(out / "b") in (state.message or "")
    assert json.loads((out / "a" / "metrics.json").read_text())["frames"]["ok"] == 2
