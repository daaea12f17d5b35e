"""Sequences of the KITTI odometry benchmark (Geiger et al., 2012), and folders laid out alike.

Layout::

    ROOT/sequences/00/velodyne/000000.bin ..   scans
    ROOT/sequences/00/calib.txt, times.txt     calibration; one time a line, for every frame
    ROOT/poses/00.txt                          ground truth, of some sequences

Only the scans are needed. Calibration, times and poses are read by pykitti.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets import folder as plain_folder
from pipeline.datasets.dataset import Dataset, Pose
from pipeline.datasets.frame import ScanFile
from pipeline.datasets.layout import Layout, drive_name, has_scans, scan_files
from pipeline.datasets.velodyne import SUFFIX, parse_velodyne
from quinr_lidar.errors import DatasetError

SENSOR_HEIGHT = 1.73
"""Height of the velodyne above the ground, metres (Geiger et al., 2013, figure 1)."""

FRAME_SECONDS = 0.1
"""KITTI's velodyne turns at 10 Hz."""

_MISREAD = (KeyError, ValueError, IndexError, OverflowError)
"""What pykitti raises at files that it does not understand."""


class KittiOdometry(Dataset):
    """A complete sequence.

    Args:
        folder: The sequence's, ``ROOT/sequences/NAME``.
    """

    sensor_height = SENSOR_HEIGHT

    def __init__(self, folder: Path) -> None:
        self._root, name = folder.parent.parent, drive_name(folder)
        files = scan_files(folder / "velodyne", SUFFIX)
        try:
            times = [time.total_seconds() for time in _pykitti(self._root, name).timestamps]
        except _MISREAD as error:
            raise DatasetError(
                f"{folder}: calib.txt, times.txt or its poses cannot be understood "
                f"({type(error).__name__}: {error}); expected KITTI's P0..P3 and Tr, one time a "
                f"line, and 12 numbers a line in poses/{name}.txt"
            ) from error
        frames = [
            ScanFile(file.stem, file, parse_velodyne, _time_of(file.stem, times)) for file in files
        ]
        super().__init__(name, "kitti-odometry", frames)

    def poses(self) -> Mapping[str, Pose]:
        """The velodyne's poses, from KITTI's poses of the left camera; see :class:`Dataset`."""
        file = self._root / "poses" / f"{self.name}.txt"
        if not file.is_file():
            return {}
        try:
            camera = np.asarray(_pykitti(self._root, self.name).calib.T_cam0_velo, float)
            back = np.linalg.inv(camera)
            rows = np.loadtxt(file, ndmin=2).reshape(-1, 3, 4)
            if not np.isfinite(rows).all():
                raise ValueError("a number that is not finite")
        except (*_MISREAD, OSError) as error:
            raise DatasetError(
                f"{file}: expected 12 numbers a line, and KITTI's calib.txt and times.txt beside "
                f"the scans: {error}"
            ) from error
        last_row = np.broadcast_to([[[0.0, 0, 0, 1]]], (len(rows), 1, 4))
        poses = np.concatenate([rows, last_row], axis=1)
        return {f"{index:06d}": back @ pose @ camera for index, pose in enumerate(poses)}


class KittiOdometryLayout(Layout):
    """A sequence's folder, or the root of several sequences."""

    tree = (
        "ROOT/sequences/00/velodyne/000000.bin ..   a KITTI odometry data set (choose a sequence)"
    )

    def recognises(self, path: Path) -> bool:
        """A folder with ``velodyne`` in it, or the ``velodyne`` folder of a complete sequence."""
        return (path / "velodyne").is_dir() or (
            path.name == "velodyne" and _is_complete(path.absolute().parent)
        )

    def scans_at(self, folder: Path) -> Path | None:
        """See :meth:`Layout.scans_at`."""
        place = folder / "velodyne"
        return place if has_scans(place, SUFFIX) else None

    def sequences(self, root: Path) -> Mapping[str, Path] | None:
        """See :meth:`Layout.sequences`."""
        if not (root / "sequences").is_dir():
            return None
        found = sorted(sequence for sequence in (root / "sequences").iterdir())
        return {folder.name: folder for folder in found if (folder / "velodyne").is_dir()}

    def open(self, path: Path) -> Dataset:
        """See :meth:`Layout.open`; without calibration or times, the scans alone."""
        folder = path if (path / "velodyne").is_dir() else path.absolute().parent
        if _is_complete(folder):
            return KittiOdometry(folder)
        return plain_folder.Folder().open(folder / "velodyne")


def sequence_folder(root: Path, sequence: str) -> Path:
    """Where a sequence lies in a KITTI odometry data set."""
    return root / "sequences" / sequence


def scan_path(root: Path, sequence: str, frame_id: str) -> Path:
    """Where a scan lies in a KITTI odometry data set."""
    return sequence_folder(root, sequence) / "velodyne" / f"{frame_id}{SUFFIX}"


def _is_complete(folder: Path) -> bool:
    complete = all((folder / needed).is_file() for needed in ("calib.txt", "times.txt"))
    return complete and folder.parent.name == "sequences"


def _time_of(frame_id: str, times: list[float]) -> float | None:
    """A frame's time: ``times.txt`` counts every frame of the sequence, an id is its line."""
    is_number = frame_id.isascii() and frame_id.isdigit()
    return times[int(frame_id)] if is_number and int(frame_id) < len(times) else None


def _pykitti(root: Path, sequence: str) -> Any:
    # It imports OpenCV and matplotlib, and only complete data sets need it.
    import pykitti

    # It prints where a sequence has no poses.
    with redirect_stdout(io.StringIO()):
        return pykitti.odometry(str(root), sequence)
