from __future__ import annotations

import numpy as np
import pytest

import quinr_lidar
from quinr_lidar import codec

pytestmark = pytest.mark.realdata


def test_a_preview_of_kitti_beats_a_constant_image(data_root):
    scan = data_root / "kitti/odometry/sequences/00/velodyne/000000.bin"
    points = np.fromfile(scan, np.float32).reshape(-1, 4)
    image = quinr_lidar.SphericalProjection().project(points)
    assert image.valid_count == 51_770
    encoded = codec.encode_frame(image, "paper", steps=150)
    # The best constant image has 8.87 dB; 150 of 1,500 steps go well beyond it.
    assert encoded.psnr > 10.0
    assert encoded.float_psnr - encoded.psnr < 0.1
    assert len(encoded.data) <= 32 + 260
    decoded = quinr_lidar.decode(encoded.data)
    measured_psnr = -10 * np.log10(
        np.square((decoded.ranges - image.ranges) / image.no_return).mean()
    )
    assert measured_psnr == pytest.approx(encoded.psnr, abs=1e-3)
    assert (decoded.valid == image.valid).mean() > 0.8
