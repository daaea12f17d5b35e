from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from quinr_lidar import RangeImage, SphericalProjection

FRAMES = 4


@dataclass(frozen=True, eq=False)
class Drive:
    """A few frames of a street: points, their range images, and where the sensor was."""

    scans: list[np.ndarray]
    images: list[RangeImage]
    poses: list[np.ndarray]

    @property
    def clouds(self) -> list[np.ndarray]:
        return [image.projection.back_project(image) for image in self.images]


@pytest.fixture(scope="session")
def drive() -> Drive:
    from pipeline.datasets.synthetic import scan_frame
    from pipeline.datasets.synthetic.drive import make_road

    road = make_road(FRAMES, 0)
    # A part of the points is enough, and faster.
    scans = [scan_frame(road, frame)[::4] for frame in range(FRAMES)]
    images = [SphericalProjection().project(scan) for scan in scans]
    return Drive(scans, images, [road.sensor_pose(frame) for frame in range(FRAMES)])
