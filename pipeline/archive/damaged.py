"""What is left of a damaged archive: its rows and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import quinr_lidar
from pipeline.archive.layout import MANIFEST, MCAP, Description
from pipeline.archive.manifest import FrameRow, unpack_manifest
from pipeline.archive.mcap.chunks import messages_of, salvage_chunk
from pipeline.archive.mcap.index import read_index
from pipeline.archive.mcap.records import read_record
from pipeline.archive.mcap.scan import Damage, Notes, Placed, scan
from pipeline.storage.files import sha256_of
from pipeline.storage.locations import Location
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar import codec, metrics
from quinr_lidar.container import MAGIC
from quinr_lidar.entropy.models import EntropyModel, built_in_models
from quinr_lidar.errors import ArchiveError, BitstreamError, StorageError

_BLOCK = 1 << 22
LOST = "lost: its message is cut off or damaged"


class Damaged:
    """An archive that may be cut or damaged anywhere.

    Args:
        location: The archive's folder.

    Attributes:
        description: Description of the sequence; its ``frames`` is the number of known frames.
        entropy_models: The entropy models that are left.
        unknown: Number of frames beyond those that are known.
        damage: What could not be read.
        lost: Ids of the known frames whose files :meth:`frames` could not give.

    Raises:
        ArchiveError: not an MCAP, of a newer version, a frame twice, or nothing of an archive.
        StorageError: it cannot be read.
    """

    def __init__(self, location: Location) -> None:
        self._data = RangedFile(location / MCAP, _BLOCK)
        self._chunk: tuple[int, bytes] | None = None
        self._places: dict[int, Placed] = {}
        self.damage: list[str] = []
        self.lost: list[str] = []
        sequence, manifest = self._read_manifest(location)
        notes, description, entropy_models = self._scan(manifest)
        self._old = self._fitting(manifest, notes)
        self._notes = self._named(notes)
        if description is None:
            if not self._notes:
                raise ArchiveError(f"{self._data.name}: nothing to repair: no frame of an archive")
            self.damage.append(f"{self._data.name}: what says how to decode it is lost")
            name = sequence or location.base
            description = Description(
                name, quinr_lidar.__version__, 0, entropy_models=tuple(entropy_models)
            )
        self.unknown = max(0, description.frames - len(self._notes))
        self.description = replace(description, frames=len(self._notes))
        self.entropy_models = self._entropy_models(entropy_models)

    def frames(self) -> Iterator[tuple[FrameRow, bytes | None]]:
        """All rows in order, numbered without gaps, with the files that are left.

        Raises:
            StorageError: the file cannot be read.
        """
        self.lost = []
        for number, note in enumerate(self._notes):
            data = self._payload(note) if note.ok else None
            if data is not None:
                yield replace(self._mended(note, data), number=number), data
            elif note.ok:
                self.lost.append(note.frame_id)
                yield replace(note, number=number, status="failed", error=LOST), None
            else:
                old = self._old.get(note.number)
                yield replace(note if old is None or old.ok else old, number=number), None

    def _read_manifest(self, location: Location) -> tuple[str | None, dict[int, FrameRow]]:
        place = location / MANIFEST
        try:
            manifest = unpack_manifest(place.read(), place.name)
        except (ArchiveError, StorageError) as error:
            self.damage.append(str(error))
            return None, {}
        return manifest.sequence, {row.number: row for row in manifest.rows}

    def _scan(
        self, manifest: dict[int, FrameRow]
    ) -> tuple[dict[int, FrameRow], Description | None, dict[str, EntropyModel]]:
        """Everything but the messages' files; only their places are kept."""
        notes: dict[int, FrameRow] = {}
        description: Description | None = None
        entropy_models: dict[str, EntropyModel] = {}
        chunks = {row.chunk_offset for row in manifest.values() if row.chunk_offset}
        for found in scan(self._data, sorted(chunks | set(_indexed_chunks(self._data)))):
            if isinstance(found, Description):
                description = description or found
            elif isinstance(found, EntropyModel):
                entropy_models[found.name] = found
            elif isinstance(found, Notes):
                for row in found.rows:
                    notes.setdefault(row.number, row)
            elif isinstance(found, Placed) and found.message.data.startswith(MAGIC):
                message = replace(found.message, data=b"")
                self._places.setdefault(message.sequence, replace(found, message=message))
            elif isinstance(found, Damage):
                self.damage.append(found.reason)
        return notes, description, entropy_models

    def _fitting(
        self, manifest: dict[int, FrameRow], notes: dict[int, FrameRow]
    ) -> dict[int, FrameRow]:
        """The old manifest's rows, unless it is of another archive."""
        for number, note in notes.items():
            old = manifest.get(number)
            if manifest and (old is None or old.frame_id != note.frame_id):
                self.damage.append(f"{self._data.name}: the manifest is of another MCAP: not used")
                return {}
        return manifest

    def _named(self, notes: dict[int, FrameRow]) -> list[FrameRow]:
        """A row for every frame: from the MCAP's notes, from the manifest, or made up."""
        known = self._old | notes
        for number, placed in self._places.items():
            if number not in known:
                name = f"unnamed-{number:06d}"
                time_ns = placed.message.log_time
                known[number] = FrameRow(
                    name, "ok", number=number, time_ns=time_ns, time_assumed=False
                )
                self.damage.append(f"{self._data.name}: the id of message {number} is lost: {name}")
        rows = [known[number] for number in sorted(known)]
        seen: set[str] = set()
        for row in rows:
            if row.frame_id in seen:
                raise ArchiveError(f"{self._data.name}: frame_id: {row.frame_id} is there twice")
            seen.add(row.frame_id)
        return rows

    def _entropy_models(self, found: dict[str, EntropyModel]) -> list[EntropyModel]:
        """The entropy models that the description names: from the file, or built in."""
        known = {
            entropy_model.name: entropy_model for entropy_model in built_in_models().values()
        } | found
        for name in self.description.entropy_models:
            if name not in known:
                self.damage.append(f"{self._data.name}: the entropy model {name} is lost")
        return [known[name] for name in self.description.entropy_models if name in known]

    def _payload(self, note: FrameRow) -> bytes | None:
        """A frame's file if it is intact, by its own checksums at least."""
        placed = self._places.get(note.number)
        if placed is None:
            return None
        if self._chunk is None or self._chunk[0] != placed.chunk_offset:
            record = read_record(self._data, placed.chunk_offset)
            self._chunk = (placed.chunk_offset, salvage_chunk(record, self._data.name))
        data = next(
            message.data
            for offset, message in messages_of(self._chunk[1], self._data.name)
            if offset == placed.message_offset
        )
        old = self._old.get(note.number)
        expected = old.file_sha256 if old is not None else None
        if not placed.vouched and expected not in (None, sha256_of(data)):
            return None
        try:
            codec.inspect(data)
        except BitstreamError as error:
            self.damage.append(f"{self._data.name}: frame {note.frame_id}: {error}")
            return None
        return data

    def _mended(self, note: FrameRow, data: bytes) -> FrameRow:
        """A frame's row: the old manifest's where that fits, else what follows from the file."""
        digest = sha256_of(data)
        time_ns = self._places[note.number].message.log_time
        old = self._old.get(note.number)
        if old is not None and old.ok and old.file_sha256 == digest:
            return replace(old, time_ns=time_ns)
        info = codec.inspect(data)
        figures: dict[str, Any] = dict(note.figures)
        figures["bpp"] = metrics.bits_per_pixel(len(data), info.height, info.width)
        if (raw := figures.get("raw_bytes")) is not None:
            figures["ratio_raw"] = metrics.compression_ratio(int(raw), len(data))
        if (points := figures.get("pixels_valid")) is not None:
            size = int(points) * metrics.BYTES_PER_POINT
            figures["ratio_points"] = metrics.compression_ratio(size, len(data))
        return replace(note, time_ns=time_ns, bytes=len(data), file_sha256=digest, figures=figures)


def _indexed_chunks(data: RangedFile) -> list[int]:
    try:
        return list(read_index(data).chunks)
    except ArchiveError:
        return []
