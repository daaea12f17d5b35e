"""The frames of a file, of an archived sequence's folder, or of a packed archive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.manifest import FrameRow
from pipeline.archive.overview import find_archives
from pipeline.archive.plan import records_in, row_of
from pipeline.archive.reader import PackedSequence
from pipeline.sequence.frames import decode_file
from pipeline.sequence.records import FRAMES_FOLDER, SUFFIX, FrameRecord, frame_path, read_record
from pipeline.sequence.sequence import archived_frames, archived_sequences
from pipeline.storage.files import read_bytes
from pipeline.storage.locations import Location, locate
from quinr_lidar import RangeImage
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import ArchiveError, DatasetError, StorageError

_ABSENT = (ArchiveError, DatasetError)
"""Raised where a folder has nothing of a kind."""


class Frames(ABC):
    """Frames by their ids, in a file, a folder or an archive.

    Args:
        name: Where they are, for people.
        sequence: Name of their sequence, or ``None`` if it is not known.
        rows: What is known about every frame, also failed ones, in the order of recording.
    """

    def __init__(self, name: str, sequence: str | None, rows: Iterable[FrameRow]) -> None:
        self.name = name
        self.sequence = sequence
        self.rows = tuple(rows)
        self._by_id = {row.frame_id: row for row in self.rows}

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """Ids of the frames that can be viewed."""
        return tuple(row.frame_id for row in self.rows if row.ok)

    def row(self, frame_id: str) -> FrameRow:
        """A frame's row.

        Raises:
            ArchiveError: there is no such frame.
        """
        try:
            return self._by_id[frame_id]
        except KeyError:
            ids = list(self._by_id)
            raise ArchiveError(
                f"{self.name}: no frame {frame_id!r}: expected an id, {ids[0]} to {ids[-1]}, or a "
                f"number, 0 to {len(ids) - 1}"
            ) from None

    @abstractmethod
    def read(self, row: FrameRow) -> bytes:
        """A frame's ``.quinr`` file.

        Raises:
            ArchiveError: it was not archived, or is damaged.
            StorageError: it cannot be read.
        """

    @abstractmethod
    def decode(self, row: FrameRow, data: bytes) -> RangeImage:
        """The range image of a frame's file.

        Raises:
            BitstreamError: it does not decode; names the file or the frame.
        """


class Files(Frames):
    """``.quinr`` files, with the facts in their records.

    Args:
        name: Where they are, for people.
        sequence: Name of the archived sequence whose folder they are in.
        frames: A row and a path each.
        entropy_models: More entropy models than those beside the files.
    """

    def __init__(
        self,
        name: str,
        sequence: str | None,
        frames: Sequence[tuple[FrameRow, Path]],
        entropy_models: tuple[EntropyModel, ...],
    ) -> None:
        super().__init__(name, sequence, (row for row, _ in frames))
        self._paths = {row.frame_id: path for row, path in frames}
        self._entropy_models = entropy_models

    @classmethod
    def single(cls, path: Path, entropy_models: tuple[EntropyModel, ...] = ()) -> Files:
        """One file."""
        folder, frame_id = path.resolve().parent, path.stem
        archived = folder.name == FRAMES_FOLDER
        record = read_record(folder.parent, frame_id) if archived else None
        row = _row(record or FrameRecord(frame_id, "ok"), 0, path)
        return cls(
            str(path), folder.parent.name if archived else None, [(row, path)], entropy_models
        )

    @classmethod
    def of_sequence(cls, folder: Path, entropy_models: tuple[EntropyModel, ...] = ()) -> Files:
        """All frames of an archived sequence's folder."""
        frames = []
        for number, record in enumerate(records_in(folder)):
            path = frame_path(folder, record.frame_id)
            frames.append((_row(record, number, path), path))
        return cls(str(folder), folder.resolve().name, frames, entropy_models)

    def read(self, row: FrameRow) -> bytes:
        """See :class:`Frames`."""
        if not row.ok:
            raise ArchiveError(f"{self.name}: frame {row.frame_id} was not archived: {row.error}")
        return read_bytes(self._paths[row.frame_id])

    def decode(self, row: FrameRow, data: bytes) -> RangeImage:
        """See :class:`Frames`."""
        return decode_file(data, self._paths[row.frame_id], entropy_models=self._entropy_models)


class ArchiveFrames(Frames):
    """A packed archive's frames.

    Args:
        archive: Carries the entropy models of its frames.
    """

    def __init__(self, archive: PackedSequence) -> None:
        super().__init__(archive.name, archive.manifest.sequence, archive.rows)
        self._archive = archive

    def read(self, row: FrameRow) -> bytes:
        """See :class:`Frames`."""
        return self._archive.read(row.frame_id)

    def decode(self, row: FrameRow, data: bytes) -> RangeImage:
        """See :class:`Frames`."""
        return self._archive.decode_bytes(row.frame_id, data)


def open_frames(
    where: str, sequence: str | None = None, entropy_models: tuple[EntropyModel, ...] = ()
) -> Frames:
    """Open a ``.quinr`` file, an archived sequence's folder, or a packed archive.

    Args:
        where: Path, or URL of an archive. A folder of one of these will do; of several,
            ``sequence`` says which.
        sequence: Name of a folder in it.
        entropy_models: For files and folders, more entropy models than those beside them.

    Raises:
        ArchiveError: a packed archive that is damaged or of a newer version.
        DatasetError: none of these is there, or several are.
        StorageError: it is not there or cannot be read.
    """
    here = locate(where)
    if here.local:
        path = Path(here.path if "://" in where else where)
        if path.name in (MCAP, MANIFEST):
            return ArchiveFrames(PackedSequence.open(path.parent))
        if path.is_file():
            return Files.single(path, entropy_models)
        if not path.is_dir():
            raise StorageError(f"{where}: no such file or folder")
        if archived_frames(path):
            return Files.of_sequence(path, entropy_models)
    if any((here / name).exists() for name in (MANIFEST, MCAP)):
        return ArchiveFrames(PackedSequence.open(here))
    return _only(where, _below(here, entropy_models), sequence)


def choose_frame(frames: Frames, wanted: str | None = None) -> FrameRow:
    """A frame by its id, else by its number from 0; the first that was archived by default.

    Raises:
        ArchiveError: there is no such frame, or it was not archived.
    """
    if wanted is None:
        row = next((row for row in frames.rows if row.ok), None)
        if row is None:
            raise ArchiveError(f"{frames.name}: none of its {len(frames.rows)} frames was archived")
        return row
    numbers = {str(row.number): row for row in frames.rows}
    known = any(row.frame_id == wanted for row in frames.rows)
    row = frames.row(wanted) if known or wanted not in numbers else numbers[wanted]
    if not row.ok:
        raise ArchiveError(f"{frames.name}: frame {row.frame_id} was not archived: {row.error}")
    return row


def _row(record: FrameRecord, number: int, path: Path) -> FrameRow:
    """A row; a frame whose file exists can be viewed, even if its record says that it failed."""
    row = row_of(record, number)
    if path.is_file():
        return replace(row, status="ok", error=None)
    return replace(row, status="failed", error=row.error or f"{path} is not there")


def _below(
    here: Location, entropy_models: tuple[EntropyModel, ...]
) -> dict[str, Callable[[], Frames]]:
    """Archived and packed sequences in a folder, by their names."""
    found: dict[str, Callable[[], Frames]] = {}
    try:
        for packed in find_archives([here]):
            found[packed.path[len(here.path) :].strip("/")] = partial(_packed, packed)
    except _ABSENT:
        pass
    if here.local:
        try:
            for folder in archived_sequences(Path(here.path)):
                found[folder.name] = partial(Files.of_sequence, folder, entropy_models)
        except _ABSENT:
            pass
    return found


def _packed(location: Location) -> Frames:
    return ArchiveFrames(PackedSequence.open(location))


def _only(where: str, found: dict[str, Callable[[], Frames]], sequence: str | None) -> Frames:
    if not found:
        raise DatasetError(
            f"{where}: nothing to view, expected FILE{SUFFIX}, "
            f"<sequence>/{FRAMES_FOLDER}/*{SUFFIX} or <sequence>/{MCAP}"
        )
    chosen = [name for name in found if sequence in (None, name, name.rpartition("/")[2])]
    if len(chosen) != 1:
        raise DatasetError(
            f"{where}: expected one sequence, choose with --sequence: {', '.join(sorted(found))}"
        )
    return found[chosen[0]]()
