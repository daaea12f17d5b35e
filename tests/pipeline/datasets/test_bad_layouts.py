"""Data sets that are ambiguous, or whose times are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.discovery import drives_in
from pipeline.datasets.velodyne import encode_velodyne
from quinr_lidar.errors import DatasetError

SCAN = encode_velodyne(np.ones((4, 3)))
MATRIX = "1 0 0 0 0 1 0 0 0 0 1 0"


def scans(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.bin").write_bytes(SCAN)
    return folder


def odometry(root, times: bytes, *names):
    folder = root / "sequences" / "00"
    scans(folder / "velodyne", *(names or ("000000", "000001", "000002")))
    lines = [f"{name}: {MATRIX}" for name in ("P0", "P1", "P2", "P3", "Tr")]
    (folder / "calib.txt").write_text("\n".join(lines) + "\n")
    (folder / "times.txt").write_bytes(times)
    return root


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        (b"0\nnan\n1\n", "cannot convert float NaN"),
        (b"0\ninf\n1\n", "OverflowError"),
        (b"0\n1e300\n", "OverflowError"),
        (b"0\n\n1\n", "could not convert string to float"),
        (b"0\nnoon\n", "noon"),
        (b"\xff\xfe", "decode byte 0xff"),
    ],
)
def test_times_that_are_none(tmp_path, times, reason):
    with pytest.raises(DatasetError) as caught:
        open_dataset(odometry(tmp_path, times))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'sequences' / '00'}: calib.txt, times.txt or its poses")
    assert reason in message
    assert "one time a line" in message
    assert "12 numbers a line in poses/00.txt" in message


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (b"5\n4\n4\n", [5.0, 4.0, 4.0]),
        (b"1.5\n", [1.5, None, None]),
        (b"", [None, None, None]),
        (b"0\n1\n2\n3\n4\n", [0.0, 1.0, 2.0]),
        (b"-1\n0\n1\n", [-1.0, 0.0, 1.0]),
    ],
)
def test_clocks_that_jump_and_lines_that_miss(tmp_path, times, expected):
    dataset = open_dataset(odometry(tmp_path, times))
    assert [dataset.frame(frame_id).timestamp for frame_id in dataset.frame_ids] == expected


def test_ids_that_are_the_same_number_are_two_frames(tmp_path):
    dataset = open_dataset(odometry(tmp_path, b"0\n7\n", "000001", "1", "0001", "\u00b2"))
    assert set(dataset.frame_ids) == {"000001", "1", "0001", "\u00b2"}
    assert len({dataset.frame(frame_id).path for frame_id in dataset.frame_ids}) == 4
    # They are the same line of times.txt; what is no ASCII number is of none.
    assert [dataset.frame(one).timestamp for one in ("000001", "1", "\u00b2")] == [7.0, 7.0, None]


def test_raw_stamps_that_are_no_text(tmp_path):
    drive = tmp_path / "2011_09_26" / "2011_09_26_drive_0009_sync"
    scans(drive / "velodyne_points" / "data", "0000000000", "0000000001")
    stamps = drive / "velodyne_points" / "timestamps.txt"
    stamps.write_bytes(b"2011-09-26 14:00:00.5\n\xff\xfe\n")
    with pytest.raises(DatasetError, match=r"timestamps\.txt: line 2: expected a date and time"):
        open_dataset(drive)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", "velodyne"),
        ("", "velodyne_points/data"),
        ("velodyne", "velodyne_points/data"),
        ("", "sequences/00/velodyne"),
    ],
)
def test_scans_in_two_places(tmp_path, first, second):
    drive = tmp_path / "drive"
    scans(drive / first, "000000")
    assert open_dataset(drive).frame_ids == ("000000",)
    scans(drive / second, "000001")
    with pytest.raises(DatasetError) as caught:
        open_dataset(drive)
    assert str(caught.value) == (
        f"{drive}: scans lie in {drive / first} and in {drive / second}: expected them in one "
        "place; move the others away"
    )
    # Each can still be meant.
    assert open_dataset(drive / second).frame_ids == ("000001",)
    if second.startswith("sequences"):
        assert open_dataset(drive, "00").frame_ids == ("000001",)


def test_a_scan_beside_drives_hides_none(tmp_path):
    scans(tmp_path, "lost")
    scans(tmp_path / "a" / "velodyne", "000000")
    scans(tmp_path / "kitti" / "sequences" / "00" / "velodyne", "000000")
    assert {drive.name for drive in drives_in(tmp_path)} == {tmp_path.name, "a", "00"}


def test_other_folders_of_a_drive_are_none(tmp_path):
    """KITTI's object data: what others made of its scans lies beside them."""
    for part in ("training", "testing"):
        scans(tmp_path / part / "velodyne", "000000")
        scans(tmp_path / part / "velodyne_reduced", "000000")
    assert [drive.name for drive in drives_in(tmp_path)] == ["testing", "training"]
