"""Drives of KITTI's raw recordings (Geiger et al., 2013).

Layout::

    ROOT/2011_09_26/2011_09_26_drive_0009_sync/velodyne_points/data/0000000000.bin ..
    ROOT/2011_09_26/2011_09_26_drive_0009_sync/velodyne_points/timestamps.txt

Only the scans are needed. Scans may be missing (drive 0009 lacks four of them).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from pipeline.datasets import folder as plain_folder
from pipeline.datasets.dataset import Dataset, Pose
from pipeline.datasets.frame import ScanFile
from pipeline.datasets.kitti_odometry import SENSOR_HEIGHT
from pipeline.datasets.layout import Layout, has_scans, scan_files
from pipeline.datasets.velodyne import SUFFIX, parse_velodyne
from quinr_lidar.errors import DatasetError

_NAME = re.compile(r"(\d{4}_\d\d_\d\d)_drive_(\d{4})_(sync|extract)")
_SCANS = Path("velodyne_points", "data")


class KittiRaw(Dataset):
    """A complete drive: with times, calibration and the car's positions (oxts).

    Args:
        drive: Its folder.
        frames: Where its scans lie.
    """

    sensor_height = SENSOR_HEIGHT

    def __init__(self, drive: Path, frames: Iterable[ScanFile]) -> None:
        super().__init__(drive.name, "kitti-raw", frames)
        # It imports OpenCV and matplotlib, and only complete data sets need it.
        import pykitti

        date, number, kind = _NAME.fullmatch(drive.name).groups()  # pyright: ignore[reportOptionalMemberAccess]
        try:
            self._drive = pykitti.raw(str(drive.parent.parent), date, number, dataset=kind)
        except (KeyError, ValueError, IndexError, OverflowError, OSError) as error:
            raise DatasetError(f"{drive}: pykitti cannot read the drive: {error}") from error

    def poses(self) -> Mapping[str, Pose]:
        """The velodyne's poses, from the car's positions by GPS and IMU; see :class:`Dataset`."""
        sensor = np.linalg.inv(np.asarray(self._drive.calib.T_velo_imu, float))
        poses = [np.asarray(oxts.T_w_imu, float) @ sensor for oxts in self._drive.oxts]
        names = [Path(file).stem for file in self._drive.oxts_files]
        return {
            name: np.linalg.inv(poses[0]) @ pose for name, pose in zip(names, poses, strict=True)
        }


class KittiRawLayout(Layout):
    """A drive's folder."""

    tree = "ROOT/<date>/<drive>_sync/velodyne_points/data/0000000000.bin ..   a KITTI raw drive"

    def recognises(self, path: Path) -> bool:
        """See :meth:`Layout.recognises`."""
        return (path / _SCANS).is_dir()

    def scans_at(self, folder: Path) -> Path | None:
        """See :meth:`Layout.scans_at`."""
        place = folder / _SCANS
        return place if has_scans(place, SUFFIX) else None

    def open(self, path: Path) -> Dataset:
        """See :meth:`Layout.open`; what is not complete is opened as far as it is there."""
        files = {file.stem: file for file in scan_files(path / _SCANS, SUFFIX)}
        match = _NAME.fullmatch(path.name)
        stamps = path / "velodyne_points" / "timestamps.txt"
        in_place = match is not None and stamps.is_file() and path.parent.name == match[1]
        times = _times(stamps, files) if in_place else {}
        frames = [
            ScanFile(name, file, parse_velodyne, times.get(name)) for name, file in files.items()
        ]
        if in_place and _is_calibrated(path):
            return KittiRaw(path, frames)
        return Dataset(path.name, plain_folder.NAME, frames)


def _is_calibrated(drive: Path) -> bool:
    parts = ("cam_to_cam", "imu_to_velo", "velo_to_cam")
    calibrated = all((drive.parent / f"calib_{part}.txt").is_file() for part in parts)
    return calibrated and (drive / "oxts" / "data").is_dir()


def _times(stamps: Path, files: Mapping[str, Path]) -> dict[str, float]:
    """Seconds by frame id, of the velodyne's own clock: line k of the file is frame k."""
    times: dict[str, float] = {}
    # What is no text is no time either, and is named with its line.
    for index, line in enumerate(stamps.read_text(errors="replace").splitlines()):
        frame_id = f"{index:010d}"
        if frame_id in files and line.strip():
            try:
                # Nanoseconds are more digits than datetime takes.
                times[frame_id] = datetime.fromisoformat(line.strip()[:26] + "+00:00").timestamp()
            except ValueError as error:
                raise DatasetError(
                    f"{stamps}: line {index + 1}: expected a date and time, got {line!r}"
                ) from error
    return times
