"""Archives that disagree with themselves, or are of newer software, are not replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.archive import layout
from pipeline.archive.layout import MANIFEST, MCAP, MismatchError
from pipeline.archive.manifest import pack_manifest
from pipeline.archive.reader import PackedSequence
from pipeline.archive.target import encoder_settings
from pipeline.archive.verify import verify_archive
from pipeline.archive.writer import pack_sequence
from pipeline.datasets import open_dataset
from pipeline.nightly.inbox import check_settings, is_archived
from pipeline.sequence.records import FrameRecord, read_record, write_record
from pipeline.storage.files import TEMPORARY_SUFFIX, sha256_of
from pipeline.storage.locations import Location, locate
from quinr_lidar import container
from quinr_lidar.codec.inspection import inspect
from quinr_lidar.errors import ArchiveError, StorageError
from tests.support.archived_drive import CONFIG, FRAMES, digests


def rewritten(packed, **changes):
    """A manifest that says otherwise, and has the right checksum all the same."""
    manifest = PackedSequence.open(packed).manifest
    (packed / MANIFEST).write_bytes(pack_manifest(replace(manifest, **changes)))
    return manifest


def refuses(folder, packed, reason):
    """Whether what is there stays, for it may hold frames whose originals are gone."""
    write_record(folder, FrameRecord("000001", "failed", error="gone"))
    before = digests(packed)
    with pytest.raises(ArchiveError, match=reason) as caught:
        pack_sequence(folder, packed)
    assert "an archive is there that cannot be read" in str(caught.value)
    assert digests(packed) == before
    assert not any(path.name.endswith(TEMPORARY_SUFFIX) for path in packed.iterdir())
    # Who says so may still do it.
    assert pack_sequence(folder, packed, overwrite=True).written


def test_a_manifest_that_lacks_frames_of_its_mcap(folder, packed):
    rows = PackedSequence.open(packed).manifest.rows
    rewritten(packed, rows=rows[:1])
    assert not verify_archive(packed).ok
    refuses(folder, packed, r"frames\.mcap holds 6 of 6 frames, manifest\.parquet 1 of 1")


def test_a_manifest_that_calls_a_frame_failed(folder, packed):
    rows = PackedSequence.open(packed).manifest.rows
    bad = replace(rows[1], status="failed", error="says who")
    rewritten(packed, rows=(rows[0], bad, *rows[2:]))
    refuses(folder, packed, r"frames\.mcap holds 6 of 6 frames, manifest\.parquet 5 of 6")


def test_a_manifest_of_an_mcap_of_the_same_size(folder, packed):
    rewritten(packed, mcap_sha256="0" * 64)
    assert any(
        "not the MCAP that the manifest is of" in one for one in verify_archive(packed).problems
    )
    refuses(folder, packed, r"frames\.mcap has another SHA-256 than manifest\.parquet says")


def test_an_mcap_of_newer_software(folder, packed, monkeypatch):
    described = layout.Description.as_metadata
    with monkeypatch.context() as patch:
        patch.setattr(
            layout.Description, "as_metadata", lambda self: described(self) | {"format": "2"}
        )
        pack_sequence(folder, packed, overwrite=True)
    assert any("archive version 2" in problem for problem in verify_archive(packed).problems)
    refuses(folder, packed, r"frames\.mcap: format: archive version 2, but this software reads")


def test_frames_of_newer_software_are_named(quinr, folder, packed, monkeypatch, tmp_path):
    made = (folder / "frames" / "000000.quinr").read_bytes()
    newer = container.MAGIC + bytes([container.VERSION + 1]) + made[len(container.MAGIC) + 1 :]
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.archive.plan.inspect", lambda _data: inspect(made))
        (folder / "frames" / "000000.quinr").write_bytes(newer)
        record = read_record(folder, "000000")
        assert record is not None
        write_record(folder, replace(record, file_sha256=sha256_of(newer)))
        pack_sequence(folder, packed, overwrite=True)
    checks = verify_archive(packed).frames
    assert checks[0].error == (
        "frame 000000: header at byte 4: format version 2, but this software reads version 1; "
        "a newer quinr-lidar may read it"
    )
    assert [check.error for check in checks[1:]] == [None] * (FRAMES - 1)
    # As it is, it can still be taken out; what it shows needs the newer software.
    assert quinr("archive", "extract", packed, "000000", "--out", tmp_path / "a")[0] == 0
    assert (tmp_path / "a" / "000000.quinr").read_bytes() == newer
    code, out, _ = quinr("archive", "extract", packed, "--as", "ply", "--out", tmp_path / "b")
    assert (code, len(list((tmp_path / "b").iterdir()))) == (1, FRAMES - 1)
    assert "frame 000000: header at byte 4: format version 2" in " ".join(out.split())


@pytest.mark.parametrize(
    "command",
    [("list",), ("info",), ("verify",), ("extract",), ("query", "psnr > 0")],
)
def test_commands_say_that_an_archive_is_newer(quinr, packed, monkeypatch, command):
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.archive.manifest.FORMAT", 2)
        rewritten(packed)
    before = digests(packed)
    code, _, err = quinr("archive", *command, packed)
    assert code == 2
    assert "manifest.parquet: format: archive version 2, but this software reads version 1" in err
    assert digests(packed) == before


def test_a_full_disk_at_the_manifest_leaves_both_files(folder, packed, monkeypatch):
    """It is written before the MCAP takes its place."""
    write_record(folder, FrameRecord("000009", "failed", error="new"))
    before = digests(packed)
    real = Location.publish
    published = []

    def full(self, staged):
        published.append(self.base)
        real(self, staged)

    write_bytes = Path.write_bytes

    def no_space(self, data):
        if MANIFEST in self.name:
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Location, "publish", full)
        patch.setattr(Path, "write_bytes", no_space)
        with pytest.raises(StorageError, match=r"manifest\.parquet: cannot be .*: No space left"):
            pack_sequence(folder, packed)
    assert published == []
    assert digests(packed) == before


def test_a_manifest_of_another_mcap_is_no_proof_that_a_drive_is_archived(drive, folder, packed):
    dataset = open_dataset(drive / "scans" / "00")
    settings, _ = encoder_settings(folder, CONFIG)
    place = locate(packed)
    assert is_archived(dataset, place, settings)
    with (packed / MCAP).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(MismatchError):
        PackedSequence.open(packed)
    assert not is_archived(dataset, place, settings)
    # The MCAP says itself what settings it was made with.
    assert check_settings(place, settings) == ()
    other, _ = encoder_settings(folder, CONFIG.model_copy(update={"max_error": 0.5}))
    with pytest.raises(ArchiveError, match="settings: expected an archive of the settings asked"):
        check_settings(place, other)
