from __future__ import annotations

import math
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pipeline.evaluation.cloud_fidelity import RINGS, compare_clouds
from pipeline.evaluation.tasks import CloudTasks, TaskSettings, evaluate_pair
from quinr_lidar import SphericalProjection
from quinr_lidar.metrics.clouds import Cloud, match

PROJECTION = SphericalProjection(16, 128)
SCAN = np.random.default_rng(0).normal(scale=(15, 15, 1.5), size=(1500, 3))
IMAGE = PROJECTION.back_project(PROJECTION.project(SCAN))
DECODED = IMAGE * np.float32(1.01)


def figures(decoded: np.ndarray = DECODED) -> dict[str, float]:
    tasks = {"scan": SCAN, "image": IMAGE, "decoded": decoded}
    settings = TaskSettings(odometry=False, registration=False)
    return evaluate_pair(
        **{name: CloudTasks(settings).add(cloud) for name, cloud in tasks.items()}, peak=80
    )


@pytest.mark.parametrize(
    ("prefix", "first", "second"),
    [("scan", SCAN, DECODED), ("codec", IMAGE, DECODED), ("projection", SCAN, IMAGE)],
)
def test_every_pair_is_measured_under_its_own_name(prefix, first, second):
    found = figures()
    distances = cdist(first, second)
    there, back = distances.min(axis=1), distances.min(axis=0)
    mse = max(np.mean(there**2), np.mean(back**2))
    expected = {
        "chamfer_m": (there.mean() + back.mean()) / 2,
        "d1_mse_m2": mse,
        "d1_psnr_db": 10 * math.log10(3 * 6400 / mse),
        "hausdorff_m": max(there.max(), back.max()),
        "distance_p95_m": max(np.quantile(there, 0.95), np.quantile(back, 0.95)),
    }
    for name, value in expected.items():
        assert found[f"{prefix}_{name}"] == pytest.approx(value, rel=1e-9), name
    scores = [found[f"{prefix}_f_score_{limit}cm"] for limit in (5, 10, 20)]
    assert scores == sorted(scores)
    for score, limit in zip(scores, (0.05, 0.1, 0.2), strict=True):
        recall, precision = (there < limit).mean(), (back < limit).mean()
        assert score == pytest.approx(2 * precision * recall / (precision + recall))
    assert found[f"{prefix}_d2_mse_m2"] <= mse


def test_densities_of_all_three_clouds():
    found = figures()
    for name, cloud in (("scan", SCAN), ("image", IMAGE), ("decoded", DECODED)):
        for near, far in pairwise(RINGS):
            distance = np.hypot(cloud[:, 0], cloud[:, 1])
            count = ((distance >= near) & (distance < far)).sum()
            area = math.pi * (far**2 - near**2)
            found_here = found[f"density_{name}_{near:g}_{far:g}m"]
            assert found_here == pytest.approx(count / area, rel=1e-6)


def test_nothing_decoded_leaves_the_projection_loss():
    found = figures(DECODED[:0])
    complete = figures()
    assert found.keys() == complete.keys()
    for name, value in found.items():
        if name.startswith("density_decoded"):
            assert value == 0
        elif name.startswith(("projection_", "density_")):
            assert value == pytest.approx(complete[name], nan_ok=True), name
        else:
            assert math.isnan(value), name


def test_the_peak_moves_psnr_alone():
    matches = match(Cloud(IMAGE), Cloud(DECODED))
    near, far = (asdict(compare_clouds(matches, peak)) for peak in (8, 80))
    for name in near:
        difference = 20 if name.endswith("psnr_db") else 0
        assert far[name] - near[name] == pytest.approx(difference), name
