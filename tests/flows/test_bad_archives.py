"""Nightly runs that meet archives of newer software, or such as disagree with themselves.

Whatever it is: originals and what was archived before stay as they are, byte for byte, and one line
says what is wrong with which file. Flows run as functions, see the fixture ``plain``.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.archive import layout, manifest
from pipeline.archive.layout import MANIFEST, MCAP, NewerArchiveError
from pipeline.archive.manifest import pack_manifest
from pipeline.archive.reader import PackedSequence
from pipeline.archive.writer import pack_sequence
from pipeline.nightly.report import REPORT
from pipeline.sequence.records import read_record, write_record
from pipeline.storage.locations import Location
from quinr_lidar import container
from quinr_lidar.errors import ArchiveError
from tests.support.flows import (
    archive,
    contents,
    digests,
    packed,
    refused,
    run_nightly,
    verified,
    write_scan,
)

pytestmark = pytest.mark.usefixtures("plain")


def refused_by_all(drives: Path, out: Path, message: str) -> None:
    """An archive of "a" that nothing may touch, nor its originals."""
    originals, before = digests(drives / "a"), packed(out / "a")
    assert message in refused(lambda: archive(drives, out))
    for retention in ("off", "delete"):
        state = run_nightly(drives, out, retention)
        assert not state.is_completed() or state.name == "CompletedWithFailures"
        assert message in (out / REPORT).read_text()
    assert any(message in one for one in verified(out))
    assert packed(out / "a") == before
    assert digests(drives / "a") == originals


def test_a_run_that_was_killed_between_mcap_and_manifest(drives, tmp_path, monkeypatch):
    """The same command goes on, also where the drive's archive was there before."""
    archived = tmp_path / "archive"
    run_nightly(drives, archived, "off")
    write_scan(drives / "a" / "velodyne" / "000003.bin", 3)
    archive(drives, tmp_path / "whole")
    real = Location.publish

    def killed(self: Location, staged: Path) -> None:
        if self.base == MANIFEST:
            raise KeyboardInterrupt
        real(self, staged)

    with monkeypatch.context() as patch:
        patch.setattr(Location, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            archive(drives, archived)
    assert "is of an MCAP of" in verified(archived)[0]
    # Other settings are refused before anything is encoded again, as ever.
    before = digests(archived)
    with pytest.raises(ArchiveError, match="settings: expected an archive of the settings asked"):
        archive(drives, archived, max_error=0.5)
    assert digests(archived) == before
    assert run_nightly(drives, archived, "dry-run").name == "Completed"
    whole = contents(tmp_path / "whole" / "a")
    now = contents(archived / "a")
    assert {name: now[name] for name in whole} == whole


def test_an_archive_of_a_newer_version(drives, archived, monkeypatch):
    made = PackedSequence.open(archived / "a").manifest
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "FORMAT", layout.FORMAT + 1)
        (archived / "a" / MANIFEST).write_bytes(pack_manifest(made))
    message = "manifest.parquet: format: archive version 2, but this software reads version 1"
    with pytest.raises(NewerArchiveError, match=r"a/manifest\.parquet: format"):
        PackedSequence.open(archived / "a")
    refused_by_all(drives, archived, message)
    # The other drive is none the worse for it.
    assert digests(drives / "b") == {}


def test_an_mcap_of_a_newer_version(drives, archived, tmp_path, monkeypatch):
    described = layout.Description.as_metadata
    with monkeypatch.context() as patch:
        patch.setattr(
            layout.Description, "as_metadata", lambda self: described(self) | {"format": "2"}
        )
        pack_sequence(archived / "a", tmp_path / "newer")
    for name in (MCAP, MANIFEST):
        shutil.copy(tmp_path / "newer" / name, archived / "a")
    originals, before = digests(drives), packed(archived / "a")
    message = "frames.mcap: format: archive version 2, but this software reads version 1"
    assert message in refused(lambda: archive(drives, archived))
    assert message in verified(archived)[0]
    run_nightly(drives, archived)
    assert packed(archived / "a") == before
    assert {f"a/{name}" for name in digests(drives / "a")} <= originals.keys()
    assert len(digests(drives / "a")) == 3


def test_frames_of_a_newer_version(drives, archived, tmp_path, monkeypatch):
    """Files that this software cannot decode prove nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(container, "VERSION", 2)
        shutil.rmtree(archived)
        run_nightly(drives, archived, "off")
    originals, before = digests(drives), packed(archived / "a")
    complaint = verified(archived)[0]
    assert "frame 000000: header at byte 4: format version 2, but this software reads" in complaint
    assert run_nightly(drives, archived).is_failed()
    assert digests(drives) == originals
    assert packed(archived / "a") == before
    # Encoded again by this software they differ, so the newer archive stays.
    said = refused(lambda: archive(drives, archived))
    assert "holds 3 frames that the new one lacks or has otherwise" in said
    assert packed(archived / "a") == before


def test_the_manifest_of_another_archive(drives, archived):
    shutil.copy(archived / "b" / MANIFEST, archived / "a" / MANIFEST)
    mcap = digests(archived / "a")[MCAP]
    originals = digests(drives)
    assert "manifest.parquet is of an MCAP of" in verified(archived)[0]
    # The frames are all there, so a nightly run makes the manifest anew, and only then removes
    # scans.
    state = run_nightly(drives, archived, "dry-run")
    assert state.name == "Completed"
    assert digests(archived / "a")[MCAP] == mcap
    assert verified(archived, drives) == []
    assert digests(drives) == originals


def test_the_manifest_of_another_archive_where_frames_are_gone(drives, archived):
    """Nobody may take what cannot be read for nothing."""
    shutil.copy(archived / "b" / MANIFEST, archived / "a" / MANIFEST)
    shutil.rmtree(archived / "a" / "frames")
    shutil.rmtree(archived / "a" / "records")
    (drives / "a" / "velodyne" / "000000.bin").unlink()
    originals, before = digests(drives), packed(archived / "a")
    state = run_nightly(drives, archived)
    assert state.name == "CompletedWithFailures"
    assert "an archive is there that cannot be read" in (archived / REPORT).read_text()
    assert packed(archived / "a") == before
    assert digests(drives / "a") == {
        name[2:]: sha for name, sha in originals.items() if name.startswith("a/")
    }


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("source_sha256", "0" * 64),
        ("file_sha256", "0" * 64),
        pytest.param("time_ns", 7, marks=pytest.mark.slow),
        pytest.param("chunk_offset", 8, marks=pytest.mark.slow),
        pytest.param("frame_id", "000009", marks=pytest.mark.slow),
        ("status", "failed"),
        ("figures", {"largest_error_m": 0.0}),
    ],
)
def test_a_row_that_says_otherwise_than_the_mcap(drives, archived, column, value):
    place = archived / "a" / MANIFEST
    made = PackedSequence.open(archived / "a").manifest
    row = made.rows[1]
    if column == "figures":
        value = {**row.figures, **value}
    rows = (made.rows[0], replace(row, **{column: value}), made.rows[2])
    place.write_bytes(pack_manifest(replace(made, rows=rows)))
    assert verified(archived)
    originals, mcap = digests(drives), digests(archived / "a")[MCAP]
    with_bad_row = place.read_bytes()
    if column == "status":
        # An archive that lacks a frame is packed again; then all is well.
        assert run_nightly(drives, archived, "dry-run").name == "Completed"
    elif column == "frame_id":
        assert run_nightly(drives, archived, "dry-run").name == "Completed"
    else:
        state = run_nightly(drives, archived)
        assert (state.name, state.message) == ("CompletedWithFailures", "1/2 drives failed")
        assert place.read_bytes() == with_bad_row
        # By hand the manifest is made anew, from frames that are what the MCAP holds.
        assert archive(drives, archived).name == "Completed"
    assert digests(archived / "a")[MCAP] == mcap
    assert digests(drives / "a") == {
        name[2:]: sha for name, sha in originals.items() if name.startswith("a/")
    }
    assert verified(archived) == []


def test_records_of_another_run(drives, archived):
    """A record that fits no file is no proof that a frame is done."""
    record = read_record(archived / "a", "000001")
    assert record is not None
    write_record(archived / "a", replace(record, file_sha256="0" * 64))
    before = packed(archived / "a")
    assert archive(drives, archived).name == "Completed"
    mended = read_record(archived / "a", "000001")
    assert mended is not None
    assert mended.file_sha256 == record.file_sha256
    assert packed(archived / "a")[MCAP] == before[MCAP]
