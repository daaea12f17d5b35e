"""Reading a packed sequence: any frame in one read, all of them chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import quinr_lidar
from pipeline.archive.layout import MANIFEST, MCAP, Description, MismatchError
from pipeline.archive.manifest import FrameRow, Manifest, unpack_manifest
from pipeline.archive.mcap.chunks import Message
from pipeline.archive.mcap.frame_reader import FrameReader, PlaceError
from pipeline.archive.mcap.index import Index
from pipeline.storage.files import sha256_of
from pipeline.storage.locations import Location, locate
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar import RangeImage
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import ArchiveError, BitstreamError, StorageError

_REPAIR = "`quinr archive repair` makes the manifest anew"


class PackedSequence:
    """An archive's frames by their ids. Nothing is kept open.

    Args:
        location: The archive's folder.
        manifest: What its manifest says.

    Attributes:
        location: The archive's folder.
        manifest: The rows, and what is said of the MCAP.
    """

    def __init__(self, location: Location, manifest: Manifest) -> None:
        self.location = location
        self.manifest = manifest
        self._by_id = {row.frame_id: row for row in manifest.rows}
        self._frames = FrameReader(RangedFile(location / MCAP))

    @classmethod
    def open(cls, where: Path | str | Location) -> PackedSequence:
        """Open a packed sequence; reads the manifest only.

        Raises:
            ArchiveError: the manifest is damaged, of a newer version, or (a
                :class:`~pipeline.archive.layout.MismatchError`) of another MCAP.
            StorageError: one of the two files is missing or cannot be read.
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
        if opened._frames.size != opened.manifest.mcap_bytes:
            raise MismatchError(
                f"{location.name}: {MANIFEST} is of an MCAP of {opened.manifest.mcap_bytes} bytes, "
                f"but {MCAP} has {opened._frames.size}: it is cut, or was replaced; {_REPAIR}"
            )
        return opened

    @property
    def name(self) -> str:
        """The archive's path or URL."""
        return self.location.name

    @property
    def rows(self) -> tuple[FrameRow, ...]:
        """The manifest's rows, failed frames included."""
        return self.manifest.rows

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """Ids of the frames that can be read, in the order of recording."""
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

    @property
    def index(self) -> Index:
        """The MCAP's own index.

        Raises:
            ArchiveError: it is damaged.
            StorageError: it cannot be read.
        """
        return self._frames.index

    @property
    def description(self) -> Description:
        """What the MCAP says of itself: how it is decoded.

        Raises:
            ArchiveError: it is missing, damaged, or of a newer version.
            StorageError: it cannot be read.
        """
        return self._frames.description

    @property
    def entropy_models(self) -> tuple[EntropyModel, ...]:
        """The entropy models that the archive carries.

        Raises:
            ArchiveError: one is damaged.
            StorageError: one cannot be read.
        """
        return self._frames.entropy_models

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
        try:
            place = (row.chunk_offset or 0, row.message_offset or 0)
            message = self._frames.message(*place, row.bytes or 0)
        except PlaceError as error:
            raise self._disagreement(row, str(error)) from error
        return self._checked(row, message)

    def decode(self, frame_id: str) -> RangeImage:
        """A frame's range image.

        Raises:
            ArchiveError, StorageError: see :meth:`read`.
            BitstreamError: it does not decode.
        """
        return self.decode_bytes(frame_id, self.read(frame_id))

    def decode_bytes(self, frame_id: str, data: bytes) -> RangeImage:
        """The range image of a frame's file, with the entropy models that the archive carries.

        Raises:
            ArchiveError: one of these is damaged.
            BitstreamError: the file does not decode; the message names the frame.
        """
        try:
            return quinr_lidar.decode(data, entropy_models=self.entropy_models)
        except BitstreamError as error:
            error.args = (f"{self.name}: frame {frame_id}: {error.args[0]}",)
            raise

    def frames(self, rows: Iterable[FrameRow] | None = None) -> Iterator[tuple[FrameRow, bytes]]:
        """Frames with their files, in order; one read for each chunk.

        Args:
            rows: Some of the archive's rows; failed ones are left out. All by default.

        Raises:
            ArchiveError, StorageError: see :meth:`read`.
        """
        wanted = [row for row in (self.rows if rows is None else rows) if row.ok]
        for offset, group in groupby(wanted, key=lambda row: row.chunk_offset or 0):
            for row in group:
                try:
                    message = self._frames.messages(offset).get(row.message_offset or 0)
                except PlaceError as error:
                    raise self._disagreement(row, str(error)) from error
                if message is None:
                    raise self._disagreement(row, f"no message in the chunk at byte {offset}")
                yield row, self._checked(row, message)

    def _checked(self, row: FrameRow, message: Message) -> bytes:
        """The file in a message, if it is the row's."""
        if (message.sequence, message.log_time) != (row.number, row.time_ns):
            found = f"its message is number {message.sequence} at {message.log_time} ns"
            raise self._disagreement(row, found)
        if sha256_of(message.data) != row.file_sha256:
            raise self._disagreement(row, "its file has another SHA-256: it is damaged")
        return message.data

    def _disagreement(self, row: FrameRow, reason: str) -> ArchiveError:
        return ArchiveError(
            f"{self.name}: frame {row.frame_id}: manifest and MCAP disagree: {reason}"
        )
