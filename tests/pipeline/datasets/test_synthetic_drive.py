"""The synthetic drive: looks like a KITTI scan, is a KITTI sequence, repeats byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pykitti
import pytest
from scipy.spatial import KDTree

from pipeline.datasets.synthetic import write_drive
from pipeline.datasets.synthetic.drive import make_road, scan_frame
from pipeline.datasets.synthetic.hdl64e import ELEVATIONS, scan
from pipeline.datasets.synthetic.mesh import Material, box
from pipeline.datasets.synthetic.street import street_around, traffic
from pipeline.datasets.synthetic.trajectory import MARGIN
from quinr_lidar.errors import DatasetError
from quinr_lidar.geometry import SphericalProjection

FRAMES = 3

# Range quantiles of the valid pixels of ten KITTI frames (odometry 00, object 000000 to
# 000002), metres: 4.0..4.8, 4.7..6.5, 5.6..9.4, 8.0..15.5
# and 18..46. Here widened by about a third.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BANDS = ((2.6, 6.4), (3.5, 8.6), (4.2, 12.4), (6.0, 20.7), (13.5, 61.0))


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("drive"), frames=FRAMES, seed=3)


def files(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


@pytest.mark.parametrize(("seed", "frame"), [(0, 0), (0, 50), (1, 20), (2, 90), (5, 400)])
def test_range_image_looks_like_kitti(seed: int, frame: int) -> None:
    points = scan_frame(make_road(frame + 1, seed), frame)
    image = SphericalProjection().project(points)
    assert 0.70 <= image.valid.mean() <= 0.85
    assert image.stats is not None
    assert image.stats.non_finite == image.stats.zero_range == 0
    found = np.quantile(image.ranges[image.valid], QUANTILES)
    for value, (low, high) in zip(found, BANDS, strict=True):
        assert low <= value <= high, (found, BANDS)


def test_points_are_as_kitti_stores_them() -> None:
    points = scan_frame(make_road(1, 0), 0)
    assert points.dtype == np.float32
    assert 90_000 < len(points) < 133_312
    ranges = np.linalg.norm(points[:, :3], axis=1)
    assert ranges.min() > 0.8
    assert ranges.max() <= 80.001
    assert points[:, 3].min() >= 0
    assert points[:, 3].max() <= 0.99
    assert len(np.unique(points[:, 3])) > 30


def test_rings_are_those_of_an_hdl64e() -> None:
    assert len(ELEVATIONS) == 64
    np.testing.assert_allclose(np.diff(ELEVATIONS[:32]), -1 / 3)
    np.testing.assert_allclose(np.diff(ELEVATIONS[32:]), -0.5)


def test_range_noise_against_a_wall_of_known_place() -> None:
    wall = box((10, -100, -100), (11, 100, 100), Material.FACADE)
    points = scan(wall, np.eye(4), 0.0, np.random.default_rng(0)).astype(float)
    # Along the ray the wall is at 10 / cos; the error there is the range noise.
    ranges = np.linalg.norm(points[:, :3], axis=1)
    error = ranges - 10 / (points[:, 0] / ranges)
    assert len(points) > 10_000
    assert np.median(error) == pytest.approx(0, abs=0.002)
    assert error.std() == pytest.approx(0.02, rel=0.1)


def test_motion_within_a_turn_is_corrected() -> None:
    wall = box((10, -100, -100), (11, 100, 100), Material.FACADE)
    moving = scan(wall, np.eye(4), 1.0, np.random.default_rng(0))
    assert np.median(moving[:, 0]) == pytest.approx(10, abs=0.005)


def test_faint_and_mirrored_returns_are_lost() -> None:
    def returns(material: Material) -> int:
        wall = box((75, -5, -5), (76, 5, 5), material)
        return len(scan(wall, np.eye(4), 0.0, np.random.default_rng(0)))

    # By hand: power 0.05 / 75^2 = 8.9e-6 of 5e-6 is detected 76 % of the time, 58 % are neither
    # mirrored nor lost in the sensor; plaster at 0.42 / 75^2 is nearly always detected (98 %).
    assert returns(Material.GLASS) / returns(Material.FACADE) == pytest.approx(0.45, abs=0.04)


def test_ground_ends_where_rays_graze_it() -> None:
    ground = box((-200, -200, -2.73), (200, 200, -1.73), Material.ASPHALT)
    points = scan(ground, np.eye(4), 0.0, np.random.default_rng(0))
    ranges = np.linalg.norm(points[:, :3], axis=1)
    near, far = ((ranges > 15) & (ranges < 25)).sum(), (ranges > 60).sum()
    assert far < 0.05 * near


def test_same_seed_gives_the_same_bytes_and_another_does_not(drive: Path, tmp_path: Path) -> None:
    again = write_drive(tmp_path / "again", frames=FRAMES, seed=3)
    assert files(again) == files(drive)
    other = write_drive(tmp_path / "other", frames=1, seed=4)
    name = "sequences/00/velodyne/000000.bin"
    assert files(other)[name] != files(drive)[name]


def test_a_frame_does_not_depend_on_how_many_there_are(drive: Path, tmp_path: Path) -> None:
    shorter = files(write_drive(tmp_path, frames=2, seed=3))
    for name in ("000000", "000001"):
        path = f"sequences/00/velodyne/{name}.bin"
        assert shorter[path] == files(drive)[path]


def test_pykitti_opens_the_sequence(drive: Path) -> None:
    data = pykitti.odometry(str(drive), "00")
    assert len(data.velo_files) == len(data.poses) == len(data.timestamps) == FRAMES
    assert data.timestamps[FRAMES - 1].total_seconds() == pytest.approx(0.1 * (FRAMES - 1))
    np.testing.assert_allclose(data.poses[0], np.eye(4), atol=1e-9)
    assert data.calib.T_cam0_velo.shape == (4, 4)
    assert data.calib.b_rgb == pytest.approx(0.53, abs=0.02)
    # KITTI's camera looks along +z: the car drives forward about a metre a frame.
    steps = np.diff([pose[:3, 3] for pose in data.poses], axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 1.0, atol=0.05)
    assert (steps[:, 2] > 0.9).all()


def test_poses_and_calibration_register_two_scans(drive: Path) -> None:
    data = pykitti.odometry(str(drive), "00")
    first, later = data.get_velo(0), data.get_velo(FRAMES - 1)
    velo = data.calib.T_cam0_velo
    pose = np.linalg.inv(velo) @ data.poses[FRAMES - 1] @ velo
    tree = KDTree(standing(first))
    aligned = standing(later) @ pose[:3, :3].T + pose[:3, 3]
    wrong = standing(later) @ np.linalg.inv(pose)[:3, :3].T + np.linalg.inv(pose)[:3, 3]
    right = np.quantile(tree.query(aligned)[0], 0.8)
    assert right < 0.2
    assert np.quantile(tree.query(standing(later))[0], 0.8) > 1.5 * right
    assert np.quantile(tree.query(wrong)[0], 0.8) > 1.5 * right


def standing(points: np.ndarray) -> np.ndarray:
    """Points of what stands beside the road within 25 m: cars drive in the middle, below 1 m."""
    xyz = points[:, :3].astype(float)
    return xyz[(xyz[:, 2] > -0.8) & (np.linalg.norm(xyz, axis=1) < 25) & (abs(xyz[:, 1] - 2) > 6)]


def test_traffic_moves_and_the_street_does_not() -> None:
    road = make_road(30, 0)
    before, after = street_around(road, 0.0), street_around(road, 0.5)
    np.testing.assert_array_equal(before.vertices, after.vertices)
    assert traffic(road, 0).vertices.shape[1] == 3
    moved = traffic(road, 1).vertices[:16] - traffic(road, 0).vertices[:16]
    assert 0.5 < np.linalg.norm(moved, axis=1).mean() < 1.1


def test_road_bends_slopes_and_never_turns_back() -> None:
    road = make_road(2000, 1)
    along = np.arange(0, 2000, 1.0)
    assert np.ptp(road.heading(along)) > 0.2
    assert np.abs(road.heading(along)).max() < np.pi / 2
    assert np.ptp(road.height(along)) > 1
    steps = np.linalg.norm(np.diff(road.place(along, 0.0)[:, :2], axis=0), axis=1)
    np.testing.assert_allclose(steps, 1.0, atol=1e-3)
    assert MARGIN >= 190


def test_progress_counts_frames(tmp_path: Path) -> None:
    seen: list[int] = []
    write_drive(tmp_path, frames=2, progress=seen.append)
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, "frames: expected"),
        ({"frames": 1, "seed": -1}, "seed: expected"),
        ({"frames": 1, "sequence": "../x"}, "sequence: expected"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        write_drive(tmp_path / "drive", **arguments)
    assert not (tmp_path / "drive").exists()


def test_other_scans_are_not_mixed_in(tmp_path: Path) -> None:
    folder = tmp_path / "sequences" / "00" / "velodyne"
    folder.mkdir(parents=True)
    (folder / "000007.bin").write_bytes(b"mine")
    with pytest.raises(DatasetError, match=r"000007\.bin"):
        write_drive(tmp_path, frames=2)
    assert (folder / "000007.bin").read_bytes() == b"mine"
