"""Packing and reading back."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import NonSeekingReader, SeekingReader

import quinr_lidar
from pipeline.archive.layout import CHUNK_FRAMES, MANIFEST, MCAP
from pipeline.archive.overview import details_of, summary_of
from pipeline.archive.reader import PackedSequence
from pipeline.archive.verify import verify_archive
from pipeline.archive.writer import pack_sequence
from pipeline.sequence.records import FrameRecord, frame_path, read_record, write_record
from pipeline.storage.files import sha256_of
from pipeline.storage.locations import Location
from quinr_lidar.entropy.models import unpack_model
from quinr_lidar.errors import ArchiveError
from tests.support.archived_drive import FRAMES, digests, flip


def test_every_frame_comes_back_as_it_was(folder, packed):
    archive = PackedSequence.open(packed)
    assert archive.frame_ids == tuple(f"{index:06d}" for index in range(FRAMES))
    for row, data in archive.frames():
        original = frame_path(folder, row.frame_id).read_bytes()
        assert data == original == archive.read(row.frame_id)
        image = archive.decode(row.frame_id)
        assert np.array_equal(image.ranges, quinr_lidar.decode(original).ranges)


def test_the_manifest_holds_what_the_records_hold(folder, packed):
    for row in PackedSequence.open(packed).rows:
        record = read_record(folder, row.frame_id)
        assert record is not None
        values = dict(record.fidelity or {})
        assert row.bytes == values.pop("encoded_bytes")
        assert dict(row.figures) == {
            key: value for key, value in values.items() if value is not None
        }
        assert (row.file_sha256, row.source_sha256) == (record.file_sha256, record.source_sha256)
        assert (row.encode_seconds, row.settings) == (record.encode_seconds, record.settings)


def test_the_mcap_librarys_own_reader_finds_a_valid_indexed_file(folder, packed):
    with (packed / MCAP).open("rb") as stream:
        reader = SeekingReader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == FRAMES
        assert len(summary.chunk_indexes) == summary.statistics.chunk_count == 1
        messages = list(reader.iter_messages())
        assert [message.sequence for _, _, message in messages] == list(range(FRAMES))
        assert [message.log_time for *_, message in messages] == [n * 10**8 for n in range(FRAMES)]
        for number, (schema, channel, message) in enumerate(messages):
            assert schema is not None
            assert (schema.name, channel.message_encoding) == ("quinr.Frame", "quinr")
            assert message.data == frame_path(folder, f"{number:06d}").read_bytes()
        metadata = {record.name: record.metadata for record in reader.iter_metadata()}
        (attachment,) = reader.iter_attachments()
    with (packed / MCAP).open("rb") as stream:
        # Reads everything in order, and checks the CRC of all data.
        assert len(list(NonSeekingReader(stream, validate_crcs=True).iter_messages())) == FRAMES
    assert metadata["quinr"]["format"] == "1"
    assert metadata["quinr"]["software"] == quinr_lidar.__version__
    (settings,) = json.loads(metadata["quinr"]["profiles"]).values()
    assert (settings["max_error"], settings["steps"]) == (0.02, 3)
    assert json.loads(metadata["quinr"]["projection"])["height"] == 8
    entropy_model = unpack_model(attachment.data)
    assert json.loads(metadata["quinr"]["entropy_models"]) == [entropy_model.name]
    assert settings["entropy_model"] == entropy_model.name


def test_frames_of_an_own_model_decode_from_the_archive_alone(own_drive, own_model, tmp_path):
    pack_sequence(own_drive, tmp_path / "packed")
    archive = PackedSequence.open(tmp_path / "packed")
    assert [entropy_model.name for entropy_model in archive.entropy_models] == [own_model.name]
    assert archive.decode("000000").valid.any()
    assert verify_archive(tmp_path / "packed").ok


def test_an_entropy_model_that_is_nowhere_fails_its_frames(own_drive, tmp_path):
    folder = shutil.copytree(own_drive, tmp_path / "00")
    for entropy_model in folder.glob("*.qmodel"):
        entropy_model.unlink()
    packed = pack_sequence(folder)
    assert (packed.frames, packed.failed) == (FRAMES, FRAMES)
    row = PackedSequence.open(folder).rows[0]
    assert "is not at hand" in (row.error or "")


def test_the_same_records_give_the_same_bytes(folder, tmp_path, monkeypatch):
    pack_sequence(folder, tmp_path / "a")
    monkeypatch.setenv("HOSTNAME", "another")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    pack_sequence(folder, tmp_path / "b")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert sorted(digests(tmp_path / "a")) == [MCAP, MANIFEST]


def test_the_mcap_knows_nothing_of_how_long_encoding_took(folder, tmp_path):
    pack_sequence(folder, tmp_path / "a")
    record = read_record(folder, "000003")
    assert record is not None
    write_record(folder, replace(record, encode_seconds=99.0, source="/elsewhere/000003.bin"))
    pack_sequence(folder, tmp_path / "b")
    a, b = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert a[MCAP] == b[MCAP]
    assert a[MANIFEST] != b[MANIFEST]


def test_packing_again_writes_nothing(folder, packed):
    before = digests(packed)
    stamps = [path.stat().st_mtime_ns for path in sorted(packed.iterdir())]
    assert not pack_sequence(folder, packed).written
    assert digests(packed) == before
    assert stamps == [path.stat().st_mtime_ns for path in sorted(packed.iterdir())]


@pytest.mark.parametrize("count", [7, 200])
def test_one_frame_takes_the_same_few_reads_of_any_archive(many, tmp_path, monkeypatch, count):
    pack_sequence(many(count), tmp_path / "packed")
    reads = []
    read_range, read = Location.read_range, Location.read
    monkeypatch.setattr(Location, "read_range", lambda *a: reads.append(a[2]) or read_range(*a))
    monkeypatch.setattr(Location, "read", lambda *a: reads.append(None) or read(*a))
    archive = PackedSequence.open(tmp_path / "packed")
    assert reads == [None], "the manifest"
    data = archive.read(f"{count - 1:06d}")
    # The magic, the index at the end of a file (which small files are), the frame or its chunk.
    assert len(reads) <= 4
    assert archive.row(f"{count - 1:06d}").file_sha256 == sha256_of(data)
    before = len(reads)
    archive.read("000001")
    assert len(reads) <= before + 1


def test_chunks_are_compressed_only_where_that_is_smaller(many, packed, tmp_path):
    def kinds(path: Path) -> set[str]:
        index = PackedSequence.open(path).index
        return {chunk.compression for chunk in index.chunks.values()}

    repeated = tmp_path / "repeated"
    pack_sequence(many(100), repeated)
    assert kinds(repeated) == {"zstd"}
    with (packed / MCAP).open("rb") as stream:
        assert len(list(SeekingReader(stream).iter_messages())) == FRAMES


def test_frames_without_repetition_are_stored(tmp_path, folder):
    """Random parameters and no figures: nothing to compress but a few heads of messages."""
    records = []
    for index in range(CHUNK_FRAMES + 1):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(4000, 3))
        image = quinr_lidar.SphericalProjection(32, 256).project(points)
        data = _bounded(image, index)
        path = frame_path(tmp_path / "00", f"{index:06d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        records.append(FrameRecord(path.stem, "ok", file_sha256=sha256_of(data)))
    pack_sequence(tmp_path / "00", tmp_path / "packed", records=records)
    archive = PackedSequence.open(tmp_path / "packed")
    assert [chunk.compression for chunk in archive.index.chunks.values()] == ["", ""]
    assert all(archive.read(row.frame_id) == data for row, data in archive.frames())
    assert verify_archive(tmp_path / "packed").ok


def _bounded(image: quinr_lidar.RangeImage, seed: int) -> bytes:
    small = {"qubits": 2, "features": 4, "blocks": 1, "steps": 1, "batch_size": 64}
    return quinr_lidar.encode(image, "bounded", seed=seed, refit_groups=1, max_error=0.001, **small)


def test_what_is_not_in_order_is_a_failed_row(folder, tmp_path):
    flip(frame_path(folder, "000001"), 40)
    frame_path(folder, "000002").unlink()
    (folder / "records" / "000003.json").unlink()
    write_record(folder, FrameRecord("000004", "failed", error="no such scan"))
    packed = pack_sequence(folder, tmp_path / "packed")
    assert (packed.frames, packed.failed) == (FRAMES, 4)
    archive = PackedSequence.open(tmp_path / "packed")
    assert archive.frame_ids == ("000000", "000005")
    errors = [row.error or "" for row in archive.rows]
    assert "does not fit its record" in errors[1]
    assert "No such file" in errors[2]
    assert "was not finished" in errors[3]
    assert errors[4] == "no such scan"
    with pytest.raises(ArchiveError, match="frame 000004 was not archived: no such scan"):
        archive.read("000004")
    with pytest.raises(ArchiveError, match="no frame '7'; there are 6: 000000 to 000005"):
        archive.read("7")
    found = verify_archive(tmp_path / "packed")
    assert found.ok
    assert len(found.not_archived) == 4


def test_a_sequence_of_failures_is_an_archive(folder, tmp_path):
    records = [FrameRecord(f"{n}", "failed", error="bad") for n in range(40)]
    pack_sequence(folder, tmp_path / "packed", records=records)
    archive = PackedSequence.open(tmp_path / "packed")
    assert archive.frame_ids == ()
    assert summary_of(archive)["failed"] == 40
    assert verify_archive(tmp_path / "packed").ok


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["000000", "000000"], "frame 000000: it is there twice"),
        (["../000000"], "frame_id: expected a plain file name"),
        ([".hidden"], "frame_id: expected a plain file name"),
        ([], "no archived frames"),
    ],
)
def test_frame_ids_are_plain_names_and_once(folder, tmp_path, names, reason):
    records = [FrameRecord(name, "failed", error="bad") for name in names]
    with pytest.raises(ArchiveError, match=reason):
        pack_sequence(folder, tmp_path / "packed", records=records)
    assert not (tmp_path / "packed").exists()


def test_clock_jumps_are_kept_and_counted(folder, tmp_path):
    times = [5.0, 6.0, 2.0, 2.0, None, float("nan")]
    records = [read_record(folder, f"{n:06d}") for n in range(FRAMES)]
    changed = [replace(r, timestamp=t) for r, t in zip(records, times, strict=True) if r]
    pack_sequence(folder, tmp_path / "packed", records=changed)
    archive = PackedSequence.open(tmp_path / "packed")
    assert [row.time_ns / 1e9 for row in archive.rows] == [5, 6, 2, 2, 0.4, 0.5]
    details = details_of(archive)
    assert (details["clock_jumps"], details["assumed_times"]) == (3, 2)
    assert verify_archive(tmp_path / "packed").ok
    with (tmp_path / "packed" / MCAP).open("rb") as stream:
        assert len(list(SeekingReader(stream).iter_messages())) == FRAMES


def test_an_archive_is_replaced_only_if_nothing_of_it_is_lost(many, tmp_path):
    out = tmp_path / "packed"
    pack_sequence(many(8), out)
    assert pack_sequence(many(9), out).written, "a sequence that grew"
    before = digests(out)
    frame_path(many(9), "000004").unlink()
    with pytest.raises(ArchiveError, match=r"packed: .* 1 frames that the new one lacks .* 000004"):
        pack_sequence(many(9), out)
    assert digests(out) == before
    assert pack_sequence(many(9), out, overwrite=True).written
    assert "000004" not in PackedSequence.open(out).frame_ids


def test_an_archive_that_cannot_be_read_is_not_replaced(folder, packed):
    (packed / MCAP).write_bytes((packed / MCAP).read_bytes()[:-1])
    before = digests(packed)
    with pytest.raises(ArchiveError, match="an archive is there that cannot be read"):
        pack_sequence(folder, packed)
    assert digests(packed) == before


def test_packing_goes_on_after_a_crash_between_both_files(folder, packed):
    whole = digests(packed)
    (packed / MANIFEST).unlink()
    assert pack_sequence(folder, packed).written
    assert digests(packed) == whole


def test_a_file_that_changes_while_it_is_packed_is_refused(folder, tmp_path, monkeypatch):
    from pipeline.archive import plan

    reads: list[Path] = []
    read = plan.read_bytes

    def changing(path: Path) -> bytes:
        reads.append(path)
        return read(path) + (b"!" if reads.count(path) > 1 else b"")

    monkeypatch.setattr(plan, "read_bytes", changing)
    with pytest.raises(ArchiveError, match=r"000000\.quinr: changed while it was packed"):
        pack_sequence(folder, tmp_path / "packed")
    assert not any((tmp_path / "packed").iterdir())


_names = st.text("abcXYZ019_-é ", min_size=1, max_size=8)
_figures = st.fixed_dictionaries(
    {
        "psnr_db": st.none() | st.floats(0, 200),
        "largest_error_m": st.floats(0, 1e3),
        "points": st.integers(0, 1 << 40),
        "mask_exact": st.booleans(),
        "a_figure_of_later_versions": st.just(1.0),
    }
)
_records = st.lists(
    st.tuples(_names, st.none() | st.floats(0, 4e9), _figures, st.integers(-1, FRAMES - 1)),
    min_size=1,
    max_size=80,
    unique_by=lambda item: item[0],
)


@given(drawn=_records)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_records_come_back(drive, drawn):
    with tempfile.TemporaryDirectory() as name:
        folder, records, payloads = Path(name) / "00", [], []
        for frame_id, time, figures, which in drawn:
            error = None if which >= 0 else "bad"
            data = b""
            if which >= 0:
                data = frame_path(drive / "previews" / "00", f"{which:06d}").read_bytes()
                path = frame_path(folder, frame_id)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            payloads.append(data)
            records.append(
                FrameRecord(
                    frame_id,
                    "failed" if error else "ok",
                    error=error,
                    file_sha256=sha256_of(data),
                    timestamp=time,
                    fidelity=figures,
                )
            )
        pack_sequence(folder, Path(name) / "packed", records=records)
        archive = PackedSequence.open(Path(name) / "packed")
        for row, record, data in zip(archive.rows, records, payloads, strict=True):
            assert (row.frame_id, row.ok) == (record.frame_id, record.status == "ok")
            known = dict(record.fidelity or {})
            del known["a_figure_of_later_versions"]
            assert dict(row.figures) == {k: v for k, v in known.items() if v is not None}
            if record.timestamp is not None:
                assert abs(row.time_ns - record.timestamp * 1e9) <= 0.5 * (1 + row.time_ns * 2**-52)
            if row.ok:
                assert archive.read(row.frame_id) == data
        assert [data for _, data in archive.frames()] == [data for data in payloads if data]
        assert not verify_archive(Path(name) / "packed").problems
