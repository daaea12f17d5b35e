"""The manifest: one row a frame, failed ones included, as Parquet."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.archive.layout import FORMAT, check_format, check_frame_id
from pipeline.facts import Fact, facts_of
from pipeline.fidelity import FrameFidelity
from pipeline.sequence.records import FrameFacts
from quinr_lidar.errors import ArchiveError

MAX_ROWS = 1 << 24
"""Half a year of scans; a few bytes of Parquet may claim any number."""

KEY = b"quinr"
"""Key of our entry in the Parquet file's own metadata."""

_KEYS = {"sequence": str, "mcap_bytes": int, "mcap_sha256": str, "digest": str}

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclass(frozen=True)
class FrameRow(FrameFacts):
    """A frame's row: the facts of its record, where it is in the MCAP, and its figures.

    Attributes:
        number: The row's number, from 0, and the message's sequence number.
        time_ns: Nanoseconds of the sensor's clock; the message's log time.
        time_assumed: Whether the data set had no time, so that it is 0.1 s times the number.
        bytes: Size of the compressed file.
        chunk_offset: Where its chunk is in the MCAP.
        message_offset: Where its message is among the chunk's uncompressed records.
        figures: What was measured when the frame was archived, by the names of :data:`FIGURES`;
            missing ones are unknown.
    """

    _: KW_ONLY
    number: int
    time_ns: Annotated[int, Fact("time", tables=("archive",), scale=1e-9)]
    time_assumed: Annotated[bool, Fact(in_notes=True)]
    bytes: Annotated[
        int | None,
        Fact(
            "size",
            "bytes",
            tables=("archive", "report"),
            meaning="Bytes of the frame's .quinr file.",
            better="lower",
        ),
    ] = None
    chunk_offset: int | None = None
    message_offset: int | None = None
    figures: Mapping[str, float | int | bool | None] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the archive holds the frame."""
        return self.status == "ok"

    def as_dict(self) -> dict[str, Any]:
        """Column by column."""
        facts = {name: getattr(self, name) for name in ROW_FACTS}
        return facts | {name: self.figures.get(name) for name in FIGURES}


ROW_FACTS: dict[str, Fact] = {fact.name: fact for fact in facts_of(FrameRow)}
"""Columns that every manifest has."""

FIGURES: dict[str, Fact] = {
    fact.name: fact
    for fact in facts_of(FrameFidelity)
    if fact.name != "encoded_bytes"  # the column "bytes"
}
"""Columns of what was measured when the frame was archived: every figure of a record."""

COLUMNS: dict[str, Fact] = ROW_FACTS | FIGURES

SCHEMA = pa.schema([(fact.name, _ARROW[fact.type]) for fact in COLUMNS.values()])


@dataclass(frozen=True)
class Manifest:
    """All rows, and the MCAP that they are of.

    Attributes:
        sequence: Name of the sequence.
        rows: Rows in the order of their numbers.
        mcap_bytes: Size of the MCAP.
        mcap_sha256: SHA-256 of the MCAP.
    """

    sequence: str
    rows: tuple[FrameRow, ...]
    mcap_bytes: int
    mcap_sha256: str


def pack_manifest(manifest: Manifest) -> bytes:
    """The manifest as a Parquet file; the same manifest gives the same bytes."""
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
        name: Name of the file, for errors.

    Raises:
        ArchiveError: not Parquet, of a newer version, or impossible rows.
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
    """Digest of everything that a manifest says: Parquet leaves most of its bytes unchecked."""
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
    for column in COLUMNS:
        kind = SCHEMA.field(column).type
        position = file.schema_arrow.get_field_index(column)
        # Figures come and go with versions, the other columns do not.
        missing = position < 0 and column in ROW_FACTS
        if missing or (position >= 0 and file.schema_arrow.field(position).type != kind):
            raise ArchiveError(f"{name}: column {column}: expected {kind}")
    return facts


def _row(values: dict[str, Any]) -> FrameRow:
    figures = {name: values[name] for name in FIGURES if values.get(name) is not None}
    return FrameRow(**{name: values[name] for name in ROW_FACTS}, figures=figures)


def check_rows(rows: Sequence[FrameRow], name: str) -> None:
    """Check that rows can be those of an archive.

    Raises:
        ArchiveError: a frame id occurs twice or is no file name, or a row is impossible.
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
