"""The manifest: one row a frame, failed ones included, as Parquet."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.archive.layout import FORMAT, check_format, check_frame_id
from pipeline.fidelity import FrameFidelity
from quinr_lidar.errors import ArchiveError

MAX_ROWS = 1 << 24
"""Half a year of scans; a few bytes of Parquet may claim any number."""

KEY = b"quinr"
"""Of the Parquet file's own metadata."""

_KEYS = {"sequence": str, "mcap_bytes": int, "mcap_sha256": str, "digest": str}

_ARROW = {"int": pa.int64(), "bool": pa.bool_()}

FIGURES: dict[str, pa.DataType] = {
    item.name: _ARROW.get(str(item.type), pa.float64())
    for item in fields(FrameFidelity)
    if item.name != "encoded_bytes"  # the column "bytes"
}
"""Columns of what was measured when the frame was archived: every figure of a record."""

_FACTS: dict[str, pa.DataType] = {
    "frame_id": pa.string(),
    "number": pa.int64(),
    "time_ns": pa.int64(),
    "time_assumed": pa.bool_(),
    "status": pa.string(),
    "error": pa.string(),
    "bytes": pa.int64(),
    "file_sha256": pa.string(),
    "source": pa.string(),
    "source_sha256": pa.string(),
    "profile": pa.string(),
    "software": pa.string(),
    "start": pa.string(),
    "kept": pa.string(),
    "steps": pa.int64(),
    "stop_reason": pa.string(),
    "encode_seconds": pa.float64(),
    "chunk_offset": pa.int64(),
    "message_offset": pa.int64(),
}

SCHEMA = pa.schema(list((_FACTS | FIGURES).items()))


@dataclass(frozen=True)
class FrameRow:
    """A frame's row.

    Attributes:
        frame_id: Of the data set.
        number: The row's, from 0, and the message's sequence number.
        time_ns: Nanoseconds of the sensor's clock; the message's log time.
        time_assumed: Whether the data set had no time, so that it is 0.1 s times the number.
        status: "ok", or "failed": then there is no message.
        error: Why it failed.
        bytes: Of the compressed file, as the next.
        file_sha256: 64 hexadecimal digits.
        source: The scan's path when it was archived.
        source_sha256: Of the scan.
        profile: Digest of the settings.
        software: Version that encoded it.
        start: How its training started, see :class:`~pipeline.sequence.records.FrameRecord`; so
            the next 4.
        kept: Whose parameters it holds.
        steps: Of training.
        stop_reason: Why the training ended.
        encode_seconds: Encoding time.
        chunk_offset: Where its chunk is in the MCAP.
        message_offset: Where its message is among the chunk's uncompressed records.
        figures: Columns of :data:`FIGURES`; missing ones are unknown.
    """

    frame_id: str
    number: int
    time_ns: int
    time_assumed: bool
    status: str
    error: str | None = None
    bytes: int | None = None
    file_sha256: str | None = None
    source: str | None = None
    source_sha256: str | None = None
    profile: str | None = None
    software: str | None = None
    start: str | None = None
    kept: str | None = None
    steps: int | None = None
    stop_reason: str | None = None
    encode_seconds: float | None = None
    chunk_offset: int | None = None
    message_offset: int | None = None
    figures: Mapping[str, float | int | bool | None] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the archive holds the frame."""
        return self.status == "ok"

    def as_dict(self) -> dict[str, Any]:
        """Column by column."""
        facts = {name: getattr(self, name) for name in _FACTS}
        return facts | {name: self.figures.get(name) for name in FIGURES}


@dataclass(frozen=True)
class Manifest:
    """All rows, and the MCAP that they are of.

    Attributes:
        sequence: Its name.
        rows: In the order of their numbers.
        mcap_bytes: Size of the MCAP.
        mcap_sha256: Of the MCAP.
    """

    sequence: str
    rows: tuple[FrameRow, ...]
    mcap_bytes: int
    mcap_sha256: str


def pack_manifest(manifest: Manifest) -> bytes:
    """As a Parquet file; the same manifest gives the same bytes."""
    facts = {
        "format": FORMAT,
        "sequence": manifest.sequence,
        "mcap_bytes": manifest.mcap_bytes,
        "mcap_sha256": manifest.mcap_sha256,
    }
    table = table_of(manifest.rows)
    facts["digest"] = _digest(facts, table.to_pylist())
    table = table.replace_schema_metadata({KEY: json.dumps(facts).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", version="2.6")
    return buffer.getvalue()


def table_of(rows: Iterable[FrameRow]) -> pa.Table:
    """Rows as an Arrow table of :data:`SCHEMA`."""
    return pa.Table.from_pylist([row.as_dict() for row in rows], schema=SCHEMA)


def unpack_manifest(data: bytes, name: str) -> Manifest:
    """Read a manifest.

    Args:
        data: The Parquet file.
        name: Of the file, for errors.

    Raises:
        ArchiveError: not Parquet, of a newer version, or rows that cannot be.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        facts = _read_facts(file, name)
        if file.metadata.num_rows > MAX_ROWS:
            raise ArchiveError(f"{name}: expected at most {MAX_ROWS} rows")
        cells = file.read().to_pylist()
        if facts.pop("digest") != _digest(facts, cells):
            raise ArchiveError(f"{name}: checksum mismatch of its rows, it is damaged")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{name}: not a manifest: {_first_line(error)}") from error
    rows = [_row(values) for values in cells]
    check_rows(rows, name)
    return Manifest(facts["sequence"], tuple(rows), facts["mcap_bytes"], facts["mcap_sha256"])


def _digest(facts: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    """Of everything that a manifest says: Parquet leaves most of its bytes unchecked."""
    said = json.dumps([dict(facts), *rows], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()


def _read_facts(file: pq.ParquetFile, name: str) -> dict[str, Any]:
    try:
        facts = json.loads((file.metadata.metadata or {})[KEY])
        version = facts["format"]
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ArchiveError(f"{name}: not a manifest of an archive: no format number") from error
    check_format(version, name)
    for key, kind in _KEYS.items():
        if not isinstance(facts.get(key), kind):
            raise ArchiveError(f"{name}: {key}: expected {kind.__name__}, got {facts.get(key)!r}")
    for column, kind in _FACTS.items():
        position = file.schema_arrow.get_field_index(column)
        if position < 0 or file.schema_arrow.field(position).type != kind:
            raise ArchiveError(f"{name}: column {column}: expected {kind}")
    for column, kind in FIGURES.items():
        # Figures come and go with versions.
        position = file.schema_arrow.get_field_index(column)
        if position >= 0 and file.schema_arrow.field(position).type != kind:
            raise ArchiveError(f"{name}: column {column}: expected {kind}")
    return facts


def _row(values: dict[str, Any]) -> FrameRow:
    figures = {name: values[name] for name in FIGURES if values.get(name) is not None}
    return FrameRow(**{name: values[name] for name in _FACTS}, figures=figures)


def check_rows(rows: Sequence[FrameRow], name: str) -> None:
    """Whether rows can be those of an archive.

    Raises:
        ArchiveError: a frame id that is twice or no file name, or a row that cannot be.
    """
    seen: set[str] = set()
    for number, row in enumerate(rows):
        frame_id = check_frame_id(row.frame_id, name)
        where = f"{name}: frame {frame_id}"
        if frame_id in seen:
            raise ArchiveError(f"{where}: frame_id: it is there twice")
        seen.add(frame_id)
        if row.number != number:
            raise ArchiveError(f"{where}: number: expected {number}, got {row.number}")
        if row.time_ns is None or not 0 <= row.time_ns < 1 << 63 or row.time_assumed is None:
            raise ArchiveError(f"{where}: time_ns: expected nanoseconds, got {row.time_ns}")
        if row.status not in ("ok", "failed"):
            raise ArchiveError(f"{where}: status: expected ok or failed, got {row.status!r}")
        counts = (row.bytes, row.chunk_offset, row.message_offset)
        if row.ok and (row.file_sha256 is None or any(n is None or n < 0 for n in counts)):
            raise ArchiveError(f"{where}: expected its size, checksum and place in the MCAP")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
