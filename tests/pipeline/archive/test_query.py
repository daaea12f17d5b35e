"""Conditions over manifests, and what they cannot do."""

from __future__ import annotations

import math

import pytest

from pipeline.archive.query import QUERY_COLUMNS, query_manifests
from pipeline.archive.reader import PackedSequence
from pipeline.archive.writer import pack_sequence
from pipeline.sequence.records import FrameRecord
from quinr_lidar.errors import ArchiveError
from tests.support.archived_drive import FRAMES, digests


@pytest.fixture
def manifests(packed, drive, tmp_path):
    """Two archives, one with a failed frame."""
    records = [FrameRecord("7", "failed", error="no such scan", timestamp=3.5)]
    pack_sequence(drive / "previews" / "00", tmp_path / "b", records=records)
    return [(name, PackedSequence.open(path).manifest) for name, path in
            (("a", packed), ("b", tmp_path / "b"))]  # fmt: skip


def test_frames_of_several_archives_are_found(manifests):
    rows = [row for _, manifest in manifests for row in manifest.rows]
    values = sorted(row.figures["psnr_db"] for row in rows if row.ok)
    middle = values[FRAMES // 2]
    assert middle is not None
    found = query_manifests(manifests, f"psnr_db < {middle!r}")
    assert sorted(row["psnr_db"] for row in found) == values[: FRAMES // 2]
    assert found == query_manifests(manifests, f"psnr < {middle!r}")
    assert {row["archive"] for row in found} == {"a"}
    (failed,) = query_manifests(manifests, "status = 'failed' AND time > 3")
    assert (failed["archive"], failed["frame_id"], failed["error"]) == ("b", "7", "no such scan")
    assert query_manifests(manifests, "true", ["frame_id"], limit=2) == [
        {"frame_id": "000000"},
        {"frame_id": "000001"},
    ]
    (best,) = query_manifests(manifests, "psnr = (SELECT max(psnr) FROM frames)", ["psnr_db"])
    assert math.isclose(best["psnr_db"], max(values))


@pytest.mark.parametrize(
    "condition",
    [
        "1=1); DROP TABLE frames; --",
        "true; SELECT 1",
        "true) UNION ALL SELECT * FROM frames --",
        "frame_id IN (SELECT content FROM read_text('/etc/hostname'))",
        "EXISTS (SELECT * FROM read_csv('/etc/passwd'))",
        "EXISTS (SELECT * FROM '/etc/passwd')",
        "EXISTS (SELECT * FROM glob('/*'))",
        "EXISTS (SELECT * FROM read_parquet('{file}'))",
        "EXISTS (SELECT * FROM 'https://example.com/x.parquet')",
        "EXISTS (SELECT * FROM manifests)",
        "EXISTS (SELECT * FROM secret_table)",
        "EXISTS (COPY frames TO '{out}')",
        "COPY frames TO '{out}'",
        "ATTACH '{out}'",
        "SET enable_external_access = true",
        "PRAGMA version",
        "INSTALL httpfs",
        "getenv('HOME') <> ''",
        "",
        ";",
        "no_such_column > 1",
        "psnr_db <",
        "\x00",
    ],
)
def test_a_condition_is_a_condition_and_nothing_else(manifests, packed, tmp_path, condition):
    secret_table = [1]
    before = digests(tmp_path)
    text = condition.format(file=packed / "manifest.parquet", out=tmp_path / "out")
    with pytest.raises(ArchiveError, match="condition"):
        query_manifests(manifests, text)
    assert digests(tmp_path) == before
    assert secret_table


def test_columns_are_names_and_nothing_else(manifests):
    assert set(query_manifests(manifests, "true", QUERY_COLUMNS)[0]) == set(QUERY_COLUMNS)
    for column in ('frame_id" FROM frames; --', "*", "", "psnr"):
        with pytest.raises(ArchiveError, match="expected one of archive"):
            query_manifests(manifests, "true", [column])
