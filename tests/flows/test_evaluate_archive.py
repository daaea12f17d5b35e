"""The evaluation of archives as a flow and as a command, against a real Prefect server."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest

from flows.cli import main as cli
from flows.evaluate_archive import Evaluated, evaluate_archive, evaluation_state
from pipeline.archive import PackedSequence
from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.target import encoder_settings
from pipeline.archive.writer import pack_sequence
from pipeline.config.archive_config import (
    ArchiveConfig,
    ExecutorConfig,
    ProjectionConfig,
    RunConfig,
)
from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.evaluation.archive import ArchiveEvaluation
from pipeline.evaluation.archive.jobs import OdometryJob
from pipeline.evaluation.archive.requests import evaluation_requests, frame_outcomes
from pipeline.evaluation.tasks import EvaluationRecord, TaskSettings
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.sequence import archive_jobs, write_results
from pipeline.storage.lock import lock
from tests.support.tiny import tiny

TINY = tiny()
FRAMES = 3
THREADS = ExecutorConfig(kind="threads")
"""Starting worker processes again and again takes most of a test's time."""
ONE = RunConfig(workers=1, executor=THREADS, timeout=0)


@pytest.fixture(scope="session")
def archived(tmp_path_factory) -> Path:
    """Scans of two drives in ``scans``, and their archives in ``packed``."""
    root = tmp_path_factory.mktemp("evaluated")
    for drive in ("a", "b"):
        folder = root / "scans" / drive
        folder.mkdir(parents=True)
        for index in range(FRAMES):
            points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(900, 3))
            (folder / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
        frames = root / "frames" / drive
        config = ArchiveConfig(
            overrides=TINY | {"restarts": 1}, projection=ProjectionConfig(height=16, width=64)
        )
        chosen, _ = encoder_settings(frames, config)
        jobs = archive_jobs(open_dataset(folder), frames.parent, chosen)
        records = [archive_frame(job) for job in jobs]
        write_results(frames, records, chosen.as_dict())
        pack_sequence(frames, root / "packed" / drive)
    return root


@pytest.fixture
def place(archived, tmp_path) -> Path:
    """A copy that a test may damage."""
    for folder in ("scans", "packed"):
        shutil.copytree(archived / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture
def command(monkeypatch, capsys):
    """The quinr-flows command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["quinr-flows", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def evaluated(*records: EvaluationRecord, problems: tuple[str, ...] = ()) -> Evaluated:
    settings = TaskSettings()
    (request,) = evaluation_requests("memory://states/00", "scans", settings)
    found = ArchiveEvaluation(settings, records, "scans", "0" * 64)
    return Evaluated(request, evaluation=found if records else None, problems=list(problems))


@pytest.fixture
def somewhere() -> None:
    fsspec.filesystem("memory").pipe_file(f"/states/00/{MCAP}", b"")


@pytest.mark.usefixtures("somewhere")
def test_the_state_counts_what_was_measured():
    good = EvaluationRecord("0", {"codec_chamfer_m": 0.01, "max_error_kept": True})
    bad = EvaluationRecord("1", error="1.bin: damaged")
    left_out = EvaluationRecord("2")

    def state_of(*found: Evaluated):
        return evaluation_state(found, 0.5, "x")

    fine = state_of(evaluated(good, left_out))
    assert (fine.name, fine.message) == ("Completed", "1 evaluated frames")
    some = state_of(evaluated(good, bad, left_out))
    assert (some.name, some.message) == ("CompletedWithFailures", "1/2 evaluated frames failed")
    assert state_of(evaluated(bad, left_out)).is_failed()
    problem = state_of(evaluated(good, problems=("report: disk full",)))
    assert problem.name == "CompletedWithFailures"
    assert "1 problems, the first: report: disk full" in (problem.message or "")
    closed = state_of(evaluated(problems=("no manifest",)))
    assert "first: no manifest" in (closed.message or "")
    assert closed.is_failed()


def test_a_frame_that_breaks_its_bound_has_failed():
    records = (
        EvaluationRecord("0", {"max_error_kept": True}),
        EvaluationRecord("1", {"max_error_kept": False}),
        EvaluationRecord("2", {"max_error_kept": None}),
    )
    found = frame_outcomes(ArchiveEvaluation(TaskSettings(), records, "scans", ""))
    assert [one.status for one in found] == ["ok", "failed", "ok"]
    assert "do not delete the original" in (found[1].error or "")


def test_reports_go_beside_archives_or_where_they_are_wanted(place, tmp_path, monkeypatch):
    def folders(where, out=None):
        requests = evaluation_requests(str(where), "scans", TaskSettings(), out=out)
        return [request.out for request in requests]

    packed = place / "packed"
    assert folders(packed / "a") == [packed / "a" / "report"]
    assert folders(packed) == [packed / "a" / "report", packed / "b" / "report"]
    assert folders(packed / "a", tmp_path / "out") == [tmp_path / "out"]
    assert folders(packed, tmp_path / "out") == [tmp_path / "out" / "a", tmp_path / "out" / "b"]
    fsspec.filesystem("memory").pipe_file(f"/far/nightly/07/{MCAP}", b"")
    assert folders("memory://far/nightly/07") == [Path("report/07")]
    assert folders("memory://far") == [Path("report/nightly/07")]


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_an_archive_is_evaluated_and_reported(place):
    def run(**changes):
        run = ONE.model_copy(update={"max_failed_share": changes.pop("max_failed_share", 0.5)})
        tasks = TaskSettings(**({"every": 2, "registration": False} | changes))
        where = (str(place / "scans" / "a"), str(place / "packed" / "a"))
        return evaluate_archive(*where, tasks, run, return_state=True)

    state = run()
    assert (state.name, state.message) == ("Completed", "2 evaluated frames")
    out = place / "packed" / "a" / "report"
    assert "<html" in (out / "index.html").read_text()[:500]
    report = json.loads((out / "report.json").read_text())
    assert report["evaluation"]["measured"] == 2
    assert report["evaluation"]["odometry"]["decoded to scan"]["frames"] == FRAMES
    artifacts = {one.key: one for one in read_artifacts()}
    assert artifacts["report-a"].data.startswith(f"[Report of a](file://{out}")
    assert "|" in artifacts["evaluate-a"].data
    # A changed scan, and the rest of the frames: what is known is not measured again.
    times = {path: path.stat().st_mtime_ns for path in (out / "evaluation").rglob("*.json*")}
    scan = place / "scans" / "a" / "000001.bin"
    scan.write_bytes(scan.read_bytes()[:-16])
    state = run(every=1, odometry=False)
    assert (state.name, state.message) == ("CompletedWithFailures", "1/3 evaluated frames failed")
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    failed = json.loads((out / "report.json").read_text())["failures"]
    assert "not the scan that was archived" in json.dumps(failed)
    assert run(every=1, odometry=False, max_failed_share=0.1).is_failed()


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_odometry_that_is_lost_is_said(place, monkeypatch):
    run = OdometryJob.run

    def killed_on_images(job):
        if job.cloud == "image":
            raise MemoryError("killed")
        return run(job)

    monkeypatch.setattr(OdometryJob, "run", killed_on_images)
    where = (str(place / "scans"), str(place / "packed"))
    state = evaluate_archive(*where, TaskSettings(sample=1), ONE, return_state=True)
    assert state.name == "CompletedWithFailures"
    assert (state.message or "").startswith(
        "2 evaluated frames; 2 problems, the first: odometry of"
    )
    assert f"image: {place / 'packed' / 'a'}: MemoryError: killed" in (state.message or "")
    report = json.loads((place / "packed" / "b" / "report" / "report.json").read_text())
    assert report["evaluation"]["odometry"]["decoded to scan"]["frames"] == FRAMES
    assert report["evaluation"]["odometry"]["image to scan"] is None


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_one_bad_archive_of_several_stops_no_other(place):
    (place / "packed" / "b" / MANIFEST).write_bytes(b"PAR1")
    how = (TaskSettings(odometry=False, sample=1), ONE)
    where = (str(place / "scans"), str(place / "packed"))
    state = evaluate_archive(*where, *how, out=str(place / "out"), return_state=True)
    assert state.name == "CompletedWithFailures"
    assert (state.message or "").startswith("1/2 evaluated frames failed")
    assert (place / "out" / "a" / "index.html").is_file()
    assert not (place / "out" / "b" / "index.html").exists()
    # Somebody else is at it.
    with lock(place / "out" / "a" / "evaluation"):
        state = evaluate_archive(*where, *how, out=str(place / "out"), return_state=True)
    assert state.is_failed()
    assert "writer.lock" in (state.message or "")


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_the_command(place, command):
    archive, scans = place / "packed" / "a", place / "scans" / "a"
    options = ("--no-odometry", "--no-registration", "--sample", 2, "--workers", 1)
    code, out, _ = command("evaluate", scans, archive, *options)
    assert code == 0
    assert "D1 PSNR" in out
    assert f"report  {archive / 'report' / 'index.html'}" in out
    page = (archive / "report" / "index.html").read_text()
    assert "quinr-flows evaluate" in page
    (scans / "000002.bin").unlink()
    options = ("--no-odometry", "--out", place / "out", "--workers", 1, "--json")
    code, out, _ = command("evaluate", scans, archive, *options)
    assert code == 1
    found = json.loads(out)
    assert found["state"] == "CompletedWithFailures"
    (one,) = found["archives"]
    assert one["report"] == str(place / "out" / "index.html")
    assert (one["summary"]["measured"], one["summary"]["failed"]) == (2, 1)
    assert list(one["failures"]) == ["000002"]
    rows = PackedSequence.open(archive).rows
    expected = np.mean([row.figures["psnr_db"] for row in rows[:2]])
    assert one["summary"]["figures"]["psnr_db"]["mean"] == pytest.approx(expected)


def test_bad_input_ends_the_command_at_once(place, command, monkeypatch):
    monkeypatch.setattr("flows.evaluate_archive.evaluate_archive", None)
    archive, scans = place / "packed" / "a", place / "scans" / "a"
    for arguments, reason in (
        ((place / "nowhere", archive, "--no-odometry"), "no such file or folder"),
        ((scans, place / "nowhere", "--no-odometry"), "no archive"),
        ((scans, archive, "--every", 2, "--sample", 2), "not both"),
        ((scans, archive, "--sample", 0), "--sample"),
    ):
        code, _, err = command("evaluate", *arguments)
        assert code == 2
        assert reason in err
    monkeypatch.setitem(sys.modules, "kiss_icp.config", None)
    for where in (archive, place / "packed"):
        code, _, err = command("evaluate", scans, where)
        assert code == 2
        assert "--no-odometry" in err
    assert "Example" in command("evaluate", "--help")[1]


def read_artifacts():
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_artifacts()
