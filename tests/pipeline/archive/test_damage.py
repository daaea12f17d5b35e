"""Archives that are damaged, made up, or of another time."""

from __future__ import annotations

import json
import random
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archive import layout
from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.manifest import (
    KEY,
    FrameRow,
    Manifest,
    pack_manifest,
    table_of,
    unpack_manifest,
)
from pipeline.archive.reader import PackedSequence
from pipeline.archive.repair import repair_archive
from pipeline.archive.verify import verify_archive
from pipeline.archive.writer import pack_sequence
from pipeline.storage.files import sha256_of
from quinr_lidar.errors import ArchiveError, QuinrError
from tests.support.archived_drive import digests, flip, store


def wrong(archive: Path) -> bool:
    """Whether verify finds anything."""
    try:
        return not verify_archive(archive).ok
    except QuinrError as error:
        assert str(archive) in str(error)  # noqa: PT017
        return True


def test_verify_finds_every_flipped_byte_of_a_frame(packed):
    archive = PackedSequence.open(packed)
    mcap = (packed / MCAP).read_bytes()
    chunk = archive.index.chunks[archive.rows[0].chunk_offset or 0]
    begin = chunk.chunk_start_offset
    for position in range(begin, begin + chunk.chunk_length, 7):
        flip(packed / MCAP, position)
        assert wrong(packed), f"byte {position}"
        (packed / MCAP).write_bytes(mcap)
    assert not wrong(packed)


def test_verify_finds_a_flipped_byte_anywhere(packed):
    for name in (MCAP, MANIFEST):
        whole = (packed / name).read_bytes()
        chosen = random.Random(0).sample(range(len(whole)), 60)
        for position in (*chosen, *range(len(whole) - 40, len(whole))):
            flip(packed / name, position, 0x01)
            if not wrong(packed):
                # Parquet has bytes without meaning: then what it says is unchanged.
                assert name == MANIFEST
                assert unpack_manifest((packed / name).read_bytes(), "") == unpack_manifest(
                    whole, ""
                )
            (packed / name).write_bytes(whole)


def test_verify_finds_flipped_bytes_of_stored_frames(packed, tmp_path):
    """Uncompressed, so that a frame is read without its chunk's checksum."""
    stored = store(packed, tmp_path / "stored")
    row = PackedSequence.open(stored).rows[2]
    begin = (row.chunk_offset or 0) + 9 + 40 + (row.message_offset or 0)
    data = begin + 9 + 22
    # Every byte of the message's head, and every fifth of its file.
    for position in (*range(begin, data), *range(data, data + (row.bytes or 0), 5)):
        flip(stored / MCAP, position)
        # Channel and publish time are nobody's: the checksum of the data has them.
        if not begin + 9 <= position < begin + 11 and not begin + 23 <= position < begin + 31:
            with pytest.raises(ArchiveError, match="frame 000002: manifest and MCAP disagree"):
                PackedSequence.open(stored).read("000002")
        elif not wrong(stored):
            pytest.fail(f"byte {position}")
        flip(stored / MCAP, position)
    assert not wrong(stored)


def test_a_manifest_of_another_mcap_is_found_out(many, packed, tmp_path):
    pack_sequence(many(9), tmp_path / "other")
    shutil.copy(tmp_path / "other" / MANIFEST, packed)
    with pytest.raises(ArchiveError, match=r"is of an MCAP of \d+ bytes, but frames\.mcap has"):
        PackedSequence.open(packed)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"file_sha256": "0" * 64}, "SHA-256"),
        ({"time_ns": 1}, "time"),
        ({"bytes": 7}, "size"),
        ({"message_offset": 0}, "place"),
        ({"chunk_offset": 3}, "no chunk at byte 3"),
        ({"chunk_offset": 1 << 62}, "no chunk at byte"),
        ({"message_offset": 1 << 62}, "manifest and MCAP disagree"),
        ({"frame_id": "else"}, "the manifest's row says otherwise"),
        ({"source_sha256": "0" * 64}, "the manifest's row says otherwise"),
        ({"status": "failed", "error": "x"}, "the manifest has no such frame"),
        ({"figures": {"max_error_m": 0.001}}, "the file promises 0.0199"),
        ({"figures": {"largest_error_m": 0.0}}, "the manifest's row says otherwise"),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_verify_finds_what_manifest_and_mcap_disagree_about(
    packed, tmp_path, change, found, compressed
):
    if not compressed:
        packed = store(packed, tmp_path / "stored")
    manifest = PackedSequence.open(packed).manifest
    rows = list(manifest.rows)
    figures = dict(rows[1].figures) | change.get("figures", {})
    rows[1] = replace(rows[1], **(change | {"figures": figures}))
    (packed / MANIFEST).write_bytes(pack_manifest(replace(manifest, rows=tuple(rows))))
    result = verify_archive(packed)
    lines = [*result.problems, *(frame.error or "" for frame in result.frames)]
    assert not result.ok
    assert any(found in line for line in lines), lines


def row(name: str, number: int = 0, **changes) -> FrameRow:
    values = {"time_ns": 0, "time_assumed": True, "status": "failed"} | changes
    return FrameRow(frame_id=name, number=number, **values)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("a"), row("a", 1)], "frame a: frame_id: it is there twice"),
        ([row("a"), row("b", 2)], "frame b: number: expected 1, got 2"),
        ([row("../a")], "frame_id: expected a plain file name"),
        ([row("a\\b")], "frame_id: expected a plain file name"),
        ([row("a" * 201)], "frame_id: expected a plain file name"),
        ([row("a", time_ns=-1)], "time_ns: expected nanoseconds"),
        ([row("a", status="fine")], "status: expected ok or failed, got 'fine'"),
        ([row("a", status="ok")], "expected its size, checksum and place"),
        ([row("a", status="ok", bytes=-1, file_sha256="", chunk_offset=1)], "expected its size"),
    ],
)
def test_rows_that_cannot_be_are_named(rows, reason):
    data = pack_manifest(Manifest("00", tuple(rows), 0, ""))
    with pytest.raises(ArchiveError, match=f"m.parquet.*{reason}"):
        unpack_manifest(data, "m.parquet")


def test_a_manifest_of_other_columns_is_refused(tmp_path):
    table = table_of([row("a")])
    facts = {"format": 1, "sequence": "00", "mcap_bytes": 1, "mcap_sha256": "", "digest": ""}
    for change, reason in (
        (lambda t: t.drop_columns(["frame_id"]), "column frame_id: expected string"),
        (lambda t: t.set_column(0, "frame_id", t.column("number")), "column frame_id"),
        (lambda t: t.replace_schema_metadata({}), "no format number"),
    ):
        changed = change(table.replace_schema_metadata({KEY: json.dumps(facts).encode()}))
        pq.write_table(changed, tmp_path / "m.parquet")
        with pytest.raises(ArchiveError, match=reason):
            unpack_manifest((tmp_path / "m.parquet").read_bytes(), "m.parquet")


def test_an_archive_of_a_newer_version_is_said_to_be(packed, folder, tmp_path, monkeypatch):
    with monkeypatch.context() as later:
        for module in ("layout", "manifest"):
            later.setattr(f"pipeline.archive.{module}.FORMAT", 2)
        pack_sequence(folder, tmp_path / "later")
    assert layout.FORMAT == 1
    before = digests(tmp_path / "later")
    message = "archive version 2, but this software reads version 1; a newer quinr-lidar may"
    for attempt in (
        lambda: PackedSequence.open(tmp_path / "later"),
        lambda: verify_archive(tmp_path / "later"),
        lambda: repair_archive(tmp_path / "later", tmp_path / "out"),
        lambda: pack_sequence(folder, tmp_path / "later"),
    ):
        with pytest.raises(ArchiveError, match=message):
            attempt()
    shutil.copy(packed / MANIFEST, tmp_path / "later")
    assert digests(tmp_path / "later")[MCAP] == before[MCAP]
    assert not (tmp_path / "out").exists()


def test_what_is_no_archive_is_named(packed, tmp_path):
    for content, reason in (
        (b"", "not an MCAP"),
        (b"hello", "not an MCAP"),
        (b"\x89MCAP0\r\n", "nothing to repair"),
    ):
        (packed / MCAP).write_bytes(content)
        (packed / MANIFEST).unlink(missing_ok=True)
        with pytest.raises(ArchiveError, match=rf"frames\.mcap: {reason}"):
            repair_archive(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _mutations() -> st.SearchStrategy[list[tuple[int, int]]]:
    return st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), min_size=1, max_size=8)


@given(changes=_mutations(), cut=st.integers(0, 1 << 16), which=st.sampled_from([MCAP, MANIFEST]))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damage_never_ends_in_anything_but_our_errors(packed, tmp_path, changes, cut, which):
    damaged, out = tmp_path / "damaged", tmp_path / "out"
    for path in (damaged, out):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(packed, damaged)
    data = bytearray((packed / which).read_bytes())
    if cut % 3 == 0:
        data = data[: cut % len(data)]
    for position, mask in changes:
        if data:
            data[position % len(data)] ^= mask
    (damaged / which).write_bytes(data)
    before = digests(damaged)
    originals = {row.file_sha256 for row in PackedSequence.open(packed).rows}
    try:
        verify_archive(damaged)
    except QuinrError as error:
        assert str(damaged) in str(error)  # noqa: PT017
    try:
        repair_archive(damaged, out)
        mended = PackedSequence.open(out)
        for frame_id in mended.frame_ids:
            assert sha256_of(mended.read(frame_id)) in originals
    except QuinrError as error:
        assert str(damaged) in str(error) or str(out) in str(error)  # noqa: PT017
    assert digests(damaged) == before


@given(data=st.binary(max_size=400))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_bytes_are_no_archive(tmp_path, data):
    (tmp_path / "x").mkdir(exist_ok=True)
    for head in (b"", b"\x89MCAP0\r\n", b"\x89MCAP0\r\n\x06" + struct.pack("<Q", len(data))):
        (tmp_path / "x" / MCAP).write_bytes(head + data)
        with pytest.raises(QuinrError):
            repair_archive(tmp_path / "x", tmp_path / "out")
    with pytest.raises(ArchiveError):
        unpack_manifest(data, "m.parquet")
    with pytest.raises(ArchiveError):
        unpack_manifest(b"PAR1" + data + struct.pack("<I", len(data)) + b"PAR1", "m.parquet")
