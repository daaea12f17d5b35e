"""Facts of the shared scans that must reproduce."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets import open_dataset, read_scan
from quinr_lidar import SphericalProjection

pytestmark = pytest.mark.realdata


@pytest.mark.parametrize(
    ("scan", "points", "valid"),
    [
        ("odometry/sequences/00/velodyne/000000.bin", 124_668, 51_770),
        ("object/training/velodyne/000000.bin", 115_384, 47_722),
        ("object/training/velodyne/000001.bin", 120_268, 50_640),
        ("object/training/velodyne/000002.bin", 126_891, 51_665),
        ("other/scan_a.bin", 120_610, 50_797),
    ],
)
def test_measured_pixels(data_root, scan, points, valid):
    projection = SphericalProjection()
    image = projection.project(read_scan(data_root / "kitti" / scan).points)
    assert image.stats is not None
    assert (image.stats.points, image.stats.valid) == (points, valid)
    again = projection.project(projection.back_project(image))
    np.testing.assert_array_equal(again.valid, image.valid)
    np.testing.assert_allclose(again.ranges, image.ranges, atol=1e-4)


def test_readers_need_neither_calibration_nor_times(data_root):
    dataset = open_dataset(data_root / "kitti" / "odometry")
    assert dataset.name == "00"
    assert dataset.frame_ids == tuple(f"{index:06d}" for index in range(6))
    assert len(open_dataset(data_root / "kitti" / "object" / "training").frame_ids) == 3
    others = data_root / "kitti" / "other"
    assert "scan_a" in open_dataset(others).frame_ids
    assert open_dataset(others).frame_ids == tuple(sorted(path.stem for path in others.iterdir()))
