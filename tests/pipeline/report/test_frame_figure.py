from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pipeline.report import figure_png, frame_figure
from quinr_lidar import RangeImage, SphericalProjection


def picture(decoded_measured: bool) -> np.ndarray:
    points = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(2000, 3))
    image = SphericalProjection(16, 64).project(points)
    decoded = RangeImage(
        image.ranges,
        image.measured & decoded_measured,
        image.projection,
        image.fill,
    )
    png = figure_png(frame_figure(image, decoded, "a frame"), dpi=50)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_it_is_a_picture_that_shows_the_decoded_cloud():
    whole, empty = picture(True), picture(False)
    assert whole.shape == empty.shape
    assert len(np.unique(whole.reshape(-1, 3), axis=0)) > 500
    # The right bird's-eye view differs, the left (original) one does not.
    height, width, _ = whole.shape
    bottom = slice(height * 6 // 10, height)
    right = slice(width * 55 // 100, width)
    assert np.abs(whole[bottom, right].astype(int) - empty[bottom, right]).mean() > 1
