"""Removing originals for good: only those that an archive was proven to hold.

What has to be true before a scan is removed: a deep verification of *every* frame of its sequence
passed (masks exact, no range errs by more than promised); the archive is still the one that was
verified (SHA-256); and the scan is, byte for byte, the one that was archived. Only scans are
removed: no calibration, no times, no folders.

Archives keep no reflectance, and of the points of one pixel only the nearest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.manifest import FrameRow
from pipeline.archive.reader import PackedSequence
from pipeline.datasets import Dataset, FrameSource
from pipeline.datasets.frame import ScanFile
from pipeline.nightly.verification import ArchiveRecord
from pipeline.sequence.identity import is_archived_scan, not_archived_reason
from pipeline.storage.files import write_atomically, write_json_atomically
from pipeline.storage.locations import Location
from quinr_lidar.errors import ArchiveError, QuinrError, StorageError

BEGUN = "removal.json"
"""In a sequence's folder: which archive was proven before the first original went.

Some originals may be gone then, so that a verification against them can no longer pass; the rest
go by what was proven, if the archive is still that one and intact.
"""

LIST = "removal.txt"
"""In a sequence's folder: the scans that went, or would go, one a line."""


@dataclass(frozen=True)
class Removal:
    """What became of a sequence's originals.

    Attributes:
        removed: Scans that are gone, or would be after a dry run.
        bytes: Size of these scans.
        dry_run: Whether they are all still there.
        kept: Scans that stay, with the reason.
    """

    removed: tuple[Path, ...]
    bytes: int
    dry_run: bool
    kept: dict[str, str]


def has_begun(folder: Path, archive: Location) -> bool:
    """Whether originals may be gone already, by the very archive that is there.

    Args:
        folder: The sequence's folder.
        archive: The sequence's packed archive.

    Raises:
        ArchiveError, StorageError: the archive cannot be read.
    """
    try:
        proven = json.loads((folder / BEGUN).read_bytes())["mcap_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return proven == PackedSequence.open(archive).manifest.mcap_sha256


def remove_originals(
    dataset: Dataset,
    folder: Path,
    archive: Location,
    verified: ArchiveRecord,
    *,
    dry_run: bool = True,
) -> Removal:
    """Remove the scans that an archive holds, if it was proven to hold them.

    The caller must hold the folder's lock.

    Args:
        dataset: The originals.
        folder: The sequence's folder.
        archive: The sequence's packed archive.
        verified: What a verification of this archive found, just now.
        dry_run: Remove nothing, only list.

    Raises:
        ArchiveError: the verification did not pass, was not deep, or was of another archive.
        StorageError: the list cannot be written, or a scan cannot be removed.
    """
    manifest = PackedSequence.open(archive).manifest
    if verified.status != "ok":
        raise ArchiveError(f"{archive.name}: it did not verify, all originals stay")
    if verified.mcap_sha256 != manifest.mcap_sha256:
        raise ArchiveError(f"{archive.name}: it changed since it was verified, all originals stay")
    if not (verified.deep or has_begun(folder, archive)):
        raise ArchiveError(
            f"{archive.name}: it was not verified against its originals, all of them stay"
        )
    rows = {row.frame_id: row for row in manifest.rows}
    going: dict[str, _Compared] = {}
    kept: dict[str, str] = {}
    for source in dataset.frames():
        scan = _Compared(source.path, _state_of(source.path))
        if (reason := _why_kept(source, rows.get(source.frame_id))) is not None:
            kept[source.frame_id] = reason
        else:
            going[source.frame_id] = scan
    _write_list(folder, going)
    if not dry_run and going:
        write_json_atomically(folder / BEGUN, {"mcap_sha256": manifest.mcap_sha256})
        changed = {name: reason for name, scan in going.items() if (reason := _remove(scan))}
        if changed:
            kept |= changed
            going = {name: scan for name, scan in going.items() if name not in changed}
            _write_list(folder, going)
    size = sum(scan.state[0] for scan in going.values())
    return Removal(tuple(scan.path for scan in going.values()), size, dry_run, kept)


@dataclass(frozen=True)
class _Compared:
    """A scan as it was when it was compared with the archive.

    In a long drive it is removed only minutes later.
    """

    path: Path
    state: tuple[int, ...]


def _state_of(path: Path) -> tuple[int, ...]:
    """What changes as soon as somebody writes to a file; the size comes first.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        found = path.lstat()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _write_list(folder: Path, going: Mapping[str, _Compared]) -> None:
    lines = "".join(f"{scan.path}\n" for scan in going.values())
    write_atomically(folder / LIST, lines.encode())


def _why_kept(source: FrameSource, row: FrameRow | None) -> str | None:
    if row is None or not row.ok:
        return f"{source}: the archive does not hold it"
    if not isinstance(source, ScanFile):
        return f"{source}: the file holds more than this scan"
    if source.path.is_symlink():
        return f"{source}: a link, the scan is elsewhere"
    if not is_archived_scan(source, row):
        return not_archived_reason(source)
    return None


def _remove(scan: _Compared) -> str | None:
    """Remove a scan, or say why it stays."""
    try:
        if scan.path.exists() and _state_of(scan.path) != scan.state:
            return f"{scan.path}: changed since it was compared with the archive"
        scan.path.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, QuinrError):
            raise
        raise StorageError(f"{scan.path}: cannot be removed: {error.strerror}") from error
    return None
