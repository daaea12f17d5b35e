"""Scans that change between their comparison with the archive and their removal."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.archive.writer import pack_sequence
from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.nightly import retention
from pipeline.nightly.retention import LIST, remove_originals
from pipeline.nightly.verification import VerifyJob, check_archive
from pipeline.storage.locations import locate
from tests.support.archived_drive import FRAMES


@pytest.fixture
def scans(drive, folder, tmp_path) -> Path:
    """A packed archive in ``00``, and its scans, which a test may remove."""
    scans = tmp_path / "scans" / "00"
    scans.mkdir(parents=True)
    for path in (drive / "scans" / "00").iterdir():
        (scans / path.name).write_bytes(path.read_bytes())
    pack_sequence(folder)
    return scans


@pytest.mark.parametrize("how", ["written to", "replaced", "appended to"])
def test_a_scan_that_changes_before_its_turn_stays(scans, folder, monkeypatch, how):
    scan = scans / "000004.bin"
    new = encode_velodyne(open_dataset(scans).read("000000").points)
    real = retention.write_json_atomically

    def change(path, value):
        # All scans have been compared by now, and none is gone.
        assert len(list(scans.iterdir())) == FRAMES
        if how == "written to":
            scan.write_bytes(new)
        elif how == "appended to":
            with scan.open("ab") as file:
                file.write(new[:16])
        else:
            (scans / "new").write_bytes(new)
            (scans / "new").rename(scan)
        real(path, value)

    monkeypatch.setattr(retention, "write_json_atomically", change)
    check = check_archive(VerifyJob(str(folder), scans))
    removal = remove_originals(open_dataset(scans), folder, locate(folder), check, dry_run=False)
    assert [path.name for path in scans.iterdir()] == ["000004.bin"]
    assert removal.kept == {"000004": f"{scan}: changed since it was compared with the archive"}
    assert len(removal.removed) == FRAMES - 1
    assert scan not in removal.removed
    assert (folder / LIST).read_text().splitlines() == [str(path) for path in removal.removed]


def test_a_scan_that_is_gone_before_its_turn(scans, folder, monkeypatch):
    real = retention.write_json_atomically

    def lose(path, value):
        (scans / "000002.bin").unlink()
        real(path, value)

    monkeypatch.setattr(retention, "write_json_atomically", lose)
    check = check_archive(VerifyJob(str(folder), scans))
    removal = remove_originals(open_dataset(scans), folder, locate(folder), check, dry_run=False)
    assert list(scans.iterdir()) == []
    assert len(removal.removed) == FRAMES
