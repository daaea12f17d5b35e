"""Reading a packed sequence: any frame in one read, all of them chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby
from pathlib import Path

from mcap.opcode import Opcode

import quinr_lidar
from pipeline.archive.layout import (
    DESCRIPTION,
    MANIFEST,
    MCAP,
    Description,
    MismatchError,
    parse_description,
)
from pipeline.archive.manifest import FrameRow, Manifest, unpack_manifest
from pipeline.archive.mcap.chunks import (
    CHUNK_HEAD,
    MESSAGE_HEAD,
    messages_of,
    open_chunk,
    parse_message,
)
from pipeline.archive.mcap.index import Index, read_index
from pipeline.archive.mcap.records import FRAME_HEAD, read_attachment, read_metadata, read_record
from pipeline.storage.files import sha256_of
from pipeline.storage.locations import Bytes, Location, locate
from quinr_lidar import RangeImage
from quinr_lidar.entropy.models import SUFFIX as MODEL_SUFFIX
from quinr_lidar.entropy.models import EntropyModel, unpack_model
from quinr_lidar.errors import ArchiveError, BitstreamError, StorageError

_REPAIR = "`quinr archive repair` makes the manifest anew"


class PackedSequence:
    """An archive's frames by their ids. Nothing is kept open.

    Args:
        location: Its folder.
        manifest: Its rows.

    Attributes:
        location: Its folder.
        manifest: Its rows and what it says of the MCAP.
    """

    def __init__(self, location: Location, manifest: Manifest) -> None:
        self.location = location
        self.manifest = manifest
        self._by_id = {row.frame_id: row for row in manifest.rows}
        self._data = Bytes(location / MCAP)
        self._last: tuple[int, bytes] | None = None

    @classmethod
    def open(cls, where: Path | str | Location) -> PackedSequence:
        """Open a packed sequence; reads the manifest only.

        Raises:
            ArchiveError: the manifest is damaged, of a newer version, or (a
                :class:`~pipeline.archive.layout.MismatchError`) of another MCAP.
            StorageError: one of both files is not there or cannot be read.
        """
        location = locate(where)
        place = location / MANIFEST
        try:
            data = place.read()
        except StorageError as error:
            if (location / MCAP).exists():
                raise ArchiveError(f"{error}; {_REPAIR}") from error
            raise
        opened = cls(location, unpack_manifest(data, place.name))
        if opened._data.size != opened.manifest.mcap_bytes:
            raise MismatchError(
                f"{location.name}: {MANIFEST} is of an MCAP of {opened.manifest.mcap_bytes} bytes, "
                f"but {MCAP} has {opened._data.size}: it is cut, or was replaced; {_REPAIR}"
            )
        return opened

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self.location.name

    @property
    def rows(self) -> tuple[FrameRow, ...]:
        """The manifest's, failed frames included."""
        return self.manifest.rows

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """Of the frames that can be read, in the order of recording."""
        return tuple(row.frame_id for row in self.rows if row.ok)

    def row(self, frame_id: str) -> FrameRow:
        """A frame's row.

        Raises:
            ArchiveError: there is no such frame.
        """
        try:
            return self._by_id[frame_id]
        except KeyError:
            held = f"{self.rows[0].frame_id} to {self.rows[-1].frame_id}" if self.rows else "none"
            raise ArchiveError(
                f"{self.name}: no frame {frame_id!r}; there are {len(self.rows)}: {held}"
            ) from None

    @cached_property
    def index(self) -> Index:
        """The MCAP's own.

        Raises:
            ArchiveError: it is damaged.
            StorageError: it cannot be read.
        """
        return read_index(self._data)

    @cached_property
    def description(self) -> Description:
        """How to decode it.

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
        """Those that the archive carries.

        Raises:
            ArchiveError: one is damaged.
            StorageError: one cannot be read.
        """
        return tuple(
            read_model(self._data, entry.offset)
            for entry in self.index.attachments
            if entry.name.endswith(MODEL_SUFFIX)
        )

    def read(self, frame_id: str) -> bytes:
        """A frame's ``.quinr`` file, in one read once the index is known.

        Raises:
            ArchiveError: there is no such frame, it failed when it was archived, or manifest and
                MCAP disagree.
            StorageError: it cannot be read.
        """
        row = self.row(frame_id)
        if not row.ok:
            raise ArchiveError(f"{self.name}: frame {frame_id} was not archived: {row.error}")
        chunk = self.index.chunks.get(row.chunk_offset or 0)
        if chunk is None:
            raise self._disagreement(row, f"no chunk at byte {row.chunk_offset}")
        if chunk.compression:
            return next(self._chunk(chunk.chunk_start_offset, [row]))[1]
        offset = chunk.chunk_start_offset + FRAME_HEAD.size + CHUNK_HEAD + (row.message_offset or 0)
        wanted = FRAME_HEAD.size + MESSAGE_HEAD + (row.bytes or 0)
        record = self._data.read(offset, min(wanted, chunk.chunk_length))
        if len(record) != wanted or FRAME_HEAD.unpack_from(record) != (
            Opcode.MESSAGE,
            wanted - FRAME_HEAD.size,
        ):
            raise self._disagreement(row, f"no message of its size at byte {offset}")
        message = parse_message(record[FRAME_HEAD.size :], offset, self._data.name)
        return self._vouched(row, message.sequence, message.log_time, message.data)

    def decode(self, frame_id: str) -> RangeImage:
        """A frame's range image.

        Raises:
            ArchiveError, StorageError: as :meth:`read`.
            BitstreamError: it does not decode.
        """
        return self.decode_bytes(frame_id, self.read(frame_id))

    def decode_bytes(self, frame_id: str, data: bytes) -> RangeImage:
        """The range image of a frame's file, with the entropy models that the archive carries.

        Raises:
            ArchiveError: one of these is damaged.
            BitstreamError: it does not decode; names the frame.
        """
        try:
            return quinr_lidar.decode(data, entropy_models=self.entropy_models)
        except BitstreamError as error:
            error.args = (f"{self.name}: frame {frame_id}: {error.args[0]}",)
            raise

    def frames(self, rows: Iterable[FrameRow] | None = None) -> Iterator[tuple[FrameRow, bytes]]:
        """Frames with their files, in order; a read for every chunk.

        Args:
            rows: Some of the archive's; failed ones are left out. All by default.

        Raises:
            ArchiveError, StorageError: as :meth:`read`.
        """
        wanted = [row for row in (self.rows if rows is None else rows) if row.ok]
        for offset, group in groupby(wanted, key=lambda row: row.chunk_offset or 0):
            yield from self._chunk(offset, list(group))

    def _chunk(self, offset: int, rows: list[FrameRow]) -> Iterator[tuple[FrameRow, bytes]]:
        if offset not in self.index.chunks:
            raise self._disagreement(rows[0], f"no chunk at byte {offset}")
        found = dict(messages_of(self._content(offset), self._data.name))
        for row in rows:
            message = found.get(row.message_offset or 0)
            if message is None:
                raise self._disagreement(row, f"no message in the chunk at byte {offset}")
            yield row, self._vouched(row, message.sequence, message.log_time, message.data)

    def _content(self, offset: int) -> bytes:
        """A chunk's records, in one read; the last chunk is kept."""
        if self._last is None or self._last[0] != offset:
            part = _Once(self._data, offset, self.index.chunks[offset].chunk_length)
            self._last = (offset, open_chunk(read_record(part, offset), self._data.name))
        return self._last[1]

    def _vouched(self, row: FrameRow, sequence: int, log_time: int, data: bytes) -> bytes:
        """The file of a message, if it is the row's."""
        if (sequence, log_time) != (row.number, row.time_ns):
            raise self._disagreement(row, f"its message is number {sequence} at {log_time} ns")
        if sha256_of(data) != row.file_sha256:
            raise self._disagreement(row, "its file has another SHA-256: it is damaged")
        return data

    def _disagreement(self, row: FrameRow, reason: str) -> ArchiveError:
        return ArchiveError(
            f"{self.name}: frame {row.frame_id}: manifest and MCAP disagree: {reason}"
        )


class _Once(Bytes):
    """A part of a file, read at once."""

    def __init__(self, data: Bytes, offset: int, length: int) -> None:
        self.name, self.size = data.name, data.size
        self._start, self._kept = offset, data.read(offset, length)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the part; fewer where it ends."""
        return self._kept[offset - self._start : offset - self._start + length]


def read_model(data: Bytes, offset: int) -> EntropyModel:
    """The entropy model in an attachment.

    Raises:
        ArchiveError: it is damaged, or none.
        StorageError: it cannot be read.
    """
    attachment = read_attachment(read_record(data, offset), data.name)
    try:
        return unpack_model(attachment.data)
    except BitstreamError as error:
        raise ArchiveError(f"{data.name}: attachment {attachment.name}: {error}") from error
