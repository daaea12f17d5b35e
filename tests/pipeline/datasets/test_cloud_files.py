"""Decoded images as files: what other readers make of them, and bytes that never change."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData
from pypcd4 import PointCloud

from pipeline.datasets.cloud_files import KINDS, encode_pcd, encode_ply, image_writer
from pipeline.datasets.velodyne import parse_velodyne
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import StorageError

POINTS = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(300, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def decoded() -> RangeImage:
    return SphericalProjection(8, 32).project(POINTS)


def read(kind: str, data: bytes) -> np.ndarray:
    """The points of a file as [N, 3], by a reader that is not ours where there is one."""
    if kind == "bin":
        return parse_velodyne(data, "a.bin").points
    if kind == "pcd":
        return PointCloud.from_fileobj(io.BytesIO(data)).numpy(("x", "y", "z"))
    vertices = PlyData.read(io.BytesIO(data))["vertex"]
    return np.stack([vertices[axis] for axis in "xyz"], axis=1)


@pytest.mark.parametrize("kind", ["bin", "ply", "pcd"])
def test_points_are_float32_and_exact(decoded, kind):
    write = image_writer(Path(f"a.{kind}"))
    data = write(decoded)
    points = read(kind, data)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, decoded.projection.back_project(decoded))
    assert write(decoded) == data


def test_ranges_are_an_array_with_nan_where_nothing_was_measured(decoded):
    ranges = np.load(io.BytesIO(image_writer(Path("a.NPY"))(decoded)))
    assert ranges.dtype == np.float32
    np.testing.assert_array_equal(np.isfinite(ranges), decoded.valid)
    np.testing.assert_array_equal(ranges[decoded.valid], decoded.ranges[decoded.valid])


@pytest.mark.parametrize(("kind", "encode"), [("ply", encode_ply), ("pcd", encode_pcd)])
def test_a_cloud_without_points_is_a_file(kind, encode):
    assert len(read(kind, encode(np.zeros((0, 3))))) == 0


def test_ply_heads_are_ascii_and_colours_bytes():
    colours = np.arange(6, dtype=np.uint8).reshape(2, 3)
    data = encode_ply(POINTS[:2], colours, "h\u00f6her")
    head, _, body = data.partition(b"end_header\n")
    assert b"comment h?her\n" in head
    assert b"element vertex 2\n" in head
    assert len(body) == 2 * (3 * 4 + 3)
    vertices = PlyData.read(io.BytesIO(data))["vertex"]
    np.testing.assert_array_equal(vertices["green"], colours[:, 1])


def test_other_suffixes_are_refused():
    assert KINDS == ("bin", "ply", "npy", "pcd")
    with pytest.raises(StorageError, match=r"a\.las: expected a name that ends in \.bin, \.ply"):
        image_writer(Path("a.las"))
