"""Codecs keep to budgets, use them, and make files that others decode."""

from __future__ import annotations

import io
import itertools

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.benchmark.baseline import Request
from pipeline.benchmark.baselines import lossy_codecs
from pipeline.benchmark.baselines.lossy_codecs import (
    JPEG_2000,
    JPEG_2000_16,
    LOSSY_CODECS,
    encode_to_fit,
)
from pipeline.benchmark.measure import measure
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.images import psnr

CODECS = {"jpeg": (lossy_codecs._jpeg, imagecodecs.jpeg8_decode), "jpeg2000": JPEG_2000}
CASES = [(one.name, kind) for one in LOSSY_CODECS for kind in one.codes]


def picture(channels: int, height: int = 32, width: int = 64) -> NDArray[np.float64]:
    """Waves, an edge and noise: something to find at every rate."""
    y, x = np.mgrid[:height, :width] / width
    waves = 0.5 + 0.3 * np.sin(9 * x[..., None] + np.arange(channels)) * np.cos(7 * y[..., None])
    noise = np.random.default_rng(0).normal(0, 0.03, waves.shape)
    return np.clip(waves + noise + 0.2 * (x > 0.6)[..., None], 0, 1)


def content(kind: str) -> RangeImage | NDArray[np.uint8]:
    if kind == "picture":
        return np.rint(255 * picture(3)).astype(np.uint8)
    ranges = (1 + 79 * picture(1)[..., 0]).astype(np.float32)
    valid = np.ones(ranges.shape, bool)
    return RangeImage(ranges, valid, SphericalProjection(32, 64), float(ranges.max()))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_budget_is_kept_and_used(name: str, kind: str):
    (codec,) = (one for one in LOSSY_CODECS if one.name == name)
    budgets = (600, 1000, 1800)
    channels = 3 if kind == "picture" else 1
    found = [measure(content(kind), codec, Request(one, channels))["figures"] for one in budgets]
    for figures, budget in zip(found, budgets, strict=True):
        assert 0.6 * budget <= figures["bytes"] <= budget
    assert all(b["psnr_db"] > a["psnr_db"] + 0.3 for a, b in itertools.pairwise(found))
    with pytest.raises(GeometryError, match="cannot write 20 bytes"):
        measure(content(kind), codec, Request(20, channels))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "kind"), [("jpeg", "JPEG"), ("jpeg2000", "JPEG2000")])
def test_files_without_comments_are_read_by_pillow(name: str, kind: str, channels: int):
    image, (options, decode) = picture(channels), CODECS[name]
    samples = np.rint(255 * image).astype(np.uint8)
    for _, qualities, encode in options(image.shape, 2000):
        file = encode(samples.squeeze(), qualities[-1])
        assert file is not None
        assert b"OpenJPEG" not in file
        assert b"JFIF" not in file
        with Image.open(io.BytesIO(file)) as opened:
            assert opened.format == kind
            pillow = np.asarray(opened).astype(int)
        assert np.array_equal(pillow, decode(file))
        # Colours are taken for what they are.
        assert abs(pillow.mean((0, 1)) - samples.squeeze().mean((0, 1))).max() < 4


def test_jpeg_by_pillow_is_the_point():
    """The best of all that Pillow's JPEG offers at a size, found without our search."""
    image = picture(1)
    grey = Image.fromarray(np.rint(255 * image[..., 0]).astype(np.uint8))
    _, best = encode_to_fit(CODECS["jpeg"], image, 700)
    best_db = psnr(image, best, max_value=1.0)
    for quality in range(1, 101):
        file = io.BytesIO()
        grey.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= 700:
            with Image.open(file) as opened:
                decoded = np.asarray(opened)[..., None] / 255
            assert psnr(image, decoded, max_value=1.0) <= best_db


def test_jpeg2000_beats_a_plain_call():
    image = picture(1)
    plain = imagecodecs.jpeg2k_encode(
        np.rint(255 * image[..., 0]).astype(np.uint8), level=25, codecformat="j2k", reversible=False
    )
    decoded = imagecodecs.jpeg2k_decode(plain)[..., None] / 255
    _, best = encode_to_fit(JPEG_2000, image, len(plain))
    assert psnr(image, best, max_value=1.0) > psnr(image, decoded, max_value=1.0) + 0.2


def test_sixteen_bits_are_kept():
    """A ramp of a thousandth of the range: one value at 8 bits."""
    image = 0.5 + 0.001 * np.tile(np.linspace(0, 1, 64), (32, 1))[..., None]
    fine, coarse = (
        psnr(image, encode_to_fit(codec, image, 3000)[1], max_value=1.0)
        for codec in (JPEG_2000_16, JPEG_2000)
    )
    assert fine > coarse + 20
