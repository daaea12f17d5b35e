"""Kodak images: pictures in and out of files."""

from __future__ import annotations

import numpy as np
import pytest

import quinr_lidar
from quinr_lidar import codec
from quinr_lidar.codec.image_decoding import decode_image
from quinr_lidar.codec.images import encode_image
from quinr_lidar.errors import BitstreamError, GeometryError
from quinr_lidar.fields import SirenField
from quinr_lidar.fields.grid_values import Window

TINY = {"qubits": 3, "features": 6, "blocks": 2, "readout": 6, "steps": 300, "batch_size": 256}


def picture(height: int = 24, width: int = 36) -> np.ndarray:
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    channels = (0.5 + 0.4 * np.sin(3 * x + y), x, 1 - 0.8 * y * x)
    return np.rint(255 * np.stack(channels, -1)).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.square(a.astype(float) - b.astype(float)).mean()
    return -10 * np.log10(error / 255**2)


@pytest.fixture(scope="module")
def encoded():
    return encode_image(picture(), "paper", **TINY)


def test_a_colour_picture_comes_back(encoded):
    decoded = decode_image(encoded.data)
    assert decoded.shape == picture().shape
    assert decoded.dtype == np.uint8
    found = psnr(decoded, picture())
    assert found > 22
    assert found == pytest.approx(encoded.psnr, abs=0.3)


def test_grey_pictures_have_no_third_axis():
    grey = picture()[..., 0]
    decoded = decode_image(encode_image(grey, "paper", **TINY | {"readout": 0}).data)
    assert decoded.shape == grey.shape
    assert psnr(decoded, grey) > 20


def test_target_bytes_are_met():
    for target in (110, 150):
        size = len(encode_image(picture(), "paper", **TINY, target_bytes=target).data)
        assert 0.97 * target <= size <= target


def test_any_grid_and_window(encoded):
    whole = decode_image(encoded.data, height=48, width=72)
    assert whole.shape == (48, 72, 3)
    coarse = whole.reshape(24, 2, 36, 2, 3).mean((1, 3))
    assert np.abs(coarse - decode_image(encoded.data)).max() < 12
    window = Window(10, 20, 5, 50)
    part = decode_image(encoded.data, height=48, width=72, window=window)
    np.testing.assert_array_equal(part, whole[window.slices])
    with pytest.raises(ValueError, match="window"):
        decode_image(encoded.data, window=Window(0, 25, 0, 5))


def test_another_field_fits_into_the_same_container():
    encoded = encode_image(picture(), "paper", field=SirenField(6, 2, outputs=3), steps=300)
    assert psnr(decode_image(encoded.data), picture()) > 25
    info = codec.inspect(encoded.data).as_dict()
    assert (info["kind"], info["content"], info["width"], info["layers"]) == (
        "siren",
        "image",
        6,
        2,
    )


def test_scans_and_pictures_are_not_mistaken_for_each_other(encoded):
    with pytest.raises(BitstreamError, match="picture"):
        quinr_lidar.decode(encoded.data)
    points = np.random.default_rng(0).normal(scale=20, size=(500, 3))
    image = quinr_lidar.SphericalProjection(8, 16).project(points)
    scan = quinr_lidar.encode(image, "paper", steps=2, qubits=2, features=3, blocks=1)
    with pytest.raises(BitstreamError, match="scan"):
        decode_image(scan)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(GeometryError, match="image"):
        encode_image(image, "paper")


def test_every_flipped_bit_is_noticed(encoded):
    data = encoded.data
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(BitstreamError):
            decode_image(bytes(damaged))
