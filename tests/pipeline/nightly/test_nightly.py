"""Inboxes, verification in jobs, and removing originals: on tiny scans, without Prefect."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.archive.layout import MCAP
from pipeline.archive.target import encoder_settings
from pipeline.archive.writer import pack_sequence
from pipeline.config.archive_config import ArchiveConfig, ProjectionConfig
from pipeline.datasets import Dataset, FrameSource, open_dataset
from pipeline.datasets.discovery import Drive, drives_in
from pipeline.datasets.frame import ScanFile
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.evaluation.archive import ArchiveEvaluation
from pipeline.evaluation.tasks import EvaluationRecord, TaskSettings
from pipeline.nightly.inbox import check_settings, is_archived
from pipeline.nightly.report import DriveOutcome, nightly_report, nightly_rows, report_of
from pipeline.nightly.retention import BEGUN, LIST, has_begun, remove_originals
from pipeline.nightly.verification import VerifyJob, check_archive
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.sequence import archive_jobs
from pipeline.storage.locations import locate
from quinr_lidar.errors import ArchiveError, DatasetError, StorageError
from tests.support.tiny import tiny

TINY = tiny(keyframe_interval=3)
SCANS = 5
CONFIG = ArchiveConfig(overrides=TINY, projection=ProjectionConfig(height=8, width=32))


def write_scan(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    points = np.random.default_rng(seed).normal(scale=(15, 15, 1), size=(400, 3))
    path.write_bytes(encode_velodyne(points))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """``scans`` and, archived and packed, ``archive/scans``."""
    root = tmp_path_factory.mktemp("nightly")
    for index in range(SCANS):
        write_scan(root / "scans" / f"{index:06d}.bin", index)
    settings, _ = encoder_settings(root / "archive" / "scans", CONFIG)
    jobs = archive_jobs(open_dataset(root / "scans"), root / "archive", settings)
    records = [archive_frame(job) for job in jobs]
    assert [record.error for record in records] == [None] * SCANS
    pack_sequence(root / "archive" / "scans", records=records, settings=settings)
    return root


@pytest.fixture
def nightly(made, tmp_path) -> Path:
    """A copy that a test may damage, and whose originals it may remove."""
    return shutil.copytree(made, tmp_path / "nightly")


def parts(nightly: Path):
    folder = nightly / "archive" / "scans"
    return open_dataset(nightly / "scans"), folder, locate(folder)


def scans_of(nightly: Path) -> list[str]:
    return sorted(path.name for path in (nightly / "scans").iterdir())


def test_drives_are_found_in_every_layout(tmp_path):
    for path in (
        "kitti/sequences/00/velodyne/000000.bin",
        "kitti/sequences/01/velodyne/000000.bin",
        "raw/2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000000.bin",
        "plain/000000.bin",
        ".hidden/000000.bin",
    ):
        write_scan(tmp_path / path, 0)
    (tmp_path / "emptied" / "velodyne").mkdir(parents=True)
    names = ["00", "01", "2011_09_26_drive_0001_sync", "plain"]
    found = drives_in(tmp_path)
    assert sorted(drive.name for drive in found) == sorted(names)
    assert all(drive.open().name == drive.name for drive in found)
    assert [drive.name for drive in drives_in(tmp_path / "kitti")] == ["00", "01"]
    assert [drive.name for drive in drives_in(tmp_path / "kitti/sequences/00")] == ["00"]
    assert [drive.name for drive in drives_in(tmp_path / "kitti/sequences/00/velodyne")] == ["00"]
    assert drives_in(tmp_path / "emptied") == []
    write_scan(tmp_path / "other/sequences/00/velodyne/000000.bin", 1)
    with pytest.raises(DatasetError, match="two drives are named 00"):
        drives_in(tmp_path)
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        drives_in(tmp_path / "nowhere")


def test_a_drive_is_archived_when_every_scan_is(nightly):
    dataset, folder, archive = parts(nightly)
    settings, _ = encoder_settings(folder, CONFIG)
    assert is_archived(dataset, archive, settings)
    assert not is_archived(dataset, locate(nightly / "elsewhere"), settings)
    write_scan(nightly / "scans" / "000005.bin", 5)
    assert not is_archived(open_dataset(nightly / "scans"), archive, settings)
    (nightly / "scans" / "000005.bin").unlink()
    (nightly / "scans" / "000001.bin").write_bytes(b"\0" * 16)
    assert not is_archived(dataset, archive, settings)
    # Part of the originals is gone, the archive has them all the same.
    (nightly / "scans" / "000001.bin").unlink()
    assert is_archived(open_dataset(nightly / "scans"), archive, settings)


def test_other_settings_do_not_replace_an_archive(nightly):
    dataset, folder, archive = parts(nightly)
    wider = ProjectionConfig(height=8, width=64)
    finer, _ = encoder_settings(folder, CONFIG.model_copy(update={"projection": wider}))
    with pytest.raises(ArchiveError, match="settings: expected an archive of the settings asked"):
        is_archived(dataset, archive, finer)
    other, _ = encoder_settings(folder, CONFIG.model_copy(update={"max_error": 0.5}))
    with pytest.raises(ArchiveError, match="settings: expected an archive of the settings asked"):
        is_archived(dataset, archive, other)
    (folder / "manifest.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArchiveError):
        check_settings(archive, other)


def test_an_archive_is_checked_as_a_job(nightly):
    _, folder, _ = parts(nightly)
    good = check_archive(VerifyJob(str(folder)))
    assert (good.status, good.deep, good.frames) == ("ok", False, SCANS)
    deep = check_archive(VerifyJob(str(folder), nightly / "scans"))
    assert (deep.status, deep.deep) == ("ok", True)
    assert deep.largest_error_m is not None
    assert deep.max_error_m is not None
    assert 0 < deep.largest_error_m <= 0.02
    data = bytearray((folder / MCAP).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / MCAP).write_bytes(data)
    bad = check_archive(VerifyJob(str(folder)))
    assert bad.status == "failed"
    assert str(folder) in (bad.error or "")
    assert check_archive(VerifyJob(str(nightly / "nowhere"))).status == "failed"


def test_a_dry_run_lists_and_removes_nothing(nightly):
    dataset, folder, archive = parts(nightly)
    check = check_archive(VerifyJob(str(folder), nightly / "scans"))
    before = scans_of(nightly)
    removal = remove_originals(dataset, folder, archive, check)
    assert removal.dry_run
    assert [path.name for path in removal.removed] == before == scans_of(nightly)
    assert (folder / LIST).read_text().splitlines() == [str(path) for path in removal.removed]
    assert not (folder / BEGUN).exists()


def test_originals_go_after_every_frame_was_verified(nightly):
    dataset, folder, archive = parts(nightly)
    (nightly / "scans" / "calib.txt").write_text("kept")
    check = check_archive(VerifyJob(str(folder), nightly / "scans"))
    removal = remove_originals(dataset, folder, archive, check, dry_run=False)
    assert len(removal.removed) == SCANS
    assert scans_of(nightly) == ["calib.txt"]
    assert removal.bytes == SCANS * 400 * 16


def test_nothing_goes_without_a_deep_verification_that_passed(nightly):
    dataset, folder, archive = parts(nightly)

    def refused(check, reason: str) -> None:
        with pytest.raises(ArchiveError, match=reason):
            remove_originals(dataset, folder, archive, check, dry_run=False)
        assert len(scans_of(nightly)) == SCANS

    refused(check_archive(VerifyJob(str(folder))), "not verified against its originals")
    deep = check_archive(VerifyJob(str(folder), nightly / "scans"))
    refused(replace(deep, mcap_sha256="0" * 64), "changed since it was verified")
    # One scan that is not the archived one keeps them all.
    write_scan(nightly / "scans" / "000003.bin", 99)
    refused(check_archive(VerifyJob(str(folder), nightly / "scans")), "did not verify")


def test_a_frame_beyond_its_bound_keeps_all_originals(nightly, monkeypatch):
    dataset, folder, archive = parts(nightly)
    monkeypatch.setattr("pipeline.fidelity.promises.allowed_error", lambda ranges, *_: 0 * ranges)
    check = check_archive(VerifyJob(str(folder), nightly / "scans"))
    assert check.status == "failed"
    assert "the max error is exceeded" in (check.error or "")
    with pytest.raises(ArchiveError, match="all originals stay"):
        remove_originals(dataset, folder, archive, check, dry_run=False)


def test_a_scan_that_changed_or_came_after_the_verification_stays(nightly):
    dataset, folder, archive = parts(nightly)
    check = check_archive(VerifyJob(str(folder), nightly / "scans"))
    write_scan(nightly / "scans" / "000002.bin", 77)
    write_scan(nightly / "scans" / "000009.bin", 9)
    elsewhere = nightly / "linked.bin"
    (nightly / "scans" / "000004.bin").rename(elsewhere)
    (nightly / "scans" / "000004.bin").symlink_to(elsewhere)
    dataset = open_dataset(nightly / "scans")
    removal = remove_originals(dataset, folder, archive, check, dry_run=False)
    assert scans_of(nightly) == ["000002.bin", "000004.bin", "000009.bin"]
    assert elsewhere.exists()
    assert "not the scan that was archived" in removal.kept["000002"]
    assert "a link" in removal.kept["000004"]
    assert "does not hold it" in removal.kept["000009"]


@dataclass(frozen=True)
class PartOfAFile(FrameSource):
    """A scan in a file that holds others as well, as in a recording of a whole drive."""

    whole: ScanFile

    @property
    def frame_id(self):
        return self.whole.frame_id

    @property
    def path(self):
        return self.whole.path

    def read(self):
        return self.whole.read()

    def sha256(self):
        return self.whole.sha256()

    def size(self):
        return self.whole.size()

    def changed(self):
        return self.whole.changed()


def test_a_file_that_holds_more_than_one_scan_stays(nightly):
    dataset, folder, archive = parts(nightly)
    check = check_archive(VerifyJob(str(folder), nightly / "scans"))
    shared = Dataset(dataset.name, dataset.layout, map(PartOfAFile, dataset.frames()))
    removal = remove_originals(shared, folder, archive, check, dry_run=False)
    assert removal.removed == ()
    assert "holds more than this scan" in removal.kept["000000"]
    assert len(scans_of(nightly)) == SCANS


def test_a_removal_that_was_killed_goes_on(nightly, monkeypatch):
    dataset, folder, archive = parts(nightly)
    check = check_archive(VerifyJob(str(folder), nightly / "scans"))
    unlink, gone = Path.unlink, []

    def third_fails(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".bin" and len(gone) == 2:
            raise PermissionError(13, "Permission denied")
        gone.append(path)
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", third_fails)
        with pytest.raises(StorageError, match=r"000002\.bin: cannot be removed"):
            remove_originals(dataset, folder, archive, check, dry_run=False)
    assert len(scans_of(nightly)) == SCANS - 2
    assert has_begun(folder, archive)
    rest = open_dataset(nightly / "scans")
    # The archive is still what it was when it was proven, and intact.
    again = check_archive(VerifyJob(str(folder)))
    assert len(remove_originals(rest, folder, archive, again, dry_run=False).removed) == SCANS - 2
    assert scans_of(nightly) == []


def test_what_was_proven_of_another_archive_counts_for_nothing(nightly):
    _, folder, archive = parts(nightly)
    (folder / BEGUN).write_text(json.dumps({"mcap_sha256": "0" * 64}))
    assert not has_begun(folder, archive)
    (folder / BEGUN).write_text("{")
    assert not has_begun(folder, archive)


def test_the_report_says_what_became_of_every_drive(nightly):
    dataset, folder, archive = parts(nightly)
    check = check_archive(VerifyJob(str(folder), nightly / "scans"))
    removal = remove_originals(dataset, folder, archive, check)
    drives = [Drive(nightly / "scans", "scans"), Drive(nightly / "b", "b")]
    outcomes = [
        DriveOutcome(drives[0], "archived", "5 frames"),
        DriveOutcome(drives[1], "failed", "no | scans"),
    ]
    records = (EvaluationRecord("0", {"psnr_db": 70.0}), EvaluationRecord("1"))
    records += (EvaluationRecord("2", {"psnr_db": 75.0}), EvaluationRecord("3", error="damaged"))
    found = ArchiveEvaluation(TaskSettings(), records, "scans", "0" * 64)
    page = nightly / "archive" / "my scans" / "report" / "index.html"
    reports = {"scans": report_of(page, found)}
    rows = nightly_rows(
        outcomes, {"scans": check}, reports, {"scans": removal}, nightly / "archive"
    )
    text = nightly_report("Nightly run", rows, [outcomes[1].error or ""])
    assert "5 would be removed (0.0 MB)" in text
    assert "| b | failed | no \\| scans |" in text
    assert "- b: no | scans" in text
    assert rows[0]["PSNR of the sample [dB]"] == 72.5
    assert "| [index.html](my%20scans/report/index.html) |" in text
    assert rows[1]["report"] is None
    assert report_of(page, None).psnr_db is None
