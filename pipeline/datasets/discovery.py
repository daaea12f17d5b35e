"""Finding drives: those of a data set's root, or of a folder into which drives arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets.dataset import Dataset
from pipeline.datasets.layout import drive_name
from pipeline.datasets.registry import EXPECTED, LAYOUTS, open_dataset
from quinr_lidar.errors import DatasetError

DEPTH = 3
"""Folders between a root and a drive in it, at most: KITTI raw has a date between."""


@dataclass(frozen=True)
class Drive:
    """A drive that was found.

    Attributes:
        path: What :func:`~pipeline.datasets.registry.open_dataset` opens.
        name: Name of the drive and of the archive that it becomes.
    """

    path: Path
    name: str

    def open(self) -> Dataset:
        """Open its scans.

        Raises:
            DatasetError: they cannot be read.
        """
        return open_dataset(self.path)


def drives_in(root: Path) -> list[Drive]:
    """Find every drive at or below a folder that has at least one scan.

    Args:
        root: A drive, a KITTI odometry or raw data set, or a folder of any of these.

    Returns:
        Sorted by name, numbers in numerical order.

    Raises:
        DatasetError: no such folder, it cannot be read, or two drives of one name, which would
            be archived into one folder.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder\n{EXPECTED}")
    try:
        found = [Drive(path, drive_name(path)) for path in _drives(root, DEPTH)]
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


def newest_change(dataset: Dataset) -> float:
    """When a drive's scans changed last, seconds since the epoch.

    Raises:
        StorageError: a scan is gone.
    """
    return max(frame.changed() for frame in dataset.frames())


def _drives(folder: Path, depth: int) -> Iterator[Path]:
    places = {place for layout in LAYOUTS if (place := layout.scans_at(folder)) is not None}
    if places:
        yield folder
    # Scans in the folder itself may have got lost there: they must not hide the drives below.
    if places - {folder} or not depth:
        return
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            yield from _drives(child, depth - 1)
