"""What the bounded layers promise and cost on real scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quinr_lidar
from pipeline.datasets import read_scan
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.entropy.models import EntropyModel, built_in_models
from quinr_lidar.layers.range_steps import allowed_error
from tests.support.layers import pack_mask, pack_ranges, unpack_mask, unpack_ranges

pytestmark = pytest.mark.realdata

FIRST = "odometry/sequences/00/velodyne/000000.bin"


def image_of(path: Path) -> RangeImage:
    return SphericalProjection().project(read_scan(path).points)


def assert_kept(
    image: RangeImage, entropy_model: EntropyModel, max_error: float, relative_error: float = 0.0
) -> None:
    mask = unpack_mask(pack_mask(image.valid, entropy_model), image.shape, entropy_model)
    np.testing.assert_array_equal(mask, image.valid)
    payload = pack_ranges(image.ranges, mask, entropy_model, max_error, relative_error)
    original = image.ranges[mask]
    error = np.abs(unpack_ranges(payload, mask, entropy_model) - original.astype(np.float64))
    assert (error <= allowed_error(original, max_error, relative_error)).all()


def test_every_scan_keeps_its_mask_and_its_bound(data_root):
    scans = sorted((data_root / "kitti").rglob("*.bin"))
    scans = [path for path in scans if path.stat().st_size > 100_000]
    assert len(scans) >= 10
    entropy_model = built_in_models()["hdl64"]
    for path in scans:
        assert_kept(image_of(path), entropy_model, 0.02)


@pytest.mark.parametrize(
    ("max_error", "relative_error"), [(0.001, 0), (0.1, 0), (1.0, 0), (0.02, 0.002), (0.02, 0.05)]
)
def test_other_bounds_and_a_model_that_knows_nothing(
    data_root, small_model, max_error, relative_error
):
    image = image_of(data_root / "kitti" / FIRST)
    for entropy_model in (built_in_models()["hdl64"], small_model):
        assert_kept(image, entropy_model, max_error, relative_error)


def test_what_a_scan_costs(data_root):
    image = image_of(data_root / "kitti" / FIRST)
    encoded = codec.encode_frame(image, "bounded", steps=60, restarts=1, refit_groups=1)
    sections = codec.inspect(encoded.data).sections
    assert sections["mask"] <= 940
    assert 8 * sections["ranges"] / image.valid_count <= 2.33
    assert len(encoded.data) <= 16_300
    decoded = quinr_lidar.decode(encoded.data)
    np.testing.assert_array_equal(decoded.valid, image.valid)
    error = np.abs(decoded.ranges.astype(np.float64) - image.ranges)[image.valid]
    assert 0.0199 < error.max() <= 0.02
    # Uniform errors in +-2 cm of 79 % of the pixels.
    assert encoded.psnr == pytest.approx(77.8, abs=0.3)
