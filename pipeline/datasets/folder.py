"""A folder of velodyne scans and nothing else, which is what one has who downloaded only those."""

from __future__ import annotations

from pathlib import Path

from pipeline.datasets.dataset import Dataset
from pipeline.datasets.frame import ScanFile
from pipeline.datasets.layout import Layout, drive_name, has_scans, scan_files
from pipeline.datasets.velodyne import SUFFIX, parse_velodyne

NAME = "folder"
"""Name of the layout; also of KITTI's without what belongs to the scans (times, calibration)."""


class Folder(Layout):
    """Scans that lie in the folder itself."""

    tree = "FOLDER/velodyne/*.bin or FOLDER/*.bin   a folder of scans"

    def recognises(self, path: Path) -> bool:
        """Any folder: opening it says if there are no scans."""
        return path.is_dir()

    def scans_at(self, folder: Path) -> Path | None:
        """See :meth:`Layout.scans_at`."""
        return folder if has_scans(folder, SUFFIX) else None

    def open(self, path: Path) -> Dataset:
        """See :meth:`Layout.open`."""
        files = scan_files(path, SUFFIX)
        frames = [ScanFile(file.stem, file, parse_velodyne) for file in files]
        return Dataset(drive_name(path), NAME, frames)
