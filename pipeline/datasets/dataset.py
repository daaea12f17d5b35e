"""A sequence of scans, whatever its layout on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.velodyne import read_velodyne
from quinr_lidar.errors import DatasetError


@dataclass(frozen=True)
class Dataset:
    """Scans keyed by frame id: never by position, since recordings have gaps.

    Attributes:
        name: Sequence or drive ("00", "2011_09_26_drive_0009_sync").
        layout: What was recognised ("kitti-odometry", "kitti-raw", "folder", "file").
        files: Path of every scan by frame id, in the order of recording.
        timestamps: Seconds by frame id; empty when the data set has none.
    """

    name: str
    layout: str
    files: Mapping[str, Path]
    timestamps: Mapping[str, float] = field(default_factory=dict)

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """Frame ids in the order of recording."""
        return tuple(self.files)

    def path(self, frame_id: str) -> Path:
        """The scan's file.

        Raises:
            DatasetError: there is no such frame.
        """
        try:
            return self.files[frame_id]
        except KeyError:
            raise DatasetError(
                f"{self.name}: no frame {frame_id!r}; there are {len(self.files)}, "
                f"{self.frame_ids[0]} to {self.frame_ids[-1]}"
            ) from None

    def points(self, frame_id: str) -> NDArray[np.float32]:
        """float32 [N, 4]: x, y, z in metres and reflectance.

        Raises:
            DatasetError: there is no such frame.
            ScanError: its file is not a scan.
        """
        return read_velodyne(self.path(frame_id))

    def timestamp(self, frame_id: str) -> float | None:
        """Seconds, or ``None`` when the data set has no time for the frame."""
        return self.timestamps.get(frame_id)
