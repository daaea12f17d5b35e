"""A recording: its scans in the order in which they were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.frame import Frame, FrameSource
from quinr_lidar.errors import DatasetError

Pose = NDArray[np.float64]


class Dataset:
    """Scans by frame id, never by position, since recordings have gaps.

    A layout whose data set knows more than its scans has a subclass, see
    :class:`pipeline.datasets.kitti_odometry.KittiOdometry`.

    Args:
        name: Sequence or drive, for instance "00" or "2011_09_26_drive_0009_sync".
        layout: What was recognised, for instance "kitti-odometry", "kitti-raw", "folder", "file".
        frames: Where the scans lie, in the order of recording.
    """

    sensor_height: ClassVar[float | None] = None
    """Height of the sensor above the ground, metres; ``None`` where the data set does not say."""

    def __init__(self, name: str, layout: str, frames: Iterable[FrameSource]) -> None:
        self.name = name
        self.layout = layout
        self._frames = {frame.frame_id: frame for frame in frames}

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """Frame ids in the order of recording."""
        return tuple(self._frames)

    def frame(self, frame_id: str) -> FrameSource:
        """Where one scan lies: what a job takes along to read it elsewhere.

        Raises:
            DatasetError: there is no such frame.
        """
        try:
            return self._frames[frame_id]
        except KeyError:
            ids = self.frame_ids
            raise DatasetError(
                f"{self.name}: no frame {frame_id!r}; there are {len(ids)}, {ids[0]} to {ids[-1]}"
            ) from None

    def frames(self) -> tuple[FrameSource, ...]:
        """Where all scans lie, in the order of recording."""
        return tuple(self._frames.values())

    def read(self, frame_id: str) -> Frame:
        """Read one scan.

        Raises:
            DatasetError: there is no such frame.
            ScanError: its file is not a scan.
            StorageError: its file cannot be read.
        """
        return self.frame(frame_id).read()

    def poses(self) -> Mapping[str, Pose]:
        """Where the sensor was, as far as the data set knows (ground truth).

        Returns:
            By frame id, float64 [4, 4]: from the sensor at the frame to the sensor at the first
            one. Empty here.

        Raises:
            DatasetError: the poses cannot be understood.
        """
        return {}
