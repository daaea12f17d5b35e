"""Which drives are new: whether a packed archive holds all of a drive already."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.archive.layout import MANIFEST, MCAP, MismatchError
from pipeline.archive.manifest import FrameRow
from pipeline.archive.mcap.scan import Notes, scan
from pipeline.archive.reader import PackedSequence
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.datasets import Dataset
from pipeline.sequence.identity import has_archived_size
from pipeline.storage.locations import Location
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.errors import ArchiveError

_BLOCK = 1 << 22


def is_archived(dataset: Dataset, archive: Location, settings: EncoderSettings) -> bool:
    """Whether every scan of a drive is in its packed archive, made with these settings.

    Scans are compared by their sizes, not read: what changed them without changing the size is
    found by a deep verification only.

    Raises:
        ArchiveError, StorageError: as :func:`check_settings`.
    """
    rows = {row.frame_id: row for row in check_settings(archive, settings) if row.ok}
    return all(
        frame.frame_id in rows
        and has_archived_size(frame, rows[frame.frame_id].figures.get("raw_bytes"))
        for frame in dataset.frames()
    )


def check_settings(archive: Location, settings: EncoderSettings) -> Sequence[FrameRow]:
    """Fail before hours of encoding where the result could not be packed.

    Returns:
        The rows of the archive that is there, if one is. None where a run was killed between
        writing its MCAP and its manifest: then the next run has to pack again.

    Raises:
        ArchiveError: the archive there was made with other settings, or cannot be read.
        StorageError: it cannot be reached, or its bucket is not there.
    """
    archive.check_bucket()
    if not (archive / MANIFEST).exists():
        return ()
    try:
        rows = PackedSequence.open(archive).rows
    except MismatchError:
        _check_digest(archive, _noted_rows(archive), settings)
        return ()
    _check_digest(archive, rows, settings)
    return rows


def _noted_rows(archive: Location) -> list[FrameRow]:
    """What an MCAP itself says about its frames."""
    found = scan(RangedFile(archive / MCAP, _BLOCK))
    return [row for notes in found if isinstance(notes, Notes) for row in notes.rows]


def _check_digest(archive: Location, rows: Sequence[FrameRow], settings: EncoderSettings) -> None:
    wanted = settings.digest()
    for row in rows:
        if row.ok and row.settings != wanted:
            raise ArchiveError(
                f"{archive.name}: settings: expected an archive of the settings asked for, but "
                f"frame {row.frame_id} was made with others; overwrite it, or archive into "
                "another folder"
            )
