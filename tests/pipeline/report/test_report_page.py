"""The page as a file: one, small, and nothing in it runs but its own scripts."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.archive import PackedSequence
from pipeline.datasets import Dataset
from pipeline.datasets.frame import ScanFile
from pipeline.datasets.velodyne import parse_velodyne
from pipeline.report.archive_report import write_report
from quinr_lidar.errors import StorageError
from tests.support.reports import (
    Page,
    archive_scans,
    evaluation_of,
    failed,
    page_of,
)

HOSTILE = "<script>window.hacked = 1</script>\" onload='x' [a](javascript:x) |"


def test_hostile_text_stays_text(archive, repack, tmp_path):
    frames = [(row, archive.read(row.frame_id)) for row in archive.rows]
    # A frame id cannot hold a slash.
    hostile_id = HOSTILE.replace("/", "")
    frames[0] = (replace(frames[0][0], frame_id=hostile_id), frames[0][1])
    frames[1] = failed(frames[1][0], HOSTILE + "</td></table>")
    profiles = {HOSTILE: {"name": HOSTILE, HOSTILE: HOSTILE, "items": 1}}
    mended = repack(
        archive,
        frames,
        sequence=HOSTILE,
        profiles=profiles,
        entropy_models=(HOSTILE,),
        projection={HOSTILE: HOSTILE},
    )
    evaluation = evaluation_of(mended, originals=HOSTILE)
    files = write_report(mended, tmp_path / "out", evaluation=evaluation, command=HOSTILE)
    html = files.html.read_text()
    plain = Page(write_report(archive, tmp_path / "plain").html.read_text())
    page = Page(html)
    # Nothing became a tag, an attribute or a script.
    count = len(plain.named("script"))
    assert len(page.named("script")) == count == html.count("<script") == html.count("</script>")
    known = {name for _, attributes in plain.tags for name in attributes}
    assert {name for _, attributes in page.tags for name in attributes} - known <= {"hidden"}
    assert page.text.count("window.hacked = 1") >= 8
    assert json.loads(page.scripts["chart-data"])["frames"][0] == hostile_id
    assert json.loads(files.json.read_text())["failures"][0]["error"] == HOSTILE + "</td></table>"
    for part in ("<script", "](javascript", " | [a]"):
        assert part not in files.summary_markdown


def test_text_that_a_spreadsheet_would_run_is_disarmed(archive, repack, tmp_path):
    frames = [(row, archive.read(row.frame_id)) for row in archive.rows]
    frames[0] = failed(frames[0][0], '=HYPERLINK("http://x")')
    files = write_report(repack(archive, frames), tmp_path / "out")
    rows = list(csv.DictReader(files.csv.open(newline="")))
    assert rows[0]["error"] == '\'=HYPERLINK("http://x")'
    assert float(rows[1]["bytes"]) > 0


def test_the_page_is_one_file_that_may_run_its_own_scripts_only(archive, originals, tmp_path):
    html = write_report(
        archive, tmp_path / "out", originals=originals, evaluation=evaluation_of(archive)
    ).html.read_text()
    page = Page(html)
    addresses = [
        value or ""
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data")
    ]
    assert all(one.startswith(("data:", "#")) for one in addresses)
    policy = next(str(one["content"]) for one in page.named("meta") if one.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1]
    inline = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    plotly = gzip.decompress(base64.b64decode(page.scripts["plotly"])).decode()
    for code in (*inline, plotly):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "Plotly" in plotly


def test_a_thousand_frames_fit_five_megabytes(repack, scans, tmp_path_factory, tmp_path):
    folder = tmp_path_factory.mktemp("large") / "01"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(3):  # noise: no panel of it is small
        points = generator.normal(scale=(15, 15, 1.5, 1), size=(120_000, 4)).astype("<f4")
        (folder / f"{index:06d}.bin").write_bytes(points.tobytes())
    small = PackedSequence.open(archive_scans(folder, folder.parent / "out", size=(64, 1024)))
    frames = []
    for number in range(1000):
        row = small.rows[number % 3]
        figures = {name: value for name, value in row.figures.items() if value is not None}
        figures["psnr_db"] = 60 + 10 * generator.random()
        changed = replace(
            row, frame_id=f"{number:06d}", number=number, time_ns=number * 10**8, figures=figures
        )
        frames.append((changed, small.read(row.frame_id)))
    for number in range(0, 1000, 10):
        frames[number] = failed(frames[number][0], "a reason of some length, " * 4)
    archive = repack(small, frames)
    sources = [
        ScanFile(f"{number:06d}", folder / f"{number % 3:06d}.bin", parse_velodyne)
        for number in range(1000)
    ]
    originals = Dataset("01", "folder", sources)

    def figures_of(_: int) -> dict:
        names = evaluation_of(small).records[1].figures
        return {name: float(value) for name, value in zip(names, generator.random(12), strict=True)}

    files = write_report(
        archive,
        tmp_path / "out",
        originals=originals,
        evaluation=evaluation_of(archive, figures_of),
    )
    assert files.html.stat().st_size < 5_000_000
    page = page_of(files)
    assert len(page.named("img")) == 15
    words = page.words
    assert "1,000 frames" in words
    assert "frames.csv" in words
    # All failures are there, though not all frames.
    assert words.count("a reason of some length, a reason") >= 200
    rows = list(csv.DictReader(files.csv.open(newline="")))
    assert len(rows) == 1000
    assert [one.get("class") for one in page.named("tr")].count("failed") == 100
    shown = [one[0].frame_id for one in frames if f" {one[0].frame_id} " in words]
    assert 300 <= len(shown) <= 500


def test_a_full_disk_leaves_the_old_report(archive, tmp_path, monkeypatch):
    out = tmp_path / "out"
    files = write_report(archive, out)
    before = {path: path.read_bytes() for path in out.iterdir()}

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.storage.files.os.fsync", full)
    with pytest.raises(StorageError, match=r"frames.csv: cannot be written: No space left"):
        write_report(archive, out)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert set(before) == {files.html, files.json, files.csv}


def test_nothing_is_said_about_the_machine_beside_paths_of_the_archive(archive, tmp_path):
    report = write_report(archive, tmp_path / "out").report
    assert set(report.versions.report) == {"quinr-lidar", "Python", "numpy", "torch"}
    assert report.versions.encoded == [report.versions.packed]
