"""What is really in an MCAP, without trusting its index: intact, cut or damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mcap.opcode import Opcode
from mcap.records import Message, Metadata

from pipeline.archive.frame_notes import unpack_notes
from pipeline.archive.layout import (
    DESCRIPTION,
    MODEL_MEDIA_TYPE,
    NOTES,
    Description,
    NewerArchiveError,
    parse_description,
)
from pipeline.archive.manifest import FrameRow
from pipeline.archive.mcap.chunks import messages_of, open_chunk, salvage_chunk
from pipeline.archive.mcap.records import (
    MAGIC,
    McapRecord,
    check_magic,
    read_attachment,
    read_metadata,
    read_record,
)
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.entropy.models import EntropyModel, unpack_model
from quinr_lidar.errors import ArchiveError, BitstreamError


@dataclass(frozen=True)
class Damage:
    """Something that could not be read, in one line."""

    reason: str


@dataclass(frozen=True)
class Notes:
    """Rows of the frames to come."""

    rows: list[FrameRow]


@dataclass(frozen=True)
class Placed:
    """A frame's message.

    Attributes:
        message: With its file.
        chunk_offset: Where its chunk is.
        message_offset: Where it is in the chunk.
        vouched: Whether the chunk's checksum is right, so that the message is intact.
    """

    message: Message
    chunk_offset: int
    message_offset: int
    vouched: bool


Found = Description | EntropyModel | Notes | Placed | Damage


def scan(data: RangedFile, resume_at: Sequence[int] = ()) -> Iterator[Found]:
    """Everything of an archive in an MCAP, in the order of the file.

    Args:
        data: The file.
        resume_at: Places of chunks, where to continue after a record with a bad length.

    Yields:
        What was found, and what could not be read. A missing summary is no damage.

    Raises:
        ArchiveError: not an MCAP, or of a newer version of the archive.
        StorageError: it cannot be read.
    """
    check_magic(data)
    offset: int | None = len(MAGIC)
    while offset is not None and offset < data.size:
        try:
            record = read_record(data, offset)
            known = record.opcode in _KINDS
        except ArchiveError as error:
            yield Damage(str(error))
            record, known = None, False
        if record is not None and record.opcode in (Opcode.DATA_END, Opcode.FOOTER):
            return
        if record is None or not (known and record.complete):
            if record is not None:
                what = "is cut" if known else f"is of no known kind ({record.opcode})"
                yield Damage(f"{data.name}: record at byte {offset} {what}")
                yield from _contents(record, data.name)
            offset = min((place for place in resume_at if place > offset), default=None)
            continue
        yield from _contents(record, data.name)
        offset = record.end


_KINDS = frozenset(Opcode) - {Opcode.DATA_END, Opcode.FOOTER}


def _contents(record: McapRecord, name: str) -> Iterator[Found]:
    """What a record holds.

    Raises:
        NewerArchiveError: the archive is of a newer version, which is no damage.
    """
    try:
        if record.opcode == Opcode.CHUNK:
            yield from _messages(record, name)
        elif record.opcode == Opcode.METADATA:
            yield from _metadata(read_metadata(record, name), name)
        elif record.opcode == Opcode.ATTACHMENT:
            attachment = read_attachment(record, name)
            if attachment.media_type == MODEL_MEDIA_TYPE:
                yield unpack_model(attachment.data)
    except NewerArchiveError:
        raise
    except (ArchiveError, BitstreamError) as error:
        text = str(error)
        yield Damage(
            text if name in text else f"{name}: entropy model at byte {record.offset}: {text}"
        )


def _metadata(metadata: Metadata, name: str) -> Iterator[Found]:
    if metadata.name == DESCRIPTION:
        yield parse_description(metadata.metadata, name)
    elif metadata.name == NOTES:
        yield Notes(unpack_notes(metadata.metadata, name))


def _messages(record: McapRecord, name: str) -> Iterator[Found]:
    """A chunk's messages; of a cut or damaged one those that are left."""
    vouched = True
    try:
        content = open_chunk(record, name)
    except ArchiveError as error:
        vouched = False
        if record.complete:
            yield Damage(str(error))
        content = salvage_chunk(record, name)
    for offset, message in messages_of(content, name):
        yield Placed(message, record.offset, offset, vouched)
