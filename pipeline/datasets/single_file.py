"""A single scan as a data set of one frame."""

from __future__ import annotations

from pathlib import Path

from pipeline.datasets.dataset import Dataset
from pipeline.datasets.frame import Frame, ScanFile
from pipeline.datasets.layout import Layout
from pipeline.datasets.velodyne import parse_velodyne


class SingleFile(Layout):
    """One velodyne file."""

    tree = "SCAN.bin   a single scan"

    def recognises(self, path: Path) -> bool:
        """Any file: whether it is a scan shows when it is read."""
        return path.is_file()

    def open(self, path: Path) -> Dataset:
        """See :meth:`Layout.open`."""
        return Dataset(path.parent.name or "scan", "file", [scan_file(path)])


def read_scan(path: Path) -> Frame:
    """Read a single velodyne file; its frame id is the file's name without ``.bin``.

    Raises:
        ScanError: it is no scan; names the file.
        StorageError: it cannot be read; names the file.
    """
    return scan_file(path).read()


def scan_file(path: Path) -> ScanFile:
    """Where a single velodyne file lies; its frame id is the file's name without ``.bin``."""
    return ScanFile(path.stem, path, parse_velodyne)
