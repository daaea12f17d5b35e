"""What the bounded layers promise and cost on real scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quinr_lidar
from pipeline.datasets import read_velodyne
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.entropy.models import Prior, built_in_priors
from quinr_lidar.layers.mask import pack_mask, unpack_mask
from quinr_lidar.layers.range_steps import allowed_error
from quinr_lidar.layers.ranges import pack_ranges, unpack_ranges

pytestmark = pytest.mark.realdata

FIRST = "odometry/sequences/00/velodyne/000000.bin"


def image_of(path: Path) -> RangeImage:
    return SphericalProjection().project(read_velodyne(path))


def assert_kept(image: RangeImage, prior: Prior, bound: float, growth: float = 0.0) -> None:
    mask = unpack_mask(pack_mask(image.measured, prior), image.shape, prior)
    np.testing.assert_array_equal(mask, image.measured)
    payload = pack_ranges(image.ranges, mask, prior, bound, growth)
    original = image.ranges[mask]
    error = np.abs(unpack_ranges(payload, mask, prior) - original.astype(np.float64))
    assert (error <= allowed_error(original, bound, growth)).all()


def test_every_scan_keeps_its_mask_and_its_bound(data_root):
    scans = sorted((data_root / "kitti").rglob("*.bin"))
    scans = [path for path in scans if path.stat().st_size > 100_000]
    assert len(scans) >= 10
    prior = built_in_priors()["hdl64"]
    for path in scans:
        assert_kept(image_of(path), prior, 0.02)


@pytest.mark.parametrize(
    ("bound", "growth"), [(0.001, 0), (0.1, 0), (1.0, 0), (0.02, 0.002), (0.02, 0.05)]
)
def test_other_bounds_and_a_prior_that_knows_nothing(data_root, small_prior, bound, growth):
    image = image_of(data_root / "kitti" / FIRST)
    for prior in (built_in_priors()["hdl64"], small_prior):
        assert_kept(image, prior, bound, growth)


def test_what_a_scan_costs(data_root):
    image = image_of(data_root / "kitti" / FIRST)
    encoded = codec.encode_frame(image, "bounded", steps=60, restarts=1, refit_groups=1)
    sections = codec.inspect(encoded.data).sections
    assert sections["mask"] <= 940
    assert 8 * sections["ranges"] / image.measured_count <= 2.33
    assert len(encoded.data) <= 16_300
    decoded = quinr_lidar.decode(encoded.data)
    np.testing.assert_array_equal(decoded.measured, image.measured)
    error = np.abs(decoded.ranges.astype(np.float64) - image.ranges)[image.measured]
    assert 0.0199 < error.max() <= 0.02
    # Uniform errors in +-2 cm of 79 % of the pixels.
    assert encoded.psnr == pytest.approx(77.8, abs=0.3)
