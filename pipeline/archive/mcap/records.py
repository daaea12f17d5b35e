"""Records of an MCAP by their place in the file; every byte may be hostile.

The ``mcap`` library writes and parses records. Framing is read here, since the library takes cut
records for whole ones and trusts sizes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Attachment, Metadata

from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.errors import ArchiveError

MAGIC = b"\x89MCAP0\r\n"
FRAME_HEAD = struct.Struct("<BQ")
"""Opcode and length before every record."""

MAX_RECORD = 1 << 28
"""Bytes; far above what :data:`~pipeline.archive.layout.CHUNK_BYTES` gives."""

T = TypeVar("T")


@dataclass(frozen=True)
class McapRecord:
    """A record of the file.

    Attributes:
        offset: Where its opcode is.
        opcode: Kind.
        body: All bytes behind its length, or what there is of them.
        length: How many there should be.
    """

    offset: int
    opcode: int
    body: bytes
    length: int

    @property
    def complete(self) -> bool:
        """Whether nothing is cut off."""
        return len(self.body) == self.length

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + FRAME_HEAD.size + self.length


def parse(read: Callable[[ReadDataStream], T], body: bytes, what: str, offset: int, name: str) -> T:
    """A record from its body.

    Args:
        read: Function of the library, for instance ``Chunk.read``.
        body: Bytes of the record behind its length.
        what: Kind of the record, for errors.
        offset: Place of the record, for errors.
        name: Name of the file, for errors.

    Raises:
        ArchiveError: it is no such record.
    """
    try:
        return read(ReadDataStream(io.BytesIO(body)))
    except (McapError, struct.error, ValueError, OverflowError) as error:
        reason = str(error) or "it ends too early"
        raise ArchiveError(f"{name}: {what} at byte {offset}: {reason}") from error


def read_record(data: RangedFile, offset: int) -> McapRecord:
    """The record at a place.

    Raises:
        ArchiveError: there is no opcode and length of one, or it is too large.
        StorageError: the file cannot be read.
    """
    head = data.read(offset, FRAME_HEAD.size)
    if len(head) < FRAME_HEAD.size:
        raise ArchiveError(f"{data.name}: record at byte {offset}: the file ends in it")
    opcode, length = FRAME_HEAD.unpack(head)
    if length > MAX_RECORD:
        raise ArchiveError(
            f"{data.name}: record at byte {offset}: expected at most {MAX_RECORD} bytes, "
            f"got {length}"
        )
    return McapRecord(offset, opcode, data.read(offset + FRAME_HEAD.size, length), length)


def check_magic(data: RangedFile) -> None:
    """Whether a file begins like an MCAP.

    Raises:
        ArchiveError: it does not.
        StorageError: it cannot be read.
    """
    if data.read(0, len(MAGIC)) != MAGIC:
        raise ArchiveError(f"{data.name}: not an MCAP (it does not start with its magic bytes)")


def records_of(data: RangedFile, end: int) -> Iterator[McapRecord]:
    """All records from the file's start to a place.

    Raises:
        ArchiveError: one of them is cut, or reaches beyond the place.
        StorageError: the file cannot be read.
    """
    check_magic(data)
    offset = len(MAGIC)
    while offset < end:
        record = read_record(data, offset)
        if not record.complete or record.end > end:
            raise ArchiveError(
                f"{data.name}: record at byte {offset}: it should end before byte {end}"
            )
        yield record
        offset = record.end


def read_metadata(record: McapRecord, name: str) -> Metadata:
    """A metadata record.

    Raises:
        ArchiveError: it is no such record.
    """
    expect_whole(record, Opcode.METADATA, "metadata", name)
    return parse(Metadata.read, record.body, "metadata", record.offset, name)


def read_attachment(record: McapRecord, name: str) -> Attachment:
    """An attachment; its checksum is checked, which the library leaves out.

    Raises:
        ArchiveError: it is none, or damaged.
    """
    expect_whole(record, Opcode.ATTACHMENT, "attachment", name)
    attachment = parse(Attachment.read, record.body, "attachment", record.offset, name)
    if zlib.crc32(record.body[:-4]) != int.from_bytes(record.body[-4:], "little"):
        raise ArchiveError(f"{name}: attachment at byte {record.offset}: checksum mismatch")
    return attachment


def expect_whole(record: McapRecord, opcode: Opcode, what: str, name: str) -> None:
    """Whether a record is what it should be.

    Raises:
        ArchiveError: it is of another kind, or cut.
    """
    if record.opcode != opcode or not record.complete:
        raise ArchiveError(f"{name}: byte {record.offset}: expected a whole {what} record")
