from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets import read_scan
from pipeline.datasets.velodyne import encode_velodyne
from quinr_lidar.errors import GeometryError, ScanError, StorageError

POINTS = np.random.default_rng(0).normal(scale=20, size=(50, 4)).astype(np.float32)


def test_round_trip(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(encode_velodyne(POINTS))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.points, POINTS[:, :3])
    np.testing.assert_array_equal(scan.channels["reflectance"], POINTS[:, 3])
    assert scan.points.dtype == scan.channels["reflectance"].dtype == np.float32
    assert (scan.frame_id, scan.raw_bytes) == ("a", path.stat().st_size)


def test_missing_reflectance_is_zero(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(encode_velodyne(POINTS[:, :3]))
    np.testing.assert_array_equal(read_scan(path).points, POINTS[:, :3])
    assert not read_scan(path).channels["reflectance"].any()
    with pytest.raises(GeometryError, match="points"):
        encode_velodyne(POINTS[:, :2])


def test_single_bad_points_are_kept_for_the_projection_to_count(tmp_path):
    points = POINTS.copy()
    points[3] = np.nan
    points[4] = np.inf
    path = tmp_path / "a.bin"
    path.write_bytes(encode_velodyne(points))
    assert len(read_scan(path).points) == len(points)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (POINTS.tobytes()[:-5], "not a multiple of 16"),
        (b"0.1 0.2 0.3 0.4\n" * 20, "text file"),
        (b"abc\n", "text file"),
        (np.full((9, 4), np.nan, np.float32).tobytes(), "none of its 9 points"),
        (np.random.default_rng(0).bytes(16_000), "beyond 10000 m"),
    ],
)
def test_what_is_no_scan_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "bad.bin"
    path.write_bytes(content)
    with pytest.raises(ScanError, match=rf"bad\.bin: .*{reason}"):
        read_scan(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(StorageError, match=r"none\.bin: cannot be read: No such file"):
        read_scan(tmp_path / "none.bin")
    with pytest.raises(StorageError, match="cannot be read: Is a directory"):
        read_scan(tmp_path)
