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
from quinr_lidar.images import decode_image, encode_image

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
    "v1-sine-layers": {
        "qubits": 3,
        "features": 9,
        "blocks": 2,
        "sine_layers": 3,
        "readout": 5,
        "learning_rate": 5e-3,
        "refit_groups": 2,
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


def test_golden_picture_decodes_to_the_frozen_one():
    decoded = decode_image((GOLDEN / "v1-picture.quinr").read_bytes())
    frozen = np.load(GOLDEN / "v1-picture.npz")["image"]
    # A value may lie on the edge between two of 256.
    assert np.abs(decoded.astype(int) - frozen).max() <= 1
    assert np.mean(decoded != frozen) < 1e-3


def write_picture() -> None:
    y, x = np.mgrid[0:1:48j, 0:1:72j]
    values = np.stack((0.5 + 0.4 * np.sin(3 * x + y), x, 1 - 0.8 * y * x), -1)
    settings = {"qubits": 3, "features": 8, "blocks": 2, "sine_layers": 2, "readout": 6}
    image = np.rint(255 * values).astype(np.uint8)
    data = encode_image(image, "paper", **settings, steps=200).data
    (GOLDEN / "v1-picture.quinr").write_bytes(data)
    np.savez_compressed(GOLDEN / "v1-picture.npz", image=decode_image(data))


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
    if sys.argv[1] == "v1-picture":
        write_picture()
    else:
        write(sys.argv[1])
