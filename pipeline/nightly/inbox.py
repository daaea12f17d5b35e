"""Many drives: those of a KITTI root or of a folder into which drives arrive, and what is new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.layout import MANIFEST, MCAP, MismatchError
from pipeline.archive.manifest import FrameRow
from pipeline.archive.reader import PackedSequence
from pipeline.archive.scan import Notes, scan
from pipeline.datasets import Dataset, open_dataset
from pipeline.datasets.layouts import EXPECTED
from pipeline.storage.locations import Bytes, Location, locate
from quinr_lidar import Profile
from quinr_lidar.errors import ArchiveError, DatasetError

DEPTH = 3
"""Folders between an inbox and a drive in it, at most: KITTI raw has a date between."""

_BLOCK = 1 << 22

_SCANS = (Path("velodyne_points", "data"), Path("velodyne"), Path())


@dataclass(frozen=True)
class Drive:
    """A sequence of scans that was found.

    Attributes:
        path: What :func:`pipeline.datasets.open_dataset` opens.
        name: Of the archive that it becomes.
    """

    path: Path
    name: str

    def open(self) -> Dataset:
        """Its scans.

        Raises:
            DatasetError: they cannot be read.
        """
        return open_dataset(self.path)


def drives_in(root: Path) -> list[Drive]:
    """Every drive at or below a folder that has at least one scan.

    Args:
        root: A drive, a KITTI odometry or raw data set, or a folder of any of these.

    Raises:
        DatasetError: no such folder, it cannot be read, or two drives of one name, which would
            be archived into one folder.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder\n{EXPECTED}")
    try:
        found = [Drive(path, _name(path)) for path in _drives(root, DEPTH)]
    except PermissionError as error:
        raise DatasetError(f"{error.filename or root}: cannot be read: {error.strerror}") from error
    by_name: dict[str, Drive] = {}
    for drive in found:
        if drive.name in by_name:
            raise DatasetError(
                f"{root}: two drives are named {drive.name}: {by_name[drive.name].path} and "
                f"{drive.path}; archive them into different folders, or rename one"
            )
        by_name[drive.name] = drive
    return sorted(found, key=lambda drive: (drive.name.zfill(20), drive.name))


def _drives(folder: Path, depth: int) -> Iterator[Path]:
    if any(_has_scans(folder / below) for below in _SCANS):
        yield folder
        if not _has_scans(folder) or any(_has_scans(folder / below) for below in _SCANS[:-1]):
            return
        # Its scans lie in the folder itself: one that got lost here must not hide the drives
        # below.
    if not depth:
        return
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            yield from _drives(child, depth - 1)


def _name(path: Path) -> str:
    resolved = path.resolve()
    return resolved.parent.name if resolved.name == "velodyne" else resolved.name


def _has_scans(folder: Path) -> bool:
    return folder.is_dir() and any(
        entry.suffix == ".bin" and not entry.name.startswith(".") for entry in folder.iterdir()
    )


def newest_change(dataset: Dataset) -> float:
    """When a drive's scans changed last, seconds since the epoch."""
    return max(path.stat().st_mtime for path in dataset.files.values())


def packed_location(folder: Path, packed: str | None) -> Location:
    """Where a sequence's packed archive belongs.

    Args:
        folder: Of the sequence's frames.
        packed: Folder or URL of all packed archives; beside the frames if left out.
    """
    return locate(folder) if packed is None else locate(packed) / folder.name


def is_archived(dataset: Dataset, archive: Location, profile: Profile) -> bool:
    """Whether every scan of a drive is in its packed archive, made with these settings.

    Scans are compared by their sizes, not read: what changed them without changing the size is
    found by a deep verification only.

    Raises:
        ArchiveError, StorageError: as :func:`check_settings`.
    """
    rows = {row.frame_id: row for row in check_settings(archive, profile) if row.ok}
    sizes = {frame_id: path.stat().st_size for frame_id, path in dataset.files.items()}
    return all(
        frame_id in rows and rows[frame_id].figures.get("raw_bytes") == size
        for frame_id, size in sizes.items()
    )


def check_settings(archive: Location, profile: Profile) -> Sequence[FrameRow]:
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
        _check_profile(archive, _noted_rows(archive), profile)
        return ()
    _check_profile(archive, rows, profile)
    return rows


def _noted_rows(archive: Location) -> list[FrameRow]:
    """What an MCAP says of its frames, whatever its manifest says."""
    found = scan(Bytes(archive / MCAP, _BLOCK))
    return [row for notes in found if isinstance(notes, Notes) for row in notes.rows]


def _check_profile(archive: Location, rows: Sequence[FrameRow], profile: Profile) -> None:
    for row in rows:
        if row.ok and row.profile != profile.digest():
            raise ArchiveError(
                f"{archive.name}: profile: expected an archive of the settings asked for, but "
                f"frame {row.frame_id} was made with others; overwrite it, or archive into "
                "another folder"
            )
