from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main as cli
from pipeline.datasets import read_scan
from pipeline.datasets.velodyne import encode_velodyne
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.entropy.models import EntropyModel, built_in_models
from tests.support.models import coarser
from tests.support.tiny import SMALL_GRID, set_options, tiny

TINY = set_options(tiny(steps=2))
SMALL = SMALL_GRID


@pytest.fixture
def quinr(monkeypatch, capsys):
    """The quinr command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["quinr", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture(scope="session")
def own_model() -> EntropyModel:
    """One that is not built in: the built-in one, rounded to coarser steps."""
    built_in = built_in_models()["hdl64"]
    entropy_model = coarser(built_in)
    assert entropy_model.name != built_in.name
    return entropy_model


@pytest.fixture
def scan(tmp_path) -> Path:
    """Points all around."""
    points = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(2000, 3))
    path = tmp_path / "000000.bin"
    path.write_bytes(encode_velodyne(points))
    return path


@pytest.fixture
def image(scan) -> RangeImage:
    """The scan's."""
    return SphericalProjection(16, 64).project(read_scan(scan).points)


@pytest.fixture
def file(quinr, scan, tmp_path) -> Path:
    """The scan in three layers, within 5 cm."""
    path = tmp_path / "a.quinr"
    assert quinr("encode", scan, "-o", path, "--max-error", 0.05, *TINY, *SMALL)[0] == 0
    return path
