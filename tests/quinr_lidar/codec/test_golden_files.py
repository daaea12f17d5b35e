"""Files that released versions wrote must decode to the same image for ever.

``golden/<name>.quinr`` is a file, ``golden/<name>.npz`` what it decoded to when it was written.
Never regenerate the files of a released format version; add new ones
(``python tests/quinr_lidar/codec/test_golden_files.py NAME`` writes a pair). Files of several
layers are coded with ``golden/v1.qmodel``, which the package's own entropy models may come and go
beside.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import quinr_lidar
from quinr_lidar import RangeImage, codec
from quinr_lidar.codec.image_decoding import decode_image
from quinr_lidar.codec.images import encode_image
from quinr_lidar.container import unpack
from quinr_lidar.entropy.models import EntropyModel, pack_model, unpack_model
from quinr_lidar.entropy.samples import MaskSamples, RangeSamples
from quinr_lidar.kernel import instruction_sets
from quinr_lidar.layers import mask as mask_layer
from quinr_lidar.layers import ranges as ranges_layer
from quinr_lidar.layers.ranges import LINEAR
from quinr_lidar.training.code_length import CodeLengthSettings, train_by_code_length
from tests.support.layers import pack_mask, pack_ranges

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = {
    "v1-default-sensor": {
        "qubits": 4,
        "features": 9,
        "blocks": 2,
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
    assert np.mean(decoded.valid.reshape(-1)[::7] != frozen["valid"]) < 1e-3
    assert decoded.no_return == frozen["no_return"]
    assert list(decoded.shape) == frozen["shape"].tolist()


def test_golden_picture_decodes_to_the_frozen_one():
    decoded = decode_image((GOLDEN / "v1-picture.quinr").read_bytes())
    frozen = np.load(GOLDEN / "v1-picture.npz")["image"]
    # A value may lie on the edge between two of 256.
    assert np.abs(decoded.astype(int) - frozen).max() <= 1
    assert np.mean(decoded != frozen) < 1e-3


LAYERED = {
    "v1-bounded": {"profile": "bounded", "max_error": 0.02},
    "v1-bounded-relative_error": {"profile": "bounded", "max_error": 0.05, "relative_error": 0.01},
    "v1-mask": {"profile": "preview"},
}
TINY = {"qubits": 2, "features": 5, "sine_layers": 1, "blocks": 1, "steps": 20, "restarts": 1}


def golden_model() -> EntropyModel:
    return unpack_model((GOLDEN / "v1.qmodel").read_bytes())


def checksum(array: np.ndarray) -> str:
    little = array.astype(array.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("name", sorted(LAYERED))
def test_golden_layers_decode_to_the_frozen_image(name, isa, monkeypatch):
    monkeypatch.setenv("QUINR_ISA", isa)
    decoded = quinr_lidar.decode(
        (GOLDEN / f"{name}.quinr").read_bytes(), entropy_models=[golden_model()]
    )
    frozen = np.load(GOLDEN / f"{name}.npz")
    np.testing.assert_array_equal(decoded.valid, frozen["valid"])
    assert decoded.no_return == frozen["no_return"]
    # Even steps are exact; the logarithm and the preview may differ in the last place.
    np.testing.assert_allclose(
        decoded.ranges[decoded.valid],
        frozen["ranges"],
        rtol=3e-7,
        atol=1e-4 if name == "v1-mask" else 0,
    )
    if name == "v1-bounded":
        assert checksum(decoded.ranges) == str(frozen["checksum"])


@pytest.mark.parametrize("isa", instruction_sets())
def test_golden_layers_are_written_as_they_were(isa, monkeypatch):
    """The coder's own bytes: what a reader expects of them does not change unnoticed."""
    monkeypatch.setenv("QUINR_ISA", isa)
    entropy_model = golden_model()
    sections = unpack((GOLDEN / "v1-bounded.quinr").read_bytes())
    image = drive(quinr_lidar.SphericalProjection(24, 180, 10.67, -30.67))
    assert pack_mask(image.valid, entropy_model) == sections.require("mask").payload
    payload = pack_ranges(image.ranges, image.valid, entropy_model, max_error=0.02)
    assert payload == sections.require("ranges").payload


def drive(projection: quinr_lidar.SphericalProjection) -> RangeImage:
    """Ground, walls and noise, by sums and products only: the same image on every machine."""
    random = np.random.default_rng(7)
    v, u = np.indices((projection.height, projection.width))
    ranges = np.minimum(60 / (v + 1.0), 8 + (u // 15 * 7919 % 23)) + 3
    ranges = ranges * (1 + 0.002 * random.random(v.shape))
    valid = random.random(v.shape) < np.where(v < 4, 0.3, 0.95)
    ranges = ranges.astype(np.float32)
    no_return = float(ranges[valid].max())
    ranges[~valid] = no_return
    return RangeImage(ranges, valid, projection, no_return)


def write_model() -> None:
    """Trained for a moment on another view of the same drive."""
    image = drive(quinr_lidar.SphericalProjection(40, 120))
    generator = torch.Generator().manual_seed(0)
    mask = mask_layer.model_shape().field((6,), 2, 2)
    ranges = ranges_layer.model_shape().field((12, 8), 3, 2)
    masks, samples = MaskSamples([image.valid]), RangeSamples([image])
    settings = CodeLengthSettings(steps=150, learning_rate=2e-2)
    of_mask = train_by_code_length(mask, {}, lambda: masks.draw(512, generator), settings)
    of_ranges = train_by_code_length(
        ranges,
        {LINEAR: torch.zeros(ranges_layer.model_shape().further[LINEAR])},
        lambda: samples.draw(512, generator, (0.005, 0.2)),
        settings,
    )
    entropy_model = pack_model({"mask": (mask, of_mask), "ranges": (ranges, of_ranges)})
    (GOLDEN / "v1.qmodel").write_bytes(entropy_model.data)


def write_layers(name: str) -> None:
    entropy_model = golden_model()
    image = drive(quinr_lidar.SphericalProjection(24, 180, 10.67, -30.67))
    settings = LAYERED[name] | TINY | {"entropy_model": entropy_model.name}
    data = codec.encode_frame(image, entropy_models=[entropy_model], **settings).data
    decoded = quinr_lidar.decode(data, entropy_models=[entropy_model])
    (GOLDEN / f"{name}.quinr").write_bytes(data)
    np.savez_compressed(
        GOLDEN / f"{name}.npz",
        ranges=decoded.ranges[decoded.valid],
        valid=decoded.valid,
        no_return=decoded.no_return,
        checksum=checksum(decoded.ranges),
    )


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
    data = quinr_lidar.encode(projection.project(points), "paper", **SETTINGS[name])
    decoded = quinr_lidar.decode(data)
    (GOLDEN / f"{name}.quinr").write_bytes(data)
    np.savez_compressed(
        GOLDEN / f"{name}.npz",
        ranges=decoded.ranges.reshape(-1)[::7],
        valid=decoded.valid.reshape(-1)[::7],
        no_return=decoded.no_return,
        shape=decoded.shape,
    )


if __name__ == "__main__":
    if sys.argv[1] == "v1-picture":
        write_picture()
    elif sys.argv[1] == "v1.qmodel":
        write_model()
    elif sys.argv[1] in LAYERED:
        write_layers(sys.argv[1])
    else:
        write(sys.argv[1])
