"""Nearest neighbours are SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import KDTree

from quinr_lidar.geometry.neighbours import NeighbourTree


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(0, 40), st.booleans())
def test_they_are_those_of_scipy(seed, size, others, coarse):
    random = np.random.default_rng(seed)
    points, asked = random.normal(scale=20, size=(size, 3)), random.normal(size=(others, 3))
    if coarse:
        # Many coincide, and many are equally near.
        points, asked = points.round(-1), asked.round()
    tree, reference = NeighbourTree(points), KDTree(points)
    distances, nearest = tree.nearest(asked)
    assert distances == pytest.approx(reference.query(asked)[0])
    assert np.linalg.norm(points[nearest] - asked, axis=1) == pytest.approx(distances)


def test_a_large_cloud_far_away():
    points = np.random.default_rng(1).normal(size=(20000, 3)) * [1e3, 1e3, 1] + 1e6
    asked = points[:500] + 0.01
    assert NeighbourTree(points).nearest(asked)[0] == pytest.approx(KDTree(points).query(asked)[0])
