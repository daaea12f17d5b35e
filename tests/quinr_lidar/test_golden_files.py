"""Files that released versions wrote must decode to the same image for ever.

``golden/<name>.quinr`` is a file, ``golden/<name>.npz`` what it decoded to when it was written.
Never regenerate the files of a released format version; add new ones
(``python tests/quinr_lidar/test_golden_files.py NAME`` writes a pair).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import quinr_lidar

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = {
    "v1-default-sensor": {
        "qubits": 4,
        "features": 9,
        "blocks": 2,
        "pairs": "ordered",
        "quantization": "uniform",
        "steps": 40,
    },
    "v1-grids": {
        "qubits": 3,
        "features": 8,
        "blocks": 9,
        "entangling_layers": 2,
        "coarseness": 0.8,
        "steps": 40,
    },
    "v1-every-option": {
        "qubits": 3,
        "features": 7,
        "blocks": 2,
        "entangling_layers": 2,
        "stages": 2,
        "pairs": "upper",
        "shuffle_seed": 11,
        "w0": 20.0,
        "quantization": "uniform",
        "bits": 6,
        "steps": 40,
    },
}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_golden_file_decodes_to_the_frozen_image(name):
    decoded = quinr_lidar.decode((GOLDEN / f"{name}.quinr").read_bytes())
    frozen = np.load(GOLDEN / f"{name}.npz")
    # Every 7th pixel is kept. The format promises 1e-4 m between machines.
    np.testing.assert_allclose(decoded.ranges.reshape(-1)[::7], frozen["ranges"], atol=1e-4)
    assert np.mean(decoded.measured.reshape(-1)[::7] != frozen["measured"]) < 1e-3
    assert decoded.fill == frozen["fill"]
    assert list(decoded.shape) == frozen["shape"].tolist()


def write(name: str) -> None:
    points = np.random.default_rng(7).normal(scale=(25, 15, 1.5), size=(60_000, 3))
    default = name != "v1-every-option"
    projection = (
        quinr_lidar.SphericalProjection()
        if default
        else quinr_lidar.SphericalProjection(32, 360, 10.67, -30.67)
    )
    data = quinr_lidar.encode(projection.project(points), **SETTINGS[name])
    decoded = quinr_lidar.decode(data)
    (GOLDEN / f"{name}.quinr").write_bytes(data)
    np.savez_compressed(
        GOLDEN / f"{name}.npz",
        ranges=decoded.ranges.reshape(-1)[::7],
        measured=decoded.measured.reshape(-1)[::7],
        fill=decoded.fill,
        shape=decoded.shape,
    )


if __name__ == "__main__":
    write(sys.argv[1])
