from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.viewing.frame_figure import figure_png, frame_figure
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import GeometryError

POINTS = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(2000, 3))


def picture(decoded_measured: bool) -> np.ndarray:
    image = SphericalProjection(16, 64).project(POINTS)
    decoded = RangeImage(
        image.ranges,
        image.valid & decoded_measured,
        image.projection,
        image.no_return,
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


def test_the_panels_hold_ranges_and_errors_in_metres():
    image = SphericalProjection(16, 64).project(POINTS)
    generator = np.random.default_rng(1)
    ranges = (image.ranges + generator.random(image.shape)).astype(np.float32)
    valid = generator.random(image.shape) < 0.8
    decoded = RangeImage(ranges, valid, image.projection, image.no_return)
    figure = frame_figure(image, decoded)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    both = image.valid & valid
    expected = (
        (image.ranges, image.valid),
        (ranges, valid),
        (np.abs(ranges.astype(float) - image.ranges), both),
    )
    assert len(shown) == 3
    for panel, (values, mask) in zip(shown, expected, strict=True):
        assert np.array_equal(np.ma.getmaskarray(panel), ~mask)
        np.testing.assert_allclose(np.ma.getdata(panel)[mask], values[mask], atol=1e-5)
    bars = [axes.get_ylabel() for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert bars == ["range [m]", "range [m]", "error [m]", "height [m]"]


def test_forward_is_up_and_left_is_left():
    points = np.array([[20.0, 5.0, -1.0], [-8.0, -3.0, -1.0]])
    image = SphericalProjection(64, 4096).project(points)
    views = [axes for axes in frame_figure(image, image).axes if axes.collections]
    offsets = [
        np.asarray(dots.get_offsets())
        for axes in views
        for dots in axes.collections
        if len(dots.get_offsets()) == 2
    ]
    assert len(offsets) == 2
    for dots in offsets:
        ordered = dots[np.argsort(dots[:, 1])]
        np.testing.assert_allclose(ordered, [[3, -8], [-5, 20]], atol=0.1)


def test_images_of_two_projections_are_refused():
    image = SphericalProjection(16, 64).project(POINTS)
    other = SphericalProjection(8, 64).project(POINTS)
    with pytest.raises(GeometryError, match="decoded: expected"):
        frame_figure(image, other)


def test_an_image_without_any_point_is_still_drawn():
    nothing = SphericalProjection(16, 64).project(np.zeros((3, 3)))
    assert figure_png(frame_figure(nothing, nothing), dpi=30).startswith(b"\x89PNG")


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys, pipeline.viewing.frame_figure, pipeline.viewing.screenshot, "
        "pipeline.kodak.contact_sheet; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
