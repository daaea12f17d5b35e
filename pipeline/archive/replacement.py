"""Whether an archive may take the place of another: not if that one holds what it does not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.manifest import FrameRow
from pipeline.archive.reader import PackedSequence
from pipeline.storage.locations import Location
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.errors import ArchiveError, StorageError

_BLOCK = 1 << 22


def check_replacement(out: Location, rows: Iterable[FrameRow]) -> None:
    """Whether frames of an archive there would be lost or changed.

    Args:
        out: Folder of the archive, which need not exist.
        rows: Rows of the archive that is to replace it.

    Raises:
        ArchiveError: they would; or nobody can tell, since the archive there cannot be read,
            disagrees with itself or is of a newer version.
        StorageError: it cannot be looked up.
    """
    if not ((out / MCAP).exists() or (out / MANIFEST).exists()):
        return
    try:
        there = _rows_of_both(out)
    except (ArchiveError, StorageError) as error:
        raise ArchiveError(
            f"{out.name}: an archive is there that cannot be read ({error}); repair it, pack "
            "elsewhere, or overwrite it"
        ) from error
    new = {row.frame_id: row.file_sha256 for row in rows if row.ok}
    lost = [row.frame_id for row in there if row.ok and new.get(row.frame_id) != row.file_sha256]
    if lost:
        raise ArchiveError(
            f"{out.name}: the archive there holds {len(lost)} frames that the new one lacks or has "
            f"otherwise, the first {lost[0]}; pack elsewhere, or overwrite it"
        )


def _rows_of_both(out: Location) -> tuple[FrameRow, ...]:
    """Rows of an archive's manifest, if they are those of its MCAP.

    Raises:
        ArchiveError: they are not, or one of both is damaged or of a newer version.
        StorageError: one cannot be read.
    """
    archive = PackedSequence.open(out)
    manifest = archive.manifest
    if not is_same_file(out / MCAP, manifest.mcap_bytes, manifest.mcap_sha256):
        raise ArchiveError(f"{MCAP} has another SHA-256 than {MANIFEST} says")
    frames, held = archive.description.frames, sum(row.ok for row in manifest.rows)
    messages = archive.index.statistics.message_count
    if (frames, messages) != (len(manifest.rows), held):
        raise ArchiveError(
            f"{MCAP} holds {messages} of {frames} frames, {MANIFEST} {held} of {len(manifest.rows)}"
        )
    return manifest.rows


def is_same_file(location: Location, size: int, sha256: str) -> bool:
    """Whether a file of this content is there.

    Raises:
        StorageError: it cannot be read.
    """
    if not location.exists() or location.size() != size:
        return False
    digest = hashlib.sha256()
    for block in RangedFile(location, _BLOCK).blocks():
        digest.update(block)
    return digest.hexdigest() == sha256
