"""Scans and pictures as files; profiles as files."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from pipeline.config.profile_files import find_profile, write_profile
from pipeline.datasets.pictures import is_picture, parse_picture, picture_bytes
from pipeline.datasets.sources import read_source
from quinr_lidar import Profile, RangeImage
from quinr_lidar.errors import GeometryError, ProfileError, ScanError, StorageError

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)


@pytest.mark.parametrize("image", [RGB, RGB[..., 0]])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_pictures_come_back(tmp_path, image, suffix):
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(picture_bytes(image, suffix))
    source = read_source(path)
    assert isinstance(source.content, np.ndarray)
    np.testing.assert_array_equal(source.content, image)
    assert (source.pixels, source.raw_bytes) == (54, path.stat().st_size)
    assert is_picture(path)


@pytest.mark.parametrize(
    ("mode", "shape"), [("P", (6, 9, 3)), ("RGBA", (6, 9, 3)), ("LA", (6, 9)), ("1", (6, 9))]
)
def test_other_modes_become_grey_or_rgb(mode, shape):
    buffer = io.BytesIO()
    Image.fromarray(RGB).convert(mode).save(buffer, "PNG")
    assert parse_picture(buffer.getvalue(), "x.png").shape == shape


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing of the kind")
    with pytest.raises(GeometryError, match=r"a\.png"):
        read_source(tmp_path / "a.png")
    damaged = picture_bytes(RGB)[:-40]
    with pytest.raises(GeometryError, match=r"b\.png"):
        parse_picture(damaged, "b.png")
    deep = io.BytesIO()
    Image.fromarray(RGB[..., 0].astype(np.uint16) * 200).save(deep, "PNG")
    with pytest.raises(GeometryError, match="8 bits"):
        parse_picture(deep.getvalue(), "c.png")
    with pytest.raises(StorageError, match=r"d\.png"):
        read_source(tmp_path / "d.png")
    with pytest.raises(GeometryError, match=r"\.xyz"):
        picture_bytes(RGB, ".xyz")


def test_scans(tmp_path):
    points = np.random.default_rng(1).normal(scale=20, size=(100, 4)).astype("<f4")
    path = tmp_path / "scan.bin"
    points.tofile(path)
    source = read_source(path)
    assert isinstance(source.content, RangeImage)
    assert source.pixels == 64 * 1024
    np.zeros((3, 4), "<f4").tofile(path)
    with pytest.raises(ScanError, match=r"scan\.bin"):
        read_source(path)


def test_profiles_come_back(tmp_path):
    path = tmp_path / "mine.json"
    profile = Profile(name="mine").with_overrides(qubits=3, target_bytes=300, sine_layers=2)
    write_profile(path, profile)
    assert find_profile(str(path)) == profile
    assert set(json.loads(path.read_text())) == {"name", "qubits", "target_bytes", "sine_layers"}
    assert find_profile("paper").name == "paper"
    assert find_profile(profile) is profile


@pytest.mark.parametrize("text", ["{", "[1]", '{"qubits": 99}', '{"colour": 1}'])
def test_files_that_hold_no_profile_are_named(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ProfileError, match=r"bad\.json"):
        find_profile(str(path))
