"""Archives made anew from what a cut or damage left of them."""

from __future__ import annotations

import random
import shutil
import struct
from dataclasses import replace

import pytest
import zstandard
from mcap.reader import SeekingReader
from mcap.writer import Writer

from pipeline.archive.layout import CHUNK_FRAMES, MANIFEST, MCAP
from pipeline.archive.mcap.chunks import MAX_CHUNK, salvage_chunk
from pipeline.archive.mcap.records import McapRecord
from pipeline.archive.reader import PackedSequence
from pipeline.archive.repair import repair_archive
from pipeline.archive.verify import verify_archive
from pipeline.archive.writer import pack_sequence
from pipeline.sequence.records import frame_path
from quinr_lidar.errors import ArchiveError
from tests.support.archived_drive import FRAMES, digests, flip, record_places, store

LONG = 3 * CHUNK_FRAMES + 5


@pytest.mark.parametrize("compressed", [True, False])
def test_a_cut_loses_at_most_the_frames_of_its_chunk(many, tmp_path, compressed):
    packed = tmp_path / "packed"
    pack_sequence(many(LONG), packed)
    if not compressed:
        packed = store(packed, tmp_path / "stored")
    whole = (packed / MCAP).read_bytes()
    archive = PackedSequence.open(packed)
    chunks = sorted(archive.index.chunks.values(), key=lambda chunk: chunk.chunk_start_offset)
    first = chunks[0].chunk_start_offset
    generator = random.Random(1)
    cuts = [generator.randrange(first, len(whole)) for _ in range(5)]
    for number, cut in enumerate([*cuts, first, len(whole) - 1]):
        broken, out = tmp_path / f"broken{number}", tmp_path / f"mended{number}"
        broken.mkdir()
        (broken / MCAP).write_bytes(whole[:cut])
        before = digests(broken)
        done = repair_archive(broken, out)
        assert digests(broken) == before
        ends = [chunk.chunk_start_offset + chunk.chunk_length for chunk in chunks]
        complete = sum(end <= cut for end in ends)
        assert done.frames >= min(LONG, complete * CHUNK_FRAMES), f"cut at {cut}"
        assert done.frames + len(done.lost) + done.unknown == LONG
        mended = PackedSequence.open(out)
        for frame_id in mended.frame_ids:
            assert mended.read(frame_id) == archive.read(frame_id)
        assert verify_archive(out).ok
        with (out / MCAP).open("rb") as stream:
            count = len(list(SeekingReader(stream, validate_crcs=True).iter_messages()))
        assert count == done.frames


def test_a_cut_at_every_record_and_inside_is_repaired_or_refused(packed, tmp_path):
    whole = (packed / MCAP).read_bytes()
    archive = PackedSequence.open(packed)
    places = record_places(packed / MCAP)
    cuts = {cut for begin, end in places for cut in (begin, begin + 5, begin + 9, end - 1)}
    for cut in sorted(cuts | {0, 1, 8, len(whole) - 8, len(whole) - 1}):
        broken = tmp_path / f"cut{cut}"
        broken.mkdir()
        (broken / MCAP).write_bytes(whole[:cut])
        shutil.copy(packed / MANIFEST, broken)
        with pytest.raises(ArchiveError, match="is cut, or was replaced"):
            PackedSequence.open(broken)
        try:
            done = repair_archive(broken, tmp_path / f"mended{cut}")
        except ArchiveError as error:
            assert cut < 8
            assert "not an MCAP" in str(error)  # noqa: PT017
            continue
        assert done.frames + len(done.lost) == FRAMES, "the manifest knows the others"
        mended = PackedSequence.open(tmp_path / f"mended{cut}")
        for frame_id in mended.frame_ids:
            assert mended.row(frame_id).figures == archive.row(frame_id).figures
        assert {row.error for row in mended.rows} <= {
            None,
            "lost: its message is cut off or damaged",
        }
        assert verify_archive(tmp_path / f"mended{cut}").ok


def test_an_intact_archive_is_repaired_to_itself(packed, tmp_path):
    done = repair_archive(packed, tmp_path / "again")
    assert (done.frames, done.lost, done.unknown, done.damage) == (FRAMES, (), 0, ())
    assert digests(tmp_path / "again") == digests(packed)
    assert not repair_archive(packed).written


def test_a_lost_manifest_is_made_again_with_its_figures(packed):
    before = PackedSequence.open(packed).rows
    mcap = (packed / MCAP).read_bytes()
    (packed / MANIFEST).unlink()
    with pytest.raises(ArchiveError, match=r"manifest\.parquet: .*`quinr archive repair`"):
        PackedSequence.open(packed)
    repair_archive(packed)
    assert (packed / MCAP).read_bytes() == mcap
    for old, new in zip(before, PackedSequence.open(packed).rows, strict=True):
        for name in ("psnr_db", "chamfer_m", "largest_error_m", "max_error_m", "bpp", "ratio_raw"):
            assert new.figures[name] == old.figures[name], name
        assert new.source_sha256 == old.source_sha256
        assert replace(new, figures={}) == replace(
            old, figures={}, encode_seconds=None, source=None, start=None, kept=None, steps=None,
            stop_reason=None,
        )  # fmt: skip
    assert verify_archive(packed).ok


def test_damage_in_one_chunk_costs_no_other(many, tmp_path):
    pack_sequence(many(LONG), tmp_path / "packed")
    archive = PackedSequence.open(tmp_path / "packed")
    second = sorted(archive.index.chunks)[1]
    # The length of its record: nothing behind it is found but through the index.
    flip(tmp_path / "packed" / MCAP, second + 4, 0xFF)
    done = repair_archive(tmp_path / "packed", tmp_path / "mended")
    assert done.frames == LONG - CHUNK_FRAMES
    assert done.lost == tuple(f"{n:06d}" for n in range(CHUNK_FRAMES, 2 * CHUNK_FRAMES))
    assert done.damage
    assert verify_archive(tmp_path / "mended").ok


def test_a_damaged_frame_is_lost_alone(packed, tmp_path):
    stored = store(packed, tmp_path / "stored")
    row = PackedSequence.open(stored).rows[2]
    flip(stored / MCAP, (row.chunk_offset or 0) + 49 + (row.message_offset or 0) + 9 + 22 + 60)
    (stored / MANIFEST).unlink()
    done = repair_archive(stored, tmp_path / "mended")
    assert done.lost == ("000002",)
    assert done.frames == FRAMES - 1


def test_a_frame_whose_note_is_lost_is_kept_under_another_name(packed, tmp_path):
    places = record_places(packed / MCAP)
    notes = [begin for begin, _ in places if (packed / MCAP).read_bytes()[begin] == 0x0C][1]
    flip(packed / MCAP, notes + 9 + 4 + 12 + 4 + 4)
    (packed / MANIFEST).unlink()
    done = repair_archive(packed, tmp_path / "mended")
    assert done.frames == FRAMES
    mended = PackedSequence.open(tmp_path / "mended")
    assert mended.frame_ids[2] == "unnamed-000002"
    assert mended.decode("unnamed-000002").valid.any()


def test_repair_does_not_take_the_place_of_another_archive(many, packed, tmp_path):
    other = tmp_path / "other"
    pack_sequence(many(9), other)
    before = digests(other)
    with pytest.raises(ArchiveError, match="frames that the new one lacks"):
        repair_archive(packed, other)
    assert digests(other) == before


def test_another_softwares_mcap_is_no_archive(packed, tmp_path):
    with (packed / MCAP).open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        channel = writer.register_channel("/x", "json", 0)
        writer.add_message(channel, 0, b"{}", 0)
        writer.finish()
    (packed / MANIFEST).unlink()
    with pytest.raises(ArchiveError, match="nothing to repair: no frame of an archive"):
        repair_archive(packed, tmp_path / "out")


def test_a_chunk_that_unpacks_to_gigabytes_is_cut_short(packed, tmp_path):
    places = record_places(packed / MCAP)
    whole = (packed / MCAP).read_bytes()
    begin = next(b for b, _ in places if whole[b] == 0x06)
    bomb = zstandard.compress(bytes(1 << 29))
    body = struct.pack("<QQQII4sQ", 0, 1, 1 << 62, 0, 4, b"zstd", len(bomb)) + bomb
    record = McapRecord(begin, 0x06, body, len(body))
    assert len(salvage_chunk(record, "x")) <= MAX_CHUNK + 1
    data = whole[:begin] + b"\x06" + struct.pack("<Q", len(body)) + body
    (packed / MCAP).write_bytes(data)
    assert repair_archive(packed, tmp_path / "out").frames == 0


def test_originals_survive_everything(folder, packed):
    before = digests(folder)
    for cut in (100, 5000, 17000):
        (packed / MCAP).write_bytes((packed / MCAP).read_bytes()[:cut])
        repair_archive(packed)
    assert digests(folder) == before
    assert frame_path(folder, "000000").is_file()
