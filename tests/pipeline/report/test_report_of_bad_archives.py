"""Reports of archives in any state: broken promises, failed frames, damaged files, none at all."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.archive import PackedSequence
from pipeline.report.archive_report import write_report
from tests.support.reports import (
    FRAMES,
    evaluation_of,
    failed,
    page_of,
)
from tests.support.scans import dataset_of, files_of


def test_an_evaluation_tells_whether_bounds_are_kept(archive, tmp_path):
    def figures(index: int) -> dict:
        return {"max_error_kept": index != 1}

    evaluation = evaluation_of(archive, figures)
    report = write_report(archive, tmp_path / "out", evaluation=evaluation).report
    assert report.summary.max_error_kept == "no"
    assert report.summary.max_error_checked == FRAMES
    assert [(one.frame, one.stage) for one in report.failures] == [("000001", "measuring")]
    assert any(one.state == "bad" and "promise" in one.text for one in report.verdicts)


def test_a_manifest_that_breaks_its_own_bound_is_no_promise_kept(archive, repack, tmp_path):
    frames = [(row, archive.read(row.frame_id)) for row in archive.rows]
    row, data = frames[1]
    for figures, verdict in (({"largest_error_m": 0.021}, "no"), ({"mask_exact": False}, "no")):
        frames[1] = (replace(row, figures={**row.figures, **figures}), data)
        report = write_report(repack(archive, frames), tmp_path / "out").report
        assert report.summary.max_error_kept == verdict
        assert any(one.state == "bad" for one in report.verdicts)
    frames[1] = (replace(row, figures={"psnr_db": 70.0}), data)
    assert write_report(
        repack(archive, frames), tmp_path / "out"
    ).report.summary.max_error_kept == ("unknown")


def test_a_file_that_does_not_hold_its_frame_is_noticed_in_the_pictures(
    archive, originals, repack, tmp_path
):
    # The manifest vouches for another scan than the file was made from.
    rows = list(archive.rows)
    swapped = [replace(rows[0], source_sha256=rows[1].source_sha256), *rows[1:]]
    frames = [(row, archive.read(row.frame_id)) for row in swapped]
    other = dataset_of(files_of(originals) | {"000000": originals.frame("000001").path})
    only = repack(archive, frames[:1])
    report = write_report(only, tmp_path / "o", originals=other).report
    assert [(one.frame, one.stage) for one in report.failures] == [("000000", "measuring")]
    assert "do not delete the original" in report.failures[0].error


def test_previews_promise_nothing(previews, tmp_path):
    report = write_report(PackedSequence.open(previews), tmp_path / "out").report
    assert report.summary.max_error_kept == "no promise"
    assert report.summary.max_error_m is None
    assert any("do not delete originals" in one.text for one in report.verdicts)


def test_failed_frames_are_listed_and_left_out_of_the_figures(archive, repack, tmp_path):
    frames = [(row, archive.read(row.frame_id)) for row in archive.rows]
    frames[2] = failed(frames[2][0], "the scan\nis empty")
    mended = repack(archive, frames)
    files = write_report(mended, tmp_path / "out")
    report = files.report
    assert (report.summary.held, report.summary.failed) == (FRAMES - 1, 1)
    assert [one.model_dump() for one in report.failures] == [
        {"frame": "000002", "stage": "archiving", "error": "the scan is empty"}
    ]
    psnr = [row.figures["psnr_db"] for row in mended.rows if row.ok]
    assert report.summary.psnr_db == pytest.approx(np.mean(psnr))
    assert "1 of 5 frames failed (1 in archiving). Keep their originals." in page_of(files).words
    rows = list(csv.DictReader(files.csv.open(newline="")))
    assert rows[2]["failure"] == "archiving: the scan is empty"


def test_a_damaged_file_is_a_failure_and_the_next_frame_is_shown(archive, repack, tmp_path):
    frames = [(row, archive.read(row.frame_id)) for row in archive.rows]
    best = max(range(FRAMES), key=lambda place: frames[place][0].figures["psnr_db"])
    row, data = frames[best]
    broken = bytearray(data)
    broken[len(data) // 2] ^= 0x55
    frames[best] = (replace(row, file_sha256=hashlib.sha256(broken).hexdigest()), bytes(broken))
    report = write_report(repack(archive, frames), tmp_path / "out").report
    assert [(one.frame, one.stage) for one in report.failures] == [(row.frame_id, "decoding")]
    assert row.frame_id not in {one.frame for one in report.chosen}
    assert len(report.chosen) == 3


def test_an_mcap_that_does_not_fit_its_manifest_is_reported_all_the_same(packed, tmp_path):
    copy = tmp_path / "00"
    copy.mkdir()
    for name in ("frames.mcap", "manifest.parquet"):
        (copy / name).write_bytes((packed / name).read_bytes())
    data = bytearray((copy / "frames.mcap").read_bytes())
    data[-40:] = bytes(40)
    (copy / "frames.mcap").write_bytes(data)
    report = write_report(PackedSequence.open(copy), tmp_path / "out").report
    assert report.summary.failed == FRAMES
    assert {one.stage for one in report.failures} == {"reading"}
    assert report.problems
    assert report.chosen == []
    assert report.verdicts[0].state == "bad"


def test_an_archive_without_a_good_frame(archive, repack, tmp_path):
    frames = [failed(row, "the disk was full") for row in archive.rows]
    files = write_report(repack(archive, frames), tmp_path / "out")
    page = page_of(files)
    assert files.report.summary.held == 0
    assert "5 of 5 frames failed" in page.words
    assert page.named("img") == []
    assert "plotly" not in page.scripts


def test_an_archive_without_frames(archive, repack, tmp_path):
    empty = repack(archive)
    empty = PackedSequence(empty.location, replace(empty.manifest, rows=()))
    files = write_report(empty, tmp_path / "out", evaluation=evaluation_of(empty))
    assert "The archive lists no frames." in page_of(files).words
    assert files.csv.read_text().startswith("frame_id")


@pytest.mark.parametrize("count", [1, 2])
def test_archives_of_a_frame_or_two(archive, repack, tmp_path, count):
    frames = [(row, archive.read(row.frame_id)) for row in archive.rows[:count]]
    report = write_report(repack(archive, frames), tmp_path / "out").report
    assert [one.role for one in report.chosen] == (["only"], ["best", "worst"])[count - 1]


def test_figures_that_a_mended_manifest_lacks_come_from_the_files(archive, repack, tmp_path):
    frames = [
        (replace(row, figures={"psnr_db": row.figures["psnr_db"]}), archive.read(row.frame_id))
        for row in archive.rows
    ]
    report = write_report(repack(archive, frames), tmp_path / "out").report
    expected = np.mean([8 * row.bytes / (16 * 64) for row in archive.rows])
    assert report.summary.bpp == pytest.approx(expected)
    assert report.summary.raw_bytes is None
    assert report.summary.ratio is None


def test_figures_that_are_no_numbers_stay_out_of_the_document(archive, repack, tmp_path):
    frames = [
        (
            replace(row, figures={**row.figures, "psnr_db": np.inf, "chamfer_m": np.nan}),
            archive.read(row.frame_id),
        )
        for row in archive.rows
    ]
    changed = PackedSequence(
        archive.location, replace(archive.manifest, rows=tuple(row for row, _ in frames))
    )
    files = write_report(changed, tmp_path / "out")
    text = files.json.read_text()
    assert json.loads(text, parse_constant=pytest.fail)["summary"]["psnr_db"] is None
    chosen = json.loads(text)["chosen"]
    assert [one["role"] for one in chosen] == ["first", "middle", "last"]
    assert [one["frame"] for one in chosen] == ["000000", "000002", "000004"]
