"""Nightly runs on which scans change, vanish, or are where nobody expects them.

Whatever it is: originals and what was archived before stay as they are, byte for byte, and one line
says what is wrong with which file. Flows run as functions, see the fixture ``plain``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import flows.archive_sequence
import flows.nightly
from pipeline.archive.reader import PackedSequence
from pipeline.nightly.report import REPORT
from pipeline.sequence.records import frame_path
from tests.support.flows import HERE, archive, digests, refused, run_nightly, verified, write_scan

pytestmark = pytest.mark.usefixtures("plain")


def meanwhile(monkeypatch, frame_id: str, action: Callable[[], object]) -> None:
    """Do something behind a frame's back, right after it was archived."""
    real = flows.archive_sequence.archive_frame

    def archive_frame(job):
        record = real(job)
        if job.frame_id == frame_id:
            action()
        return record

    monkeypatch.setattr(flows.archive_sequence, "archive_frame", archive_frame)


def test_a_drive_that_grows_while_it_is_archived(drives, tmp_path, monkeypatch):
    late = drives / "a" / "velodyne" / "000003.bin"
    with monkeypatch.context() as patch:
        meanwhile(patch, "000001", lambda: write_scan(late, 3))
        state = run_nightly(drives, tmp_path / "out")
    assert state.name == "CompletedWithFailures"
    report = (tmp_path / "out" / REPORT).read_text()
    assert "1 scans of a are not in the archive, the first 000003" in report
    # All of "a" stay, the other drive's go.
    assert sorted(digests(drives)) == [f"a/velodyne/{number:06d}.bin" for number in range(4)]
    assert run_nightly(drives, tmp_path / "out").name == "Completed"
    assert digests(drives) == {}
    assert len(PackedSequence.open(tmp_path / "out" / "a").frame_ids) == 4


@pytest.mark.parametrize("frame_id", [pytest.param("000000", marks=pytest.mark.slow), "000002"])
def test_a_scan_that_changes_while_its_drive_is_archived(drives, tmp_path, monkeypatch, frame_id):
    """Same size, changed between hashing and packing: only a deep verification sees it."""
    scan = drives / "a" / "velodyne" / f"{frame_id}.bin"
    with monkeypatch.context() as patch:
        meanwhile(patch, "000002", lambda: write_scan(scan, 99))
        state = run_nightly(drives, tmp_path / "out")
    assert state.name == "CompletedWithFailures"
    assert f"{scan}: not the scan that was archived" in (tmp_path / "out" / REPORT).read_text()
    there = digests(drives)
    assert sorted(there) == [f"a/velodyne/{number:06d}.bin" for number in range(3)]
    # Nor does any later run remove what is archived otherwise.
    assert run_nightly(drives, tmp_path / "out").is_failed()
    assert digests(drives) == there
    said = refused(lambda: archive(drives, tmp_path / "out"))
    assert f"the new one lacks or has otherwise, the first {frame_id}" in said


def test_a_scan_that_changes_after_its_verification(drives, tmp_path, monkeypatch):
    scan = drives / "a" / "velodyne" / "000001.bin"
    real = flows.nightly.remove_originals

    def remove(*arguments, **options):
        write_scan(scan, 99)
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(flows.nightly, "remove_originals", remove)
        state = run_nightly(drives, tmp_path / "out")
    assert state.name == "CompletedWithFailures"
    assert f"{scan}: not the scan that was archived" in (state.message or "")
    kept = digests(drives)
    assert sorted(kept) == ["a/velodyne/000001.bin"]
    assert run_nightly(drives, tmp_path / "out").name == "CompletedWithFailures"
    assert digests(drives) == kept


def test_scans_that_vanish_or_are_torn(drives, tmp_path, monkeypatch):
    first, second, third = (drives / "a" / "velodyne" / f"{number:06d}.bin" for number in range(3))
    whole = {path: path.read_bytes() for path in (second, third)}

    def lose() -> None:
        second.unlink()
        third.write_bytes(whole[third][:-7])

    with monkeypatch.context() as patch:
        meanwhile(patch, "000000", lose)
        lenient = HERE.model_copy(update={"max_failed_share": 1.0})
        state = archive(drives, tmp_path / "out", run=lenient)
    assert (state.name, state.message) == ("CompletedWithFailures", "2/3 frames failed")
    rows = PackedSequence.open(tmp_path / "out" / "a").rows
    assert [row.ok for row in rows] == [True, False, False]
    assert f"{second}: cannot be read: No such file" in (rows[1].error or "")
    assert f"{third}: 6393 bytes are not a multiple of 16" in (rows[2].error or "")
    before = frame_path(tmp_path / "out" / "a", "000000").stat().st_ino
    for path, data in whole.items():
        path.write_bytes(data)
    assert archive(drives, tmp_path / "out").name == "Completed"
    assert frame_path(tmp_path / "out" / "a", "000000").stat().st_ino == before
    assert first.exists()
    assert verified(tmp_path / "out", drives) == []


def test_a_stray_scan_does_not_hide_drives(drives, tmp_path):
    """One that got lost in the inbox itself is a drive of its own."""
    write_scan(drives / "stray.bin", 9)
    state = run_nightly(drives, tmp_path / "out")
    assert (state.name, state.message) == ("Completed", "3 drives: 3 archived")
    assert digests(drives) == {}
    assert PackedSequence.open(tmp_path / "out" / "inbox").frame_ids == ("stray",)


def test_scans_in_two_places_of_a_drive(drives, tmp_path):
    """Whichever were archived, the others would be taken for archived too."""
    write_scan(drives / "a" / "000000.bin", 9)
    originals = digests(drives / "a")
    state = run_nightly(drives, tmp_path / "out")
    assert state.name == "CompletedWithFailures"
    report = (tmp_path / "out" / REPORT).read_text()
    assert (
        f"{drives / 'a'}: scans lie in {drives / 'a'} and in {drives / 'a' / 'velodyne'}" in report
    )
    assert digests(drives / "a") == originals
    assert digests(drives / "b") == {}


def test_bad_times_are_their_drives_own_trouble(drives, tmp_path):
    calibration = "".join(
        f"{name}: 1 0 0 0 0 1 0 0 0 0 1 0\n" for name in ("P0", "P1", "P2", "P3", "Tr")
    )
    root = drives / "kitti" / "sequences"
    for sequence, times in (("00", "0\n1e300\n2\n"), ("01", "5.0\n4.0\n4.0\n"), ("02", "1.5\n")):
        for number in range(3):
            write_scan(root / sequence / "velodyne" / f"{number:06d}.bin", number)
        (root / sequence / "calib.txt").write_text(calibration)
        (root / sequence / "times.txt").write_text(times)
    originals = digests(root / "00")
    state = run_nightly(drives, tmp_path / "out")
    assert (state.name, state.message) == ("CompletedWithFailures", "1/5 drives failed")
    report = (tmp_path / "out" / REPORT).read_text()
    bad = "calib.txt, times.txt or its poses cannot be understood (OverflowError"
    assert f"{root / '00'}: {bad}" in report
    assert digests(root / "00") == originals
    # A clock that jumps is kept as it is; where there is no time, one is assumed and said to be.
    jumping = PackedSequence.open(tmp_path / "out" / "01").rows
    assert [row.time_ns for row in jumping] == [5 * 10**9, 4 * 10**9, 4 * 10**9]
    short = PackedSequence.open(tmp_path / "out" / "02").rows
    assert [row.time_assumed for row in short] == [False, True, True]
