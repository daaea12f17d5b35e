"""A report made in a folder in which an evaluation has worked, wholly or in part."""

from __future__ import annotations

import json
import shutil

import pytest

from pipeline.evaluation.archive import evaluation_jobs, plan_evaluation, run_evaluation_job
from pipeline.evaluation.archive.requests import JOURNALS
from pipeline.evaluation.tasks import TaskSettings
from pipeline.report.findings.evaluation import known_evaluation
from tests.support.reports import FRAMES


def evaluate(packed, scans, out, settings: TaskSettings, jobs: int | None = None) -> None:
    plan = plan_evaluation(str(packed), scans, out / JOURNALS, settings)
    for job in evaluation_jobs(plan, stretch=1)[:jobs]:
        record = run_evaluation_job(job)
        assert record.status == "ok", record


@pytest.mark.parametrize("registration", [True, False])
def test_a_sample_joins_the_page(quinr, packed, scans, tmp_path, registration):
    settings = TaskSettings(sample=2, odometry=False, registration=registration)
    evaluate(packed, scans, tmp_path, settings)
    code, _, _ = quinr("report", "make", packed, "--originals", scans, "-o", tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert code == 0, "frames that nobody measured have not failed"
    assert report["summary"]["evaluated"] == 2
    assert report["summary"]["max_error_checked"] == 2
    assert report["evaluation"]["settings"]["sample"] == 2
    assert report["evaluation"]["settings"]["registration"] == registration
    shift = report["evaluation"]["figures"]["codec_registration_m"]["mean"]
    assert (shift is not None) == registration
    assert (tmp_path / JOURNALS).is_dir()


def test_odometry_of_all_frames_counts_though_few_were_sampled(packed, scans, tmp_path):
    evaluate(packed, scans, tmp_path, TaskSettings(sample=1, registration=False))
    found = known_evaluation(str(packed), scans, tmp_path)
    assert found is not None
    assert found.settings.odometry
    assert sum(bool(record.figures) for record in found.records) == 1
    assert sum("decoded" in record.poses for record in found.records) == FRAMES


def test_an_evaluation_that_was_stopped(packed, scans, tmp_path):
    evaluate(packed, scans, tmp_path, TaskSettings(registration=False, odometry=False), jobs=3)
    found = known_evaluation(str(packed), scans, tmp_path)
    assert found is not None
    assert [bool(record.figures) for record in found.records] == [True] * 3 + [False] * 2
    assert all(record.error is None for record in found.records)


def test_an_evaluation_of_other_scans_does_not_count(quinr, packed, scans, tmp_path):
    evaluate(packed, scans, tmp_path, TaskSettings(sample=1, odometry=False, registration=False))
    others = shutil.copytree(scans, tmp_path / "others" / "00")
    (others / "000000.bin").write_bytes((others / "000000.bin").read_bytes()[:-16])
    assert known_evaluation(str(packed), others, tmp_path) is None
    assert quinr("report", "make", packed, "--originals", others, "-o", tmp_path)[0] == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["evaluation"] is None


def test_without_an_evaluation_there_is_none(packed, scans, tmp_path):
    assert known_evaluation(str(packed), scans, tmp_path) is None
