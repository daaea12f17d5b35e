"""The index at the end of an MCAP."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from mcap.opcode import Opcode
from mcap.records import (
    AttachmentIndex,
    ChunkIndex,
    DataEnd,
    Footer,
    MetadataIndex,
    Statistics,
)

from pipeline.archive.mcap.records import FRAME_HEAD, MAGIC, check_magic, parse
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.errors import ArchiveError

_TAIL = 1 << 16
"""Bytes to read at once: the index of a few thousand frames."""
_FOOTER = FRAME_HEAD.size + 20 + len(MAGIC)
_DATA_END = FRAME_HEAD.size + 4


@dataclass(frozen=True)
class Index:
    """An MCAP's summary.

    Attributes:
        start: Where it begins in the file.
        data_crc: CRC-32 of everything before the record that ends the data.
        chunks: Their indexes by their place.
        metadata: Where metadata records are.
        attachments: Where attachments are.
        statistics: Counts.
    """

    start: int
    data_crc: int
    chunks: dict[int, ChunkIndex]
    metadata: tuple[MetadataIndex, ...]
    attachments: tuple[AttachmentIndex, ...]
    statistics: Statistics

    @property
    def data_end(self) -> int:
        """Where the record is that ends the data."""
        return self.start - _DATA_END


def read_index(data: RangedFile) -> Index:
    """The summary of a whole file, in two or three reads; its CRC is checked.

    Raises:
        ArchiveError: not an MCAP, or one that is cut, damaged or without an index.
        StorageError: it cannot be read.
    """
    check_magic(data)
    start = max(0, data.size - _TAIL)
    tail = data.read(start, data.size - start)
    footer = _read_footer(tail, data)
    if not len(MAGIC) + _DATA_END <= footer.summary_start <= data.size - _FOOTER:
        raise ArchiveError(f"{data.name}: footer: no index at byte {footer.summary_start}")
    wanted = footer.summary_start - _DATA_END
    if wanted < start:
        tail, start = data.read(wanted, data.size - wanted), wanted
    summary = tail[wanted - start :]
    # The CRC covers the summary and the footer up to itself.
    if zlib.crc32(summary[_DATA_END : -len(MAGIC) - 4]) != footer.summary_crc:
        raise ArchiveError(f"{data.name}: index: checksum mismatch, it is damaged")
    opcode, length = FRAME_HEAD.unpack_from(summary)
    if (opcode, length) != (Opcode.DATA_END, 4):
        raise ArchiveError(f"{data.name}: byte {wanted}: expected the end of the data")
    end = parse(
        DataEnd.read, summary[FRAME_HEAD.size : _DATA_END], "end of data", wanted, data.name
    )
    return _parse_summary(
        summary[_DATA_END:-_FOOTER], footer.summary_start, end.data_section_crc, data.name
    )


def _read_footer(tail: bytes, data: RangedFile) -> Footer:
    footer = tail[-_FOOTER:]
    damaged = len(footer) < _FOOTER or footer[-len(MAGIC) :] != MAGIC
    if damaged or FRAME_HEAD.unpack_from(footer) != (Opcode.FOOTER, 20):
        raise ArchiveError(
            f"{data.name}: footer: missing, the file is cut or damaged; `quinr archive repair` "
            "rebuilds what there is"
        )
    body = footer[FRAME_HEAD.size : -len(MAGIC)]
    return parse(Footer.read, body, "footer", data.size - _FOOTER, data.name)


def _parse_summary(summary: bytes, start: int, data_crc: int, name: str) -> Index:
    chunks: dict[int, ChunkIndex] = {}
    metadata: list[MetadataIndex] = []
    attachments: list[AttachmentIndex] = []
    statistics: Statistics | None = None
    offset = 0
    while offset + FRAME_HEAD.size <= len(summary):
        opcode, length = FRAME_HEAD.unpack_from(summary, offset)
        body = summary[offset + FRAME_HEAD.size : offset + FRAME_HEAD.size + length]
        if len(body) < length:
            raise ArchiveError(f"{name}: index at byte {start + offset}: a record is cut")
        place = (start + offset, name)
        if opcode == Opcode.CHUNK_INDEX:
            chunk = parse(ChunkIndex.read, body, "chunk index", *place)
            chunks[chunk.chunk_start_offset] = chunk
        elif opcode == Opcode.METADATA_INDEX:
            metadata.append(parse(MetadataIndex.read, body, "metadata index", *place))
        elif opcode == Opcode.ATTACHMENT_INDEX:
            attachments.append(parse(AttachmentIndex.read, body, "attachment index", *place))
        elif opcode == Opcode.STATISTICS:
            statistics = parse(Statistics.read, body, "statistics", *place)
        offset += FRAME_HEAD.size + length
    if statistics is None or offset != len(summary):
        raise ArchiveError(f"{name}: index at byte {start}: expected whole records and statistics")
    return Index(start, data_crc, chunks, tuple(metadata), tuple(attachments), statistics)
