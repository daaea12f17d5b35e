"""What every layout of a data set on disk says of itself, and what layouts share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.dataset import Dataset
from quinr_lidar.errors import DatasetError


class NoScansError(DatasetError):
    """A place without scans; whoever opens the data set adds which trees would be understood."""


class Layout(ABC):
    """How the scans of a recording (a drive) lie on disk.

    A new layout is a file with a subclass, and an entry in
    :data:`pipeline.datasets.registry.LAYOUTS`.
    """

    tree: ClassVar[str]
    """The tree that is understood and what it is, one line, for error messages."""

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether a path is a drive in this layout."""

    @abstractmethod
    def open(self, path: Path) -> Dataset:
        """Open a drive that was recognised.

        Raises:
            DatasetError: its files cannot be understood.
        """

    def scans_at(self, folder: Path) -> Path | None:
        """Where in a folder scans of this layout lie; ``None`` if there are none."""
        del folder
        return None

    def sequences(self, root: Path) -> Mapping[str, Path] | None:
        """The drives of a data set that has several, by their names.

        Returns:
            Sorted by name, possibly empty; ``None`` if the folder is no such data set.
        """
        del root
        return None


def scan_files(folder: Path, suffix: str) -> list[Path]:
    """Files of a folder that end in a suffix: numbers in numerical order, then names.

    Raises:
        NoScansError: there is none.
    """
    found = list(_files(folder, suffix))
    if not found:
        raise NoScansError(f"{folder}: no {suffix} scans in it")
    return sorted(found, key=lambda file: (not file.stem.isdigit(), file.stem.zfill(20), file.stem))


def has_scans(folder: Path, suffix: str) -> bool:
    """Whether a folder holds a file that ends in a suffix; hidden files do not count."""
    return any(True for _ in _files(folder, suffix))


def drive_name(folder: Path) -> str:
    """What a drive is called: its folder's name, or that of the folder around ``velodyne``."""
    resolved = folder.resolve()
    return resolved.parent.name if resolved.name == "velodyne" else resolved.name


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    if folder.is_dir():
        for file in folder.iterdir():
            if file.suffix == suffix and not file.name.startswith(".") and file.is_file():
                yield file
