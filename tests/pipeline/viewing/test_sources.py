"""Frames of files, folders and archives."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest

import quinr_lidar
from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.manifest import pack_manifest
from pipeline.archive.originals import open_originals
from pipeline.archive.reader import PackedSequence
from pipeline.archive.writer import pack_sequence
from pipeline.sequence.records import FrameRecord, frame_path, record_path, write_record
from pipeline.viewing.frame import view_frame, with_scan
from pipeline.viewing.sources import choose_frame, open_frames
from quinr_lidar.errors import ArchiveError, BitstreamError, DatasetError, StorageError
from tests.support.archived_drive import FRAMES, flip

GOLDEN = Path(__file__).parents[2] / "quinr_lidar" / "codec" / "golden"


def viewed(where, wanted=None, **options):
    frames = open_frames(str(where), **options)
    return view_frame(frames, choose_frame(frames, wanted))


@pytest.fixture
def memory(packed):
    """A URL of the packed sequence in an object store."""
    store = fsspec.filesystem("memory")
    for name in (MCAP, MANIFEST):
        store.pipe(f"/bucket/00/{name}", (packed / name).read_bytes())
    yield "memory://bucket/00"
    store.store.clear()


def test_a_file_a_folder_and_archives_give_the_same_frame(folder, packed, memory):
    path = frame_path(folder, "000002")
    expected = quinr_lidar.decode(path.read_bytes())
    places = (path, folder, folder.parent, packed, packed / MCAP, packed.parent, memory)
    for place in places:
        frame = viewed(place, None if place == path else "000002")
        assert np.array_equal(frame.decoded.ranges, expected.ranges), place
        assert (frame.row.frame_id, frame.data_bytes) == ("000002", path.stat().st_size)
        assert frame.promise.max_error == pytest.approx(0.02, abs=1e-6)
        # From the record or the manifest: nothing was measured now.
        assert 0 < frame.largest_error <= 0.02
        assert "max error 0.02 m" in frame.headline


@pytest.mark.parametrize(
    ("wanted", "frame_id"),
    [(None, "000001"), ("000004", "000004"), ("4", "000004"), ("0", "failed")],
)
def test_frames_by_id_or_number(folder, tmp_path, wanted, frame_id):
    frame_path(folder, "000000").unlink()
    write_record(folder, FrameRecord("000000", "failed", error="a torn scan"))
    pack_sequence(folder, tmp_path / "out")
    for place in (folder, tmp_path / "out"):
        frames = open_frames(str(place))
        assert len(frames.rows) == FRAMES
        if frame_id == "failed":
            with pytest.raises(ArchiveError, match="000000 was not archived: a torn scan"):
                choose_frame(frames, wanted)
        else:
            assert choose_frame(frames, wanted).frame_id == frame_id


def test_an_id_goes_before_a_number(folder):
    write_record(folder, FrameRecord("3", "ok"))
    shutil.copy(frame_path(folder, "000005"), frame_path(folder, "3"))
    assert choose_frame(open_frames(str(folder)), "3").frame_id == "3"


def test_frames_that_are_not_there(folder, packed):
    for place in (folder, packed):
        for wanted in ("6", "-1", "²", "../000000"):
            with pytest.raises(ArchiveError, match=r"000000 to 000005, or a number, 0 to 5"):
                choose_frame(open_frames(str(place)), wanted)


def test_nothing_of_a_failed_sequence_can_be_chosen(folder):
    for number in range(FRAMES):
        frame_path(folder, f"{number:06d}").unlink()
    write_record(folder, FrameRecord("000000", "failed", error="why"))
    with pytest.raises(DatasetError, match="nothing to view, expected FILE"):
        open_frames(str(folder))
    pack_sequence(folder, folder.parent / "packed")
    with pytest.raises(ArchiveError, match="none of its 6 frames was archived"):
        choose_frame(open_frames(str(folder.parent / "packed")))


def test_several_sequences(folder, packed, tmp_path):
    shutil.copytree(packed, tmp_path / "many" / "a" / "01")
    shutil.copytree(folder, tmp_path / "many" / "02")
    with pytest.raises(DatasetError, match=r"choose with --sequence: 02, a/01$"):
        open_frames(str(tmp_path / "many"))
    for name in ("a/01", "01", "02"):
        opened = open_frames(str(tmp_path / "many"), name)
        assert opened.name.endswith(name)
    with pytest.raises(DatasetError, match="expected one sequence"):
        open_frames(str(tmp_path / "many"), "03")


def test_what_is_no_archive(tmp_path, packed):
    with pytest.raises(StorageError, match="nowhere: no such file or folder"):
        open_frames(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"nothing to view, expected FILE\.quinr"):
        open_frames(str(tmp_path / "empty"))
    text = tmp_path / "note.quinr"
    text.write_text("no frame")
    with pytest.raises(BitstreamError, match=r"note\.quinr: header at byte 0"):
        viewed(text)
    with pytest.raises(DatasetError, match=r"v1-picture\.quinr: holds a picture"):
        viewed(GOLDEN / "v1-picture.quinr")
    manifest = PackedSequence.open(packed).manifest
    (packed / MANIFEST).write_bytes(pack_manifest(manifest).replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(ArchiveError, match="archive version 2, but this software reads version 1"):
        open_frames(str(packed))


def test_damage_names_the_frame(folder, packed):
    flip(frame_path(folder, "000003"), 60)
    with pytest.raises(BitstreamError, match=r"00: frame 000003: preview at byte"):
        viewed(folder, "3")
    flip(packed / MCAP, 13_000)
    complaints = []
    opened = open_frames(str(packed))
    for row in opened.rows:
        try:
            view_frame(opened, row)
        except ArchiveError as error:
            complaints.append(str(error))
    assert complaints
    assert all(str(packed) in complaint for complaint in complaints)


def test_models_that_the_archive_carries(own_drive, own_model, tmp_path):
    pack_sequence(own_drive, tmp_path / "packed")
    expected = viewed(own_drive).decoded.ranges
    assert np.array_equal(viewed(tmp_path / "packed").decoded.ranges, expected)
    alone = shutil.copy(frame_path(own_drive, "000000"), tmp_path / "alone.quinr")
    with pytest.raises(BitstreamError, match=own_model.name):
        viewed(alone)
    assert np.array_equal(viewed(alone, entropy_models=(own_model,)).decoded.ranges, expected)


def test_errors_are_those_that_were_measured_when_archived(folder, packed, scans):
    for place in (folder, packed):
        frames = open_frames(str(place))
        original = open_originals(scans, None, frames.sequence)
        for row in frames.rows:
            frame = with_scan(view_frame(frames, row), original)
            then = row.figures["largest_error_m"]
            assert frame.largest_error == pytest.approx(then, abs=1e-9)
            assert np.nanmax(frame.errors) == pytest.approx(then, abs=1e-6)
            assert not np.isnan(frame.errors).any()
            assert len(frame.errors) == len(frame.points) == row.figures["pixels_valid"]
            assert frame.psnr == pytest.approx(row.figures["psnr_db"])
            assert frame.scan.same is True
            assert frame.doubt is None


def test_points_where_the_original_has_none(folder, scans, tmp_path):
    points = np.fromfile(scans / "00" / "000000.bin", "<f4").reshape(-1, 4)
    half = tmp_path / "half.bin"
    half.write_bytes(points[points[:, 0] > 0].tobytes())
    frame = viewed(folder)
    frame = with_scan(frame, open_originals(half, None, open_frames(str(folder)).sequence))
    # What lies behind the sensor is not in this scan.
    assert np.array_equal(np.isnan(frame.errors), frame.points[:, 0] < 0)
    assert 0 < np.isnan(frame.errors).mean() < 1


def test_what_files_promise(drive):
    preview = viewed(drive / "previews" / "00")
    assert preview.promise.max_error is None
    assert "no max error, largest error" in preview.headline
    growing = viewed(GOLDEN / "v1-bounded-relative_error.quinr")
    assert 0 < growing.promise.relative_error < 1
    assert " of the range, largest error not known" in growing.headline


def test_another_scan_is_noticed(folder, scans):
    frames = open_frames(str(folder))
    other = open_originals(scans / "00" / "000004.bin", None, frames.sequence)
    frame = with_scan(view_frame(frames, frames.rows[0]), other)
    assert frame.scan.same is False
    assert "000004.bin: not the scan that frame 000000 of" in frame.doubt
    record_path(folder, "000000").unlink()
    unknown = with_scan(viewed(frame_path(folder, "000000")), other)
    assert unknown.scan.same is None
    assert unknown.doubt is None


def test_a_record_of_another_file_says_nothing(folder, scans):
    shutil.copy(frame_path(folder, "000001"), frame_path(folder, "000000"))
    frame = viewed(folder, "0")
    assert frame.row.source_sha256 is None
    assert frame.largest_error is None
    assert "largest error not known" in frame.headline


def test_originals_without_the_frame(folder, scans, tmp_path):
    (tmp_path / "few").mkdir()
    shutil.copy(scans / "00" / "000005.bin", tmp_path / "few")
    shutil.copy(scans / "00" / "000004.bin", tmp_path / "few")
    frames = open_frames(str(folder))
    with pytest.raises(DatasetError, match="no frame '000000'"):
        with_scan(
            view_frame(frames, frames.rows[0]),
            open_originals(tmp_path / "few", None, frames.sequence),
        )
    with pytest.raises(DatasetError, match="no such file or folder"):
        open_originals(tmp_path / "nowhere", None, frames.sequence)
