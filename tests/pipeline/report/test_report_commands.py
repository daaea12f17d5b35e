"""``quinr report`` as a person uses it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from pipeline.storage.locations import locate
from tests.support.reports import Page, failed


@pytest.fixture
def copy(packed, tmp_path):
    """An archive that a report may be put into."""
    folder = tmp_path / "00"
    folder.mkdir()
    for name in ("frames.mcap", "manifest.parquet"):
        shutil.copy(packed / name, folder / name)
    return folder


def test_make_puts_the_report_into_the_archive(quinr, copy, scans):
    code, out, _ = quinr("report", "make", copy, "--originals", scans)
    assert code == 0
    assert sorted(path.name for path in (copy / "report").iterdir()) == [
        "frames.csv",
        "index.html",
        "report.json",
    ]
    assert out.splitlines()[-1] == f"{copy}/report/index.html"
    assert "good: All 5 frames are in the archive" in out
    report = json.loads((copy / "report" / "report.json").read_text())
    assert report["command"] == f"quinr report make {copy} --originals {scans}"
    assert all(one["original"] for one in report["chosen"])
    # The archive is what it was.
    assert quinr("archive", "verify", copy)[0] == 0


def test_make_json(quinr, copy, tmp_path):
    code, out, _ = quinr("report", "make", copy, "--out", tmp_path / "r", "--json")
    assert code == 0
    said = json.loads(out)
    assert said["report"] == f"{tmp_path}/r/index.html"
    assert said["summary"] == json.loads((tmp_path / "r" / "report.json").read_text())["summary"]


def test_failed_frames_are_the_exit_code(quinr, archive, repack, tmp_path):
    frames = [(row, archive.read(row.frame_id)) for row in archive.rows]
    frames[0] = failed(frames[0][0], "no")
    mended = repack(archive, frames)
    code, out, _ = quinr("report", "make", mended.location.path, "-o", tmp_path / "r")
    assert code == 1
    assert "bad: 1 of 5 frames failed" in out
    assert (tmp_path / "r" / "index.html").is_file()


def test_urls(quinr, copy):
    for name in ("frames.mcap", "manifest.parquet"):
        (locate("memory://fleet/00") / name).write((copy / name).read_bytes())
    assert quinr("report", "make", "memory://fleet/00/")[0] == 0
    page = (locate("memory://fleet/00/report") / "index.html").read().decode()
    assert "memory://fleet/00" in Page(page).words
    code, _, err = quinr(
        "report", "compare", "memory://fleet/00", copy, "--out", "memory://fleet/compare"
    )
    assert code == 2
    assert f"{copy}: no report" in err
    assert quinr("report", "make", copy)[0] == 0
    assert (
        quinr("report", "compare", "memory://fleet/00", copy, "--out", "memory://fleet/compare")[0]
        == 0
    )
    assert (locate("memory://fleet/compare") / "index.html").exists()


def test_compare(quinr, packed, previews, tmp_path):
    for folder in (packed, previews):
        out = tmp_path / folder.parent.name
        assert quinr("report", "make", folder, "-o", out)[0] == 0
    both = (tmp_path / packed.parent.name, tmp_path / previews.parent.name)
    code, out, _ = quinr("report", "compare", *both, "-o", tmp_path / "c")
    assert code == 0
    assert "bounded, 2\u00a0cm" in out
    assert (tmp_path / "c" / "index.html").is_file()
    code, out, _ = quinr("report", "compare", *both, "-o", tmp_path / "c", "--json")
    written = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert json.loads(out)["reports"] == written["reports"]


def test_other_drives_need_anyway(quinr, archive, packed, repack, tmp_path):
    other = repack(archive, sequence="07")
    folders = []
    for one in (str(packed), other.location.path):
        folders.append(tmp_path / f"r{len(folders)}")
        assert quinr("report", "make", one, "-o", folders[-1])[0] == 0
    code, _, err = quinr("report", "compare", *folders, "-o", tmp_path / "c")
    assert code == 2
    assert "differ in their sequence: 00 and 07" in err
    assert not (tmp_path / "c").exists()
    assert quinr("report", "compare", *folders, "-o", tmp_path / "c", "--anyway")[0] == 0


def test_bad_input_is_one_line(quinr, tmp_path, copy, scans):
    code, _, err = quinr("report", "make", tmp_path / "none")
    assert (code, len(err.strip().splitlines())) == (2, 1)
    code, _, err = quinr("report", "make", copy, "--originals", tmp_path / "none")
    assert code == 2
    assert str(tmp_path / "none") in err.strip().splitlines()[-1]
    assert not (copy / "report").exists()
    (copy / "report").write_text("in the way")
    code, _, err = quinr("report", "make", copy, "--originals", scans)
    assert code == 2
    assert "cannot be written" in err.strip().splitlines()[-1]


def test_the_command_starts_without_what_only_reports_need():
    code = (
        "import sys, pipeline.cli.report; "
        "sys.exit(bool({'matplotlib', 'plotly', 'jinja2', 'prefect'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
