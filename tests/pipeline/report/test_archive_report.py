"""The report of an archive: what it says is what is in the archive."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.archive import PackedSequence
from pipeline.evaluation.tasks import EvaluationRecord
from pipeline.evaluation.tasks.trajectory import trajectory_errors
from pipeline.facts.units import NONE
from pipeline.report.archive_report import write_report
from pipeline.storage.locations import locate
from quinr_lidar.errors import ArchiveError
from tests.support.reports import (
    FRAMES,
    evaluation_of,
    page_of,
)
from tests.support.scans import dataset_of, files_of


def manifest_table(packed: Path) -> dict[str, list]:
    return pq.read_table(packed / "manifest.parquet").to_pydict()


def test_figures_are_those_of_the_manifest(packed, archive, tmp_path):
    files = write_report(archive, tmp_path / "out")
    table = manifest_table(packed)
    report = json.loads(files.json.read_text())
    summary = report["summary"]
    assert (summary["frames"], summary["held"], summary["failed"]) == (FRAMES, FRAMES, 0)
    assert summary["raw_bytes"] == sum(table["raw_bytes"])
    assert summary["archive_bytes"] == (packed / "frames.mcap").stat().st_size
    size = (packed / "frames.mcap").stat().st_size
    assert summary["ratio"] == pytest.approx(sum(table["raw_bytes"]) / size)
    for name in ("psnr_db", "chamfer_m", "bpp"):
        assert summary[name] == pytest.approx(np.mean(table[name]))
        assert report["figures"][name]["max"] == max(table[name])
        assert report["figures"][name]["std"] == pytest.approx(np.std(table[name]))
    assert summary["largest_error_m"] == max(table["largest_error_m"]) <= 0.02
    assert (summary["max_error_m"], summary["max_error_kept"]) == (0.02, "yes")
    assert (
        report["archive"]["mcap_sha256"]
        == hashlib.sha256((packed / "frames.mcap").read_bytes()).hexdigest()
    )
    words = page_of(files).words
    assert f"PSNR {np.mean(table['psnr_db']):.2f} dB" in words
    assert "Max error kept Yes" in words
    assert files.report.summary.psnr_db == summary["psnr_db"]


def test_csv_has_every_column_of_the_manifest(packed, archive, tmp_path):
    files = write_report(archive, tmp_path / "out", evaluation=evaluation_of(archive))
    rows = list(csv.DictReader(files.csv.open(newline="")))
    table = manifest_table(packed)
    assert len(rows) == FRAMES
    for index, row in enumerate(rows):
        for name, values in table.items():
            assert row[name] == ("" if values[index] is None else str(values[index])), name
        assert float(row["evaluation_codec_d1_psnr_db"]) == 80 + index
        assert (
            float(row["evaluation_projection_chamfer_m"])
            == 0.05
            != float(row["projection_chamfer_m"])
        )


def test_without_originals_decoded_frames_are_shown_and_the_page_says_so(archive, tmp_path):
    files = write_report(archive, tmp_path / "out")
    page = page_of(files)
    assert "No originals were at hand" in page.words
    assert "Not evaluated" in page.words
    alts = [image["alt"] for image in page.named("img")]
    assert len(alts) == 6  # of three frames a range image and a view from above
    assert not any("riginal" in alt for alt in alts)
    assert not any(one["original"] for one in json.loads(files.json.read_text())["chosen"])


def test_best_median_and_worst_by_psnr_are_shown(archive, originals, packed, tmp_path):
    files = write_report(archive, tmp_path / "out", originals=originals)
    table = manifest_table(packed)
    ranked = [table["frame_id"][place] for place in np.argsort(table["psnr_db"])[::-1]]
    chosen = json.loads(files.json.read_text())["chosen"]
    assert [one["role"] for one in chosen] == ["best", "median", "worst"]
    assert [one["frame"] for one in chosen] == [ranked[0], ranked[FRAMES // 2], ranked[-1]]
    assert all(one["original"] for one in chosen)
    page = page_of(files)
    alts = [image["alt"] for image in page.named("img")]
    assert len(alts) == 15  # original, decoded, error, and two views from above
    assert sum(alt.startswith("Absolute range error") for alt in alts) == 3
    assert "Chosen by PSNR" in page.words


def test_a_scan_that_was_not_archived_is_not_shown_as_the_original(
    archive, originals, scans, tmp_path
):
    other = tmp_path / "other.bin"
    swapped = sorted(archive.rows, key=lambda row: row.figures["psnr_db"])[-1].frame_id
    other.write_bytes((scans / f"{swapped}.bin").read_bytes()[:-16])
    changed = dataset_of(files_of(originals) | {swapped: other})
    files = write_report(archive, tmp_path / "out", originals=changed)
    chosen = {one["frame"]: one for one in json.loads(files.json.read_text())["chosen"]}
    assert not chosen[swapped]["original"]
    assert "not the scan that was archived" in chosen[swapped]["note"]
    assert sum(one["original"] for one in chosen.values()) == 2
    assert "other.bin: not the scan that was archived" in page_of(files).words


def test_a_missing_scan_does_not_stop_the_report(archive, originals, tmp_path):
    none = dataset_of({"elsewhere": originals.frame("000000").path})
    files = write_report(archive, tmp_path / "out", originals=none)
    notes = [one["note"] for one in json.loads(files.json.read_text())["chosen"]]
    assert all("no frame" in note for note in notes)


def test_evaluation_is_summarised_beside_the_projections_loss(archive, tmp_path):
    evaluation = evaluation_of(archive)
    files = write_report(archive, tmp_path / "out", evaluation=evaluation)
    report = json.loads(files.json.read_text())
    summary = report["summary"]
    assert summary["d1_psnr_db"] == pytest.approx(80 + (FRAMES - 1) / 2)
    assert summary["evaluated"] == FRAMES
    assert summary["drift_reference"] == "ground truth"

    def poses(factor: float) -> list[np.ndarray]:
        found = [np.eye(4) for _ in range(FRAMES)]
        for index, pose in enumerate(found):
            pose[0, 3] = factor * index
        return found

    for name, factor in (("drift_per_m", 1.04), ("drift_scan_per_m", 1.01)):
        expected = trajectory_errors(poses(1), poses(factor)).translation_per_m
        assert summary[name] == pytest.approx(expected)
    words = page_of(files).words
    assert "Chamfer distance cm 3.00 5.50 5.00 lower" in words
    assert f"Hausdorff distance cm 2.00 {NONE} 1,500.00 lower" in words
    assert "Odometry drift % 1.00 2.00 4.00 lower" in words


def test_without_ground_truth_drift_is_against_odometry_on_the_scans(archive, tmp_path):
    evaluation = evaluation_of(archive)
    records = tuple(
        replace(one, poses={key: pose for key, pose in one.poses.items() if key != "truth"})
        for one in evaluation.records
    )
    files = write_report(archive, tmp_path / "out", evaluation=replace(evaluation, records=records))
    assert files.report.summary.drift_reference == "odometry on the scans"
    assert files.report.summary.drift_scan_per_m is None


def test_frames_that_were_not_sampled_or_failed_are_no_figures(archive, tmp_path):
    evaluation = evaluation_of(archive)
    first, second, *rest = evaluation.records
    records = (
        replace(first, figures={}),
        EvaluationRecord(second.frame, error="its scan\nis gone"),
        *rest,
    )
    files = write_report(archive, tmp_path / "out", evaluation=replace(evaluation, records=records))
    report = files.report
    assert report.summary.evaluated == FRAMES - 2
    assert [(one.frame, one.stage, one.error) for one in report.failures] == [
        (second.frame, "evaluation", "its scan is gone")
    ]
    assert report.summary.d1_psnr_db == pytest.approx(np.mean([82, 83, 84]))


def test_an_evaluation_of_another_archive_is_refused(archive, tmp_path):
    with pytest.raises(ArchiveError, match="mcap_sha256: the evaluation is of another archive"):
        write_report(
            archive, tmp_path / "out", evaluation=evaluation_of(archive, mcap_sha256="0" * 64)
        )
    assert not (tmp_path / "out").exists()


def test_an_archive_in_an_object_store(packed, tmp_path):
    for name in ("frames.mcap", "manifest.parquet"):
        (locate("memory://drives/00") / name).write((packed / name).read_bytes())
    report = write_report(PackedSequence.open("memory://drives/00"), tmp_path / "out").report
    assert report.archive.name == "memory://drives/00"
    assert report.summary.failed == 0
