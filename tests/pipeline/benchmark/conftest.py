"""Small scans, some of which the built-in entropy model claims to have learnt from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.benchmark import training_sets
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.models.training import ModelSettings
from pipeline.storage.files import sha256_of

TINY = ModelSettings(mask_steps=3, range_steps=6, batch_size=64)


def _write_scan(path: Path, seed: int = 0) -> Path:
    """A scan of 3,000 points in a wavy room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    azimuth, elevation = generator.uniform((-3.1, -0.4), (3.1, 0.04), (3000, 2)).T
    ranges = 12 + 6 * np.sin(3 * azimuth)
    flat = ranges * np.cos(elevation)
    points = (flat * np.cos(azimuth), flat * np.sin(azimuth), ranges * np.sin(elevation))
    path.write_bytes(encode_velodyne(np.stack(points, -1)))
    return path


@pytest.fixture
def write_scan() -> Callable[..., Path]:
    """Writes a scan of 3,000 points, by path and seed."""
    return _write_scan


@pytest.fixture
def scans(tmp_path, monkeypatch) -> dict[str, Path]:
    """Scans a, b and c by SHA-256; the built-in entropy model claims to be of a and b."""
    paths = [_write_scan(tmp_path / f"{name}.bin", seed) for seed, name in enumerate("abc")]
    found = {sha256_of(path.read_bytes()): path for path in paths}
    learnt = dict(zip(list(found)[:2], ("old/a.bin", "old/b.bin"), strict=True))
    made = training_sets.Provenance(learnt, TINY, copies=2)
    monkeypatch.setattr(training_sets, "provenance", lambda: made)
    monkeypatch.setattr(training_sets, "QUICK", TINY)
    monkeypatch.setattr(training_sets, "QUICK_COPIES", 1)
    return found
