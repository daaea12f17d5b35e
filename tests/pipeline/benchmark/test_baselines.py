"""Codecs keep to budgets, use them, and make files that others decode."""

from __future__ import annotations

import io
import itertools

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.benchmark.baselines import PEERS, encode_to_fit, smallest_size
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.images import psnr

CASES = [(name, channels) for name, peer in PEERS.items() for channels in peer.channels]


def picture(channels: int, height: int = 32, width: int = 64) -> NDArray[np.float64]:
    """Waves, an edge and noise: something to find at every rate."""
    y, x = np.mgrid[:height, :width] / width
    waves = 0.5 + 0.3 * np.sin(9 * x[..., None] + np.arange(channels)) * np.cos(7 * y[..., None])
    noise = np.random.default_rng(0).normal(0, 0.03, waves.shape)
    return np.clip(waves + noise + 0.2 * (x > 0.6)[..., None], 0, 1)


@pytest.mark.parametrize(("name", "channels"), CASES)
def test_budget_is_kept_and_used(name: str, channels: int):
    image, peer = picture(channels), PEERS[name]
    least = smallest_size(peer, image)
    budgets = (least + 60, least + 300, least + 900)
    points = [encode_to_fit(peer, image, budget) for budget in budgets]
    for point, budget in zip(points, budgets, strict=True):
        assert point is not None
        assert point.name == name
        assert 0.6 * budget <= point.bytes <= budget
        assert point.decoded.shape == image.shape
        assert point.decoded.dtype == np.float64
        assert point.psnr_db == psnr(image, point.decoded, max_value=1.0)
    quality = [point.psnr_db for point in points if point]
    assert all(after > before + 0.3 for before, after in itertools.pairwise(quality))


@pytest.mark.parametrize(("name", "channels"), CASES)
def test_none_where_no_file_is_as_small(name: str, channels: int):
    image, peer = picture(channels), PEERS[name]
    least = smallest_size(peer, image)
    assert encode_to_fit(peer, image, least - 1) is None
    point = encode_to_fit(peer, image, least)
    assert point is not None
    assert point.bytes == least


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "kind"), [("jpeg", "JPEG"), ("jpeg2000-8", "JPEG2000")])
def test_files_without_comments_are_read_by_pillow(name: str, kind: str, channels: int):
    image, peer = picture(channels), PEERS[name]
    samples = np.rint(255 * image).astype(np.uint8)
    for setting in peer.settings(image.shape, 2000):
        file = setting.encode(samples.squeeze(), setting.qualities[-1])
        assert file is not None
        assert b"OpenJPEG" not in file
        assert b"JFIF" not in file
        with Image.open(io.BytesIO(file)) as opened:
            assert opened.format == kind
            pillow = np.asarray(opened).astype(int)
        assert np.array_equal(pillow, peer.decode(file))
        # Colours are taken for what they are.
        assert abs(pillow.mean((0, 1)) - samples.squeeze().mean((0, 1))).max() < 4


def test_jpeg_by_pillow_is_the_point():
    """The best of all that Pillow's JPEG offers at a size, found without our search."""
    image = picture(1)
    grey = Image.fromarray(np.rint(255 * image[..., 0]).astype(np.uint8))
    point = encode_to_fit(PEERS["jpeg"], image, 700)
    assert point is not None
    for quality in range(1, 101):
        file = io.BytesIO()
        grey.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= 700:
            with Image.open(file) as opened:
                decoded = np.asarray(opened)[..., None] / 255
            assert psnr(image, decoded, max_value=1.0) <= point.psnr_db


def test_jpeg2000_beats_a_plain_call():
    image = picture(1)
    plain = imagecodecs.jpeg2k_encode(
        np.rint(255 * image[..., 0]).astype(np.uint8), level=25, codecformat="j2k", reversible=False
    )
    decoded = imagecodecs.jpeg2k_decode(plain)[..., None] / 255
    point = encode_to_fit(PEERS["jpeg2000-8"], image, len(plain))
    assert point is not None
    assert point.psnr_db > psnr(image, decoded, max_value=1.0) + 0.2


def test_sixteen_bits_are_kept():
    """A ramp of a thousandth of the range: one value at 8 bits."""
    image = 0.5 + 0.001 * np.tile(np.linspace(0, 1, 64), (32, 1))[..., None]
    fine, coarse = (
        encode_to_fit(PEERS[name], image, 3000) for name in ("jpeg2000-16", "jpeg2000-8")
    )
    assert fine is not None
    assert coarse is not None
    assert fine.psnr_db > coarse.psnr_db + 20


def test_refuses():
    grey = picture(1, 16, 16)
    with pytest.raises(GeometryError, match="webp: expected an image"):
        encode_to_fit(PEERS["webp"], grey, 1000)
    with pytest.raises(GeometryError, match=r"\[H, W, C"):
        encode_to_fit(PEERS["jpeg"], grey[..., 0], 1000)
    with pytest.raises(GeometryError, match="float64"):
        encode_to_fit(PEERS["jpeg"], grey.astype(np.float32), 1000)  # pyright: ignore[reportArgumentType]
    with pytest.raises(GeometryError, match=r"\[0, 1\]"):
        smallest_size(PEERS["jpeg"], grey + 0.5)
    with pytest.raises(GeometryError, match="budget"):
        encode_to_fit(PEERS["jpeg"], grey, 0)
