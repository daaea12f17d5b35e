from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from quinr_lidar.errors import DatasetError

SCAN = encode_velodyne(np.ones((4, 3)))
MATRIX = "1 0 0 0 0 1 0 0 0 0 1 0"


def write_scans(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.bin").write_bytes(SCAN)
    return folder


def write_odometry(root: Path, sequence: str = "00", *, calibrated: bool = True) -> Path:
    folder = root / "sequences" / sequence
    write_scans(folder / "velodyne", "000000", "000002")
    if calibrated:
        lines = [f"{name}: {MATRIX}" for name in ("P0", "P1", "P2", "P3", "Tr")]
        (folder / "calib.txt").write_text("\n".join(lines) + "\n")
        (folder / "times.txt").write_text("0.0\n0.1\n0.25\n")
    return folder


def test_complete_odometry_has_times_by_frame_id(tmp_path):
    write_odometry(tmp_path)
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.layout) == ("00", "kitti-odometry")
    assert dataset.frame_ids == ("000000", "000002")
    # Frame 000001 is missing: 000002 keeps the time of its own line.
    assert dataset.frame("000002").timestamp == pytest.approx(0.25)
    assert dataset.sensor_height == 1.73
    assert dataset.poses() == {}
    assert dataset.read("000000").points.shape == (4, 3)


@pytest.mark.parametrize("path", ["sequences/00", "sequences/00/velodyne"])
def test_a_sequence_is_the_same_by_its_folder_and_by_that_of_its_scans(tmp_path, path):
    write_odometry(tmp_path)
    dataset = open_dataset(tmp_path / path)
    assert (dataset.name, dataset.layout) == ("00", "kitti-odometry")
    assert dataset.frame("000002").timestamp == pytest.approx(0.25)


@pytest.mark.parametrize("path", ["", "sequences/00", "sequences/00/velodyne"])
def test_scans_alone_are_enough(tmp_path, path):
    write_odometry(tmp_path, calibrated=False)
    dataset = open_dataset(tmp_path / path)
    assert (dataset.name, dataset.layout) == ("00", "folder")
    assert dataset.frame_ids == ("000000", "000002")
    assert dataset.frame("000000").timestamp is None
    assert dataset.sensor_height is None
    assert dataset.poses() == {}


def test_several_sequences_need_a_choice(tmp_path):
    write_odometry(tmp_path, "00")
    write_odometry(tmp_path, "07")
    assert open_dataset(tmp_path, "07").name == "07"
    with pytest.raises(DatasetError, match="choose a sequence; there are: 00, 07"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="no sequence '05'"):
        open_dataset(tmp_path, "05")


def test_partial_calibration_is_explained(tmp_path):
    folder = write_odometry(tmp_path)
    (folder / "calib.txt").write_text(f"P0: {MATRIX}\n")
    with pytest.raises(
        DatasetError, match=r"calib.txt, times.txt or its poses cannot be understood"
    ):
        open_dataset(tmp_path)


def test_raw_drive_with_gaps_keeps_ids_and_times(tmp_path):
    drive = tmp_path / "2011_09_26" / "2011_09_26_drive_0009_sync"
    names = [f"{index:010d}" for index in (0, 1, 4, 5)]
    write_scans(drive / "velodyne_points" / "data", *names)
    stamps = [f"2011-09-26 14:00:{second:02d}.123456789" for second in range(6)]
    (drive / "velodyne_points" / "timestamps.txt").write_text("\n".join(stamps) + "\n")
    dataset = open_dataset(drive)
    assert dataset.frame_ids == tuple(names)
    first, later = dataset.frame(names[0]).timestamp, dataset.frame("0000000004").timestamp
    assert first is not None
    assert later is not None
    assert later - first == pytest.approx(4.0)


def write_raw(root: Path) -> Path:
    """A complete drive of two frames."""
    date = root / "2011_09_26"
    drive = date / "2011_09_26_drive_0001_sync"
    write_scans(drive / "velodyne_points" / "data", "0000000000", "0000000001")
    stamps = "2011-09-26 14:00:00.123456789\n2011-09-26 14:00:01.123456789\n"
    (drive / "velodyne_points" / "timestamps.txt").write_text(stamps)
    (drive / "oxts" / "data").mkdir(parents=True)
    (drive / "oxts" / "timestamps.txt").write_text(stamps)
    for name in ("0000000000", "0000000001"):
        (drive / "oxts" / "data" / f"{name}.txt").write_text(" ".join(["1"] * 30) + "\n")
    rigid = "R: 1 0 0 0 1 0 0 0 1\nT: 0 0 0\n"
    for name in ("imu_to_velo", "velo_to_cam"):
        (date / f"calib_{name}.txt").write_text(rigid)
    cameras = "".join(f"P_rect_0{i}: {MATRIX}\nR_rect_0{i}: 1 0 0 0 1 0 0 0 1\n" for i in range(4))
    (date / "calib_cam_to_cam.txt").write_text(cameras)
    return drive


def test_complete_raw_drive_goes_through_pykitti(tmp_path):
    drive = write_raw(tmp_path)
    dataset = open_dataset(drive)
    assert dataset.layout == "kitti-raw"
    assert dataset.frame_ids == ("0000000000", "0000000001")
    assert dataset.read("0000000001").points.shape == (4, 3)


def test_poses_of_a_raw_drive_are_those_of_its_velodyne(tmp_path):
    """The car drives 2 m to the north between two frames; the velodyne sits 1 m before its IMU."""
    drive = write_raw(tmp_path)
    north = 2 / 6378137 * 180 / np.pi
    for name, latitude in (("0000000000", 0.0), ("0000000001", north)):
        numbers = [latitude, 0.0, 0.0, 0.0, 0.0, np.pi / 2, *[0.0] * 24]
        text = " ".join(f"{number:.15f}" for number in numbers[:25]) + " 1 1 1 1 1\n"
        (drive / "oxts" / "data" / f"{name}.txt").write_text(text)
    calibration = "R: 1 0 0 0 1 0 0 0 1\nT: -1 0 0\n"
    (drive.parent / "calib_imu_to_velo.txt").write_text(calibration)
    poses = open_dataset(drive).poses()
    assert list(poses) == ["0000000000", "0000000001"]
    np.testing.assert_allclose(poses["0000000000"], np.eye(4), atol=1e-9)
    expected = np.eye(4)
    expected[0, 3] = 2
    np.testing.assert_allclose(poses["0000000001"], expected, atol=1e-6)


def test_folder_in_natural_order_without_foreign_files(tmp_path):
    folder = write_scans(tmp_path / "scans", "10", "9", "scan_b", ".hidden")
    (folder / "notes.txt").write_text("no scan")
    (folder / "sub.bin").mkdir()
    assert open_dataset(folder).frame_ids == ("9", "10", "scan_b")


def test_single_file(tmp_path):
    folder = write_scans(tmp_path / "scans", "a", "b")
    dataset = open_dataset(folder / "b.bin")
    assert (dataset.layout, dataset.frame_ids) == ("file", ("b",))
    with pytest.raises(DatasetError, match="no frame 'a'"):
        dataset.frame("a")


def test_what_is_no_data_set_shows_the_expected_tree(tmp_path):
    with pytest.raises(DatasetError, match=r"no \.bin scans in it\nexpected one of\n  ROOT/"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="nowhere: no such file or folder"):
        open_dataset(tmp_path / "nowhere")


def test_unreadable_folder(tmp_path, monkeypatch):
    folder = write_scans(tmp_path / "scans", "a")

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)  # root may read everything, so chmod would not do
    with pytest.raises(DatasetError, match="scans: cannot be read: Permission denied"):
        open_dataset(folder)
