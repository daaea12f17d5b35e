"""Each task alone: odometry, registration, ground, occupancy, and poses that data sets bring."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.datasets import open_dataset
from pipeline.datasets.synthetic import write_drive
from pipeline.evaluation.tasks.ground import THICKNESS, Ground, fit_ground, label_iou
from pipeline.evaluation.tasks.occupancy import occupancy, occupancy_iou
from pipeline.evaluation.tasks.odometry import Odometry
from pipeline.evaluation.tasks.registration import RegistrationCloud, register
from pipeline.evaluation.tasks.trajectory import pose_difference
from quinr_lidar.errors import BackendError, DatasetError, GeometryError


def true_step(drive, frame: int) -> np.ndarray:
    return np.linalg.inv(drive.poses[frame - 1]) @ drive.poses[frame]


def test_odometry_finds_where_the_sensor_went(drive):
    odometry = Odometry()
    poses = [odometry.add(scan) for scan in drive.scans]
    assert poses[0] == pytest.approx(np.eye(4))
    for frame in (1, 2, 3):
        truth = np.linalg.inv(drive.poses[0]) @ drive.poses[frame]
        metres, degrees = pose_difference(truth, poses[frame])
        assert metres < 0.3
        assert degrees < 0.3
    again = Odometry()
    assert (np.array([again.add(scan) for scan in drive.scans]) == np.array(poses)).all()


def test_odometry_refuses_what_it_cannot_register():
    for points in (np.zeros((5, 3)), np.zeros((500, 2)), np.zeros(500)):
        with pytest.raises(GeometryError, match="odometry: expected points"):
            Odometry().add(points)


def test_odometry_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kiss_icp.config", None)
    with pytest.raises(BackendError, match=r"pip install 'quinr-lidar\[evaluation\]'"):
        Odometry()


def test_registration_undoes_a_motion(drive):
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("zyx", [2, 0.3, -0.2], degrees=True).as_matrix()
    motion[:3, 3] = [0.8, -0.1, 0.05]
    here = drive.clouds[0].astype(float)
    # The same points, seen by a sensor that has moved so.
    there = (here - motion[:3, 3]) @ motion[:3, :3]
    step = register(RegistrationCloud(here), RegistrationCloud(there))
    metres, degrees = pose_difference(motion, step.motion)
    assert metres < 0.02
    assert degrees < 0.05
    assert step.fitness > 0.95
    assert 0 < step.rmse_m < 0.2


def test_registration_of_frames_is_near_the_truth(drive):
    first, second = (RegistrationCloud(cloud) for cloud in drive.clouds[:2])
    metres, degrees = pose_difference(true_step(drive, 1), register(first, second).motion)
    assert metres < 0.1
    assert degrees < 0.3


def plane_and_walls(slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Road 1.73 m below the sensor, and two walls; which points are road."""
    rng = np.random.default_rng(0)
    road = rng.uniform(-25, 25, size=(4000, 3)) * [1, 0.3, 0]
    road[:, 2] = -1.73 + slope * road[:, 0] + rng.normal(scale=0.02, size=4000)
    wall = rng.uniform(-25, 25, size=(3000, 3)) * [1, 0, 0] + [0, 8, 0]
    wall[:, 2] = rng.uniform(-1.2, 4, size=3000)
    points = np.vstack([road, wall])
    return points, np.arange(len(points)) < 4000


@pytest.mark.parametrize("slope", [0.0, 0.03])
def test_ground_is_the_plane_of_the_road(slope):
    points, is_road = plane_and_walls(slope)
    ground = fit_ground(points, seed=1)
    assert ground is not None
    assert ground.normal[2] > 0
    upwards = np.array([-slope, 0, 1]) / np.hypot(slope, 1)
    assert ground.normal @ upwards == pytest.approx(1, abs=1e-4)
    assert ground.heights(np.array([[0, 0, -1.73]])) == pytest.approx(0, abs=0.02)
    near = np.hypot(points[:, 0], points[:, 1]) < 30
    # Feet of walls are near the plane as well.
    assert ground.labels(points)[is_road & near].mean() > 0.999
    assert not ground.labels(points)[points[:, 2] > 0.9 + THICKNESS].any()


def test_ground_is_the_same_for_the_same_seed():
    points, _ = plane_and_walls(0.02)
    first, second = fit_ground(points, seed=3), fit_ground(points, seed=3)
    assert first is not None
    assert second is not None
    assert (first.normal == second.normal).all()
    assert first.offset == second.offset


def test_ground_needs_low_points():
    assert fit_ground(np.full((500, 3), 2.0)) is None
    assert fit_ground(np.full((10, 3), -1.7)) is None


def test_ground_lies_where_the_sensor_height_puts_it():
    """A sensor half a metre above the ground: nothing lies 0.8 m below it."""
    points, _ = plane_and_walls(0)
    raised = points + np.array([0, 0, 1.23])
    assert fit_ground(raised) is None
    ground = fit_ground(raised, sensor_height=0.5)
    assert ground is not None
    assert ground.heights(np.array([[0, 0, -0.5]])) == pytest.approx(0, abs=0.02)


def test_heights_by_hand():
    ground = Ground(np.array([0.0, 0.0, 1.0]), 1.7)
    assert ground.heights(np.array([[5.0, 0, -1.7], [0, 1, 0]])) == pytest.approx([0, 1.7])
    points = np.array([[5.0, 0, -1.6], [5.0, 0, -1.4], [31.0, 0, -1.7]])
    assert ground.labels(points).tolist() == [True, False, False]


def test_label_iou_counts():
    first, second = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert label_iou(first, second) == pytest.approx(1 / 3)
    assert label_iou(~first, first) == 0
    assert label_iou(np.zeros(3, bool), np.zeros(3, bool)) == 1


def test_occupancy_by_sets_of_squares():
    rng = np.random.default_rng(2)
    first = rng.uniform(-12, 12, size=(4000, 3))
    second = first + rng.normal(scale=0.05, size=first.shape)
    cells = [
        {
            (int(np.floor(x / 0.2)), int(np.floor(y / 0.2)))
            for x, y, _ in points
            if -10 <= np.floor(x / 0.2) * 0.2 + 0.1 < 10
            and -10 < np.floor(y / 0.2) * 0.2 + 0.1 < 10
        }
        for points in (first, second)
    ]
    expected = len(cells[0] & cells[1]) / len(cells[0] | cells[1])
    assert 0.3 < expected < 0.95
    assert occupancy_iou(first, second, cell=0.2, reach=10) == pytest.approx(expected)
    grid = occupancy(first, cell=0.2, reach=10)
    assert grid.shape == (100, 100)
    assert {(int(x) - 50, int(y) - 50) for x, y in np.argwhere(grid)} == cells[0]


def test_occupancy_of_the_same_and_of_nothing():
    points = np.random.default_rng(0).normal(size=(50, 3))
    assert occupancy_iou(points, points) == 1
    assert occupancy_iou(points, points + np.array([10, 0, 0])) == 0
    assert occupancy_iou(np.empty((0, 3)), np.empty((0, 3))) == 1


def test_poses_of_a_drive_are_those_of_its_velodyne(tmp_path, drive):
    write_drive(tmp_path, frames=3)
    dataset = open_dataset(tmp_path)
    poses = dataset.poses()
    assert list(poses) == ["000000", "000001", "000002"]
    for name, frame in (("000001", 1), ("000002", 2)):
        truth = np.linalg.inv(drive.poses[0]) @ drive.poses[frame]
        assert poses[name] == pytest.approx(truth, abs=1e-6)
    for line in (b"1 2 3\n", b"nan " * 12, b"\xff\xfe", b"1 " * 11 + b"x"):
        (tmp_path / "poses" / "00.txt").write_bytes(line)
        with pytest.raises(DatasetError, match="12 numbers a line"):
            dataset.poses()
    (tmp_path / "poses" / "00.txt").unlink()
    assert open_dataset(tmp_path).poses() == {}
