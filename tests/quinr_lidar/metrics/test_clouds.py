"""Every distance against brute force over all pairs, planes against LAPACK and Open3D."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist, directed_hausdorff

from pipeline.libraries.open3d import import_open3d
from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry.planes import plane_normals
from quinr_lidar.metrics import clouds as metrics
from quinr_lidar.metrics.clouds import Cloud, Distortion, chamfer_distance, match

RNG = np.random.default_rng(0)
A = RNG.normal(scale=(10, 10, 1), size=(400, 3))
# Fewer points, some of them far from any of A's, so that directions differ.
B = np.vstack([A[:150] + RNG.normal(scale=0.1, size=(150, 3)), RNG.normal(scale=15, size=(30, 3))])
DISTANCES = cdist(A, B)
MATCHES = match(Cloud(A), Cloud(B))


clouds = st.integers(1, 30).flatmap(
    lambda n: arrays(np.float64, (n, 3), elements=st.floats(-50, 50, width=32))
)


def lapack_normals(points: np.ndarray, k: int) -> np.ndarray:
    normals = []
    for point in points:
        near = points[np.argsort(np.linalg.norm(points - point, axis=1))[:k]]
        normal = np.linalg.eigh(np.cov(near.T))[1][:, 0]
        normals.append(-normal if normal @ point > 0 else normal)
    return np.array(normals)


def test_neighbours_are_the_nearest():
    assert (MATCHES.a_nearest == DISTANCES.argmin(axis=1)).all()
    assert (MATCHES.b_nearest == DISTANCES.argmin(axis=0)).all()
    assert MATCHES.a_distances == pytest.approx(DISTANCES.min(axis=1))
    assert MATCHES.b_distances == pytest.approx(DISTANCES.min(axis=0))


def test_d1_is_the_worse_mean_of_squares():
    there, back = (DISTANCES.min(axis=axis) ** 2 for axis in (1, 0))
    found = metrics.point_to_point(MATCHES)
    assert (found.a_to_b, found.b_to_a) == pytest.approx((there.mean(), back.mean()))
    assert found.mse == pytest.approx(max(there.mean(), back.mean()))
    assert there.mean() != pytest.approx(back.mean(), rel=0.1)
    peak = 80.0
    expected = 10 * math.log10(3 * peak**2 / max(there.mean(), back.mean()))
    assert found.psnr(peak) == pytest.approx(expected)


def test_psnr_is_that_which_pc_error_printed():
    """A published log of mpeg-pcc-dmetric: peak 1023, mse 0.739141, 66.2814 dB."""
    assert Distortion(0.739141, 0.655312).psnr(1023) == pytest.approx(66.2814, abs=1e-4)


def test_d2_follows_pc_error_step_by_step():
    normals = lapack_normals(A, 12)
    # scaleNormals: every point of A hands its normal to its nearest of B; then means.
    sums, counts = np.zeros_like(B), np.zeros(len(B))
    for index, row in enumerate(DISTANCES):
        sums[row.argmin()] += normals[index]
        counts[row.argmin()] += 1
    carried = np.array(
        [
            total / count if count else normals[DISTANCES[:, index].argmin()]
            for index, (total, count) in enumerate(zip(sums, counts, strict=True))
        ]
    )
    assert (counts == 0).any()
    assert (counts > 1).any()
    there = [((A[i] - B[j]) @ carried[j]) ** 2 for i, j in enumerate(DISTANCES.argmin(axis=1))]
    back = [((B[j] - A[i]) @ normals[i]) ** 2 for j, i in enumerate(DISTANCES.argmin(axis=0))]
    found = metrics.point_to_plane(MATCHES)
    assert metrics.carried_normals(MATCHES) == pytest.approx(carried, abs=1e-6)
    assert (found.a_to_b, found.b_to_a) == pytest.approx((np.mean(there), np.mean(back)), rel=1e-6)


def test_moving_a_plane_along_itself_costs_nothing_in_d2():
    x, y = np.meshgrid(np.arange(20.0), np.arange(20.0))
    plane = np.stack([x.ravel(), y.ravel(), np.full(400, -2.0)], axis=1)
    inside = plane[((plane[:, :2] > 2) & (plane[:, :2] < 17)).all(axis=1)]
    along = match(Cloud(plane), Cloud(inside + np.array([0.3, 0, 0])))
    assert metrics.point_to_plane(along).mse == pytest.approx(0, abs=1e-18)
    assert metrics.point_to_point(along).b_to_a == pytest.approx(0.09)
    across = match(Cloud(plane), Cloud(plane + np.array([0, 0, 0.3])))
    assert metrics.point_to_plane(across).mse == pytest.approx(0.09)


def test_hausdorff_percentile_and_chamfer():
    there, back = DISTANCES.min(axis=1), DISTANCES.min(axis=0)
    expected = max(directed_hausdorff(A, B)[0], directed_hausdorff(B, A)[0])
    assert metrics.hausdorff(MATCHES) == pytest.approx(expected)
    assert metrics.percentile(MATCHES, 95) == pytest.approx(
        max(np.quantile(there, 0.95), np.quantile(back, 0.95))
    )
    assert metrics.chamfer(MATCHES) == chamfer_distance(A, B)


@pytest.mark.parametrize("threshold", [0.05, 0.1, 0.2])
def test_f_score(threshold):
    recall = (DISTANCES.min(axis=1) < threshold).mean()
    precision = (DISTANCES.min(axis=0) < threshold).mean()
    expected = 2 * precision * recall / (precision + recall)
    assert 0 < expected < 1
    assert metrics.f_score(MATCHES, threshold) == pytest.approx(expected)


def test_f_score_of_strangers_is_zero():
    assert metrics.f_score(match(Cloud(A), Cloud(A + 1000)), 0.2) == 0


def test_a_cloud_equals_itself():
    same = match(Cloud(A), Cloud(A.copy()))
    assert metrics.point_to_point(same).psnr(80) == math.inf
    assert metrics.point_to_plane(same).mse == 0
    assert metrics.hausdorff(same) == 0
    assert metrics.f_score(same, 0.05) == 1


def test_density_counts_points_by_ring():
    edges = [0, 5, 10, 20, 40]
    distance = np.hypot(A[:, 0], A[:, 1])
    found = metrics.ring_density(A, edges)
    for index, (near, far) in enumerate(pairwise(edges)):
        count = ((distance >= near) & (distance < far)).sum()
        assert found[index] == pytest.approx(count / (math.pi * (far**2 - near**2)))
    assert (found > 0).sum() >= 3


def test_normals_are_those_of_lapack_and_look_at_the_sensor():
    found = plane_normals(A, 12)
    assert found == pytest.approx(lapack_normals(A, 12), abs=1e-6)
    assert (np.einsum("ij,ij->i", found, A) <= 0).all()


def test_normals_of_a_large_cloud_are_those_of_its_neighbourhoods():
    """Some of them lie on a line."""
    cloud = np.random.default_rng(4).normal(scale=(10, 10, 0.2), size=(9000, 3))
    cloud[5000:5200] = np.linspace(30, 60, 200)[:, None] * [1.0, 0.5, 0.1]
    tree = KDTree(cloud)
    found = plane_normals(cloud, 12)
    for index in (0, 4095, 4096, 4097, 8191, 8192, 8999):
        near = cloud[tree.query(cloud[index], k=12)[1]]
        normal = np.linalg.eigh(np.cov(near.T))[1][:, 0]
        assert abs(found[index] @ normal) == pytest.approx(1, abs=1e-9)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    line = found[5020:5180] @ [1.0, 0.5, 0.1]
    assert line == pytest.approx(0, abs=1e-6)


def test_normals_are_those_of_open3d():
    from pipeline.libraries.open3d import import_open3d

    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(A))
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(12))
    cloud.orient_normals_towards_camera_location(np.zeros(3))
    found = plane_normals(A, 12)
    assert np.einsum("ij,ij->i", found, np.asarray(cloud.normals)) == pytest.approx(1, abs=1e-6)


def test_normals_of_lines_and_of_single_places_are_unit_vectors():
    line = np.stack([np.arange(50.0) + 3, np.full(50, 2.0), np.full(50, 1.0)], axis=1)
    place = np.ones((20, 3))
    for points in (line, place, np.vstack([line, place])):
        normals = plane_normals(points, 12)
        assert np.linalg.norm(normals, axis=1) == pytest.approx(1)
    assert plane_normals(line, 12)[:, 0] == pytest.approx(0, abs=1e-6)


def test_normals_of_nearly_flat_ground_far_away():
    """Offsets of centimetres at 80 m must not drown in the squares of the coordinates."""
    ground = RNG.uniform(-0.5, 0.5, size=(300, 3)) * [1, 1, 1e-5] + [80, 0, -1.7]
    normals = plane_normals(ground, 12)
    assert normals[:, 2] == pytest.approx(1, abs=1e-4)


@given(clouds, clouds)
def test_chamfer_by_brute_force(a, b):
    distances = np.sqrt(np.square(a[:, None] - b[None]).sum(-1))
    chamfer = metrics.chamfer_distance(a, b)
    assert chamfer.a_to_b == pytest.approx(distances.min(1).mean(), abs=1e-9)
    assert chamfer.b_to_a == pytest.approx(distances.min(0).mean(), abs=1e-9)
    assert chamfer.symmetric == pytest.approx((chamfer.a_to_b + chamfer.b_to_a) / 2)


def test_chamfer_equals_open3d():
    o3d = import_open3d()
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(500, 3)), generator.normal(size=(400, 3))
    first, second = (o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud)) for cloud in (a, b))
    chamfer = metrics.chamfer_distance(a, b)
    there = np.asarray(first.compute_point_cloud_distance(second)).mean()
    back = np.asarray(second.compute_point_cloud_distance(first)).mean()
    assert chamfer.a_to_b == pytest.approx(there)
    assert chamfer.b_to_a == pytest.approx(back)


def test_what_is_no_cloud_is_refused():
    for points in (np.empty((0, 3)), np.ones((3, 2)), np.ones(3), [["a", "b", "c"]]):
        with pytest.raises(GeometryError, match="expected points"):
            Cloud(points)
    with pytest.raises(GeometryError, match="finite"):
        Cloud([[0, 0, np.nan]])
    with pytest.raises(GeometryError, match="expected points"):
        chamfer_distance(np.ones((1, 3)), np.empty((0, 3)))
    assert Cloud(np.ones((2, 4), np.float32)).points.shape == (2, 3)
    for peak in (0, -1, math.nan, math.inf):
        with pytest.raises(GeometryError, match="peak"):
            Distortion(1, 1).psnr(peak)
    with pytest.raises(GeometryError, match="5 points or more"):
        _ = Cloud(np.ones((4, 3))).normals
    with pytest.raises(GeometryError, match="k = 4"):
        plane_normals(A, 4)
    for edges in ([1], [0, 0], [5, 1], [-1, 2]):
        with pytest.raises(GeometryError, match="edges"):
            metrics.ring_density(A, edges)
