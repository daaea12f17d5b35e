"""Frames of an MCAP by their places: one in one read, or all of a chunk in one read."""

from __future__ import annotations

from functools import cached_property

from mcap.opcode import Opcode
from mcap.records import Message

from pipeline.archive.layout import DESCRIPTION, Description, parse_description
from pipeline.archive.mcap.chunks import (
    CHUNK_HEAD,
    MESSAGE_HEAD,
    messages_of,
    open_chunk,
    parse_message,
)
from pipeline.archive.mcap.index import Index, read_index
from pipeline.archive.mcap.records import FRAME_HEAD, read_attachment, read_metadata, read_record
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.entropy.models import SUFFIX as MODEL_SUFFIX
from quinr_lidar.entropy.models import EntropyModel, unpack_model
from quinr_lidar.errors import ArchiveError, BitstreamError


class PlaceError(ArchiveError):
    """There is no such message at the place given."""


class FrameReader:
    """An MCAP whose messages are found by their places. Nothing is kept open.

    Args:
        data: The file.
    """

    def __init__(self, data: RangedFile) -> None:
        self._data = data
        self._last: tuple[int, dict[int, Message]] | None = None

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self._data.size

    @cached_property
    def index(self) -> Index:
        """The file's own index.

        Raises:
            ArchiveError: it is damaged.
            StorageError: it cannot be read.
        """
        return read_index(self._data)

    @cached_property
    def description(self) -> Description:
        """What the file says of itself: how it is decoded.

        Raises:
            ArchiveError: it is missing, damaged, or of a newer version.
            StorageError: it cannot be read.
        """
        for entry in self.index.metadata:
            if entry.name == DESCRIPTION:
                record = read_metadata(read_record(self._data, entry.offset), self._data.name)
                return parse_description(record.metadata, self._data.name)
        raise ArchiveError(f"{self._data.name}: no metadata {DESCRIPTION!r}: not an archive")

    @cached_property
    def entropy_models(self) -> tuple[EntropyModel, ...]:
        """The entropy models in the file.

        Raises:
            ArchiveError: one is damaged.
            StorageError: one cannot be read.
        """
        return tuple(
            self._entropy_model(entry.offset)
            for entry in self.index.attachments
            if entry.name.endswith(MODEL_SUFFIX)
        )

    def _entropy_model(self, offset: int) -> EntropyModel:
        attachment = read_attachment(read_record(self._data, offset), self._data.name)
        try:
            return unpack_model(attachment.data)
        except BitstreamError as error:
            where = f"{self._data.name}: attachment {attachment.name}"
            raise ArchiveError(f"{where}: {error}") from error

    def message(self, chunk_offset: int, message_offset: int, size: int) -> Message:
        """One message, in one read once the index is known.

        Args:
            chunk_offset: Where its chunk is in the file.
            message_offset: Where it is among the chunk's uncompressed records.
            size: Size of its data in bytes.

        Raises:
            ArchiveError: the chunk is damaged.
            PlaceError: there is no message of this size at this place.
            StorageError: the file cannot be read.
        """
        chunk = self.index.chunks.get(chunk_offset)
        if chunk is None:
            raise PlaceError(f"no chunk at byte {chunk_offset}")
        if chunk.compression:
            found = self.messages(chunk_offset).get(message_offset)
            if found is None:
                raise PlaceError(f"no message in the chunk at byte {chunk_offset}")
            return found
        offset = chunk_offset + FRAME_HEAD.size + CHUNK_HEAD + message_offset
        wanted = FRAME_HEAD.size + MESSAGE_HEAD + size
        record = self._data.read(offset, min(wanted, chunk.chunk_length))
        head = (Opcode.MESSAGE, wanted - FRAME_HEAD.size)
        if len(record) != wanted or FRAME_HEAD.unpack_from(record) != head:
            raise PlaceError(f"no message of its size at byte {offset}")
        return parse_message(record[FRAME_HEAD.size :], offset, self._data.name)

    def messages(self, chunk_offset: int) -> dict[int, Message]:
        """All messages of a chunk by their places in it, in one read; the last chunk is kept.

        Raises:
            ArchiveError: the chunk is damaged.
            PlaceError: there is no chunk at this place.
            StorageError: the file cannot be read.
        """
        if chunk_offset not in self.index.chunks:
            raise PlaceError(f"no chunk at byte {chunk_offset}")
        if self._last is None or self._last[0] != chunk_offset:
            length = self.index.chunks[chunk_offset].chunk_length
            record = read_record(_Part(self._data, chunk_offset, length), chunk_offset)
            content = open_chunk(record, self._data.name)
            self._last = (chunk_offset, dict(messages_of(content, self._data.name)))
        return self._last[1]


class _Part(RangedFile):
    """A part of a file that is read at once."""

    def __init__(self, data: RangedFile, offset: int, length: int) -> None:
        self.name, self.size = data.name, data.size
        self._start, self._kept = offset, data.read(offset, length)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the part; fewer where it ends."""
        return self._kept[offset - self._start : offset - self._start + length]
