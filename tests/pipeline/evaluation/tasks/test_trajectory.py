"""Trajectory errors against KISS-ICP's own implementation of KITTI's, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.evaluation.tasks.trajectory import (
    absolute_error,
    pose_difference,
    relative_errors,
    trajectory_errors,
)
from quinr_lidar.errors import GeometryError


def drive(frames: int, noise: float, seed: int = 0, speed: float = 1.0) -> np.ndarray:
    """A winding drive whose steps err by so much."""
    rng = np.random.default_rng(seed)
    poses = [np.eye(4)]
    for frame in range(frames - 1):
        step = np.eye(4)
        yaw = 0.02 * np.sin(frame / 20) + noise * rng.normal()
        step[:3, :3] = Rotation.from_euler("zyx", [yaw, noise * rng.normal(), 0]).as_matrix()
        step[:3, 3] = [speed, 0, 0] + noise * rng.normal(size=3)
        poses.append(poses[-1] @ step)
    return np.array(poses)


def moved(poses: np.ndarray) -> np.ndarray:
    """The same trajectory seen from another frame."""
    place = np.eye(4)
    place[:3, :3] = Rotation.from_euler("zyx", [1.0, 0.3, -0.4]).as_matrix()
    place[:3, 3] = [100, -20, 3]
    return place @ poses


def test_long_drives_are_judged_as_kitti_does():
    kiss = pytest.importorskip("kiss_icp.metrics")
    truth, estimate = drive(1200, 0), drive(1200, 2e-3)
    percent, degrees = kiss.sequence_error(truth, estimate)
    _, metres = kiss.absolute_trajectory_error(truth, moved(estimate))
    found = trajectory_errors(truth, moved(estimate))
    assert found.translation_per_m == pytest.approx(percent / 100, rel=1e-4)
    # Theirs is in single precision, by the arc cosine of a trace.
    assert found.rotation_deg_per_m == pytest.approx(degrees, rel=2e-3)
    assert found.absolute_m == pytest.approx(metres, rel=1e-4)
    assert found.path_m == pytest.approx(1199)
    assert percent > 0.1


def test_short_drives_by_hand():
    """Every step 1 % too long: so is every stretch."""
    truth, estimate = drive(42, 0), drive(42, 0, speed=1.01)
    found = trajectory_errors(truth, estimate)
    # A little less than 1 % in bends.
    assert found.translation_per_m == pytest.approx(0.01, rel=5e-3)
    assert found.rotation_deg_per_m == pytest.approx(0, abs=1e-9)
    # 1/16 to 8/16 of 41 m: stretches of more than 2.56, 5.13, ... 20.5 m.
    assert found.segments == sum(42 - frames for frames in (3, 6, 8, 11, 13, 16, 18, 21))


def test_a_few_frames_have_errors_too():
    truth, estimate = drive(2, 0), drive(2, 0, speed=1.1)
    found = trajectory_errors(truth, estimate)
    assert (found.segments, found.translation_per_m) == (1, pytest.approx(0.1))


def test_where_the_trajectory_begins_does_not_matter():
    truth, estimate = drive(60, 0), drive(60, 1e-2)
    here, there = trajectory_errors(truth, estimate), trajectory_errors(truth, moved(estimate))
    assert there.translation_per_m == pytest.approx(here.translation_per_m)
    assert there.absolute_m == pytest.approx(here.absolute_m)
    assert here.absolute_m > 0.01


def test_absolute_error_is_that_after_the_best_alignment():
    truth, estimate = drive(200, 0), drive(200, 5e-3)
    first = truth[:, :3, 3] - truth[:, :3, 3].mean(axis=0)
    second = moved(estimate)[:, :3, 3]
    second = second - second.mean(axis=0)
    rotation, distance = Rotation.align_vectors(first, second)
    assert np.linalg.norm(rotation.apply(second) - first) == pytest.approx(distance)
    expected = distance / np.sqrt(len(first))
    assert absolute_error(truth, moved(estimate)) == pytest.approx(expected)
    assert expected > 0.01


def test_alignment_makes_no_mirror_images():
    """A flat drive turned upside down is a rotation; its mirror image is not one."""
    rng = np.random.default_rng(3)
    poses = np.tile(np.eye(4), (30, 1, 1))
    poses[:, :3, 3] = rng.normal(size=(30, 3))
    mirrored = poses.copy()
    mirrored[:, 0, 3] *= -1
    assert absolute_error(poses, mirrored) > 0.1
    assert absolute_error(poses, moved(poses)) == pytest.approx(0, abs=1e-9)


def test_pose_difference():
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("z", 10, degrees=True).as_matrix()
    motion[:3, 3] = [3, 4, 0]
    assert pose_difference(np.eye(4), motion) == pytest.approx((5, 10))
    assert pose_difference(motion, motion) == pytest.approx((0, 0), abs=1e-6)


def test_poses_that_do_not_fit_are_refused():
    truth = drive(5, 0)
    for reference, estimate in ((truth, truth[:4]), (truth[:1], truth[:1])):
        with pytest.raises(GeometryError, match="same two or more frames"):
            trajectory_errors(list(reference), list(estimate))
    with pytest.raises(GeometryError, match="finite"):
        trajectory_errors(list(truth), list(truth * np.nan))
    with pytest.raises(GeometryError, match=r"\[4, 4\]"):
        trajectory_errors(list(truth[:, :3]), list(truth[:, :3]))


def test_standing_still_has_no_relative_error():
    still = np.tile(np.eye(4), (4, 1, 1))
    assert relative_errors(still, still).shape == (0, 2)
    assert trajectory_errors(list(still), list(still)).translation_per_m is None
