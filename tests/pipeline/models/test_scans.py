"""The training set of an entropy model: which scans, and range images made of them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.single_file import scan_file
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.models.scans import choose_scans, read_variants, variants
from quinr_lidar import SphericalProjection
from quinr_lidar.errors import DatasetError, EntropyModelError, ScanError

PROJECTION = SphericalProjection(16, 256)
POINTS = np.random.default_rng(0).normal(scale=(20, 20, 1, 1), size=(5000, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "drive"
    made.mkdir()
    for number in range(10):
        (made / f"{number:06d}.bin").write_bytes(encode_velodyne(POINTS[number::20]))
    return made


def names(scans) -> list[str]:
    return [scan.frame_id[-1] for scan in scans]


def test_scans_are_spread_and_the_last_held_out(folder):
    choice = choose_scans([folder], None, 4, 0.25)
    assert names(choice.training_set) == ["0", "3", "6"]
    assert names(choice.held_out) == ["9"]
    everything = choose_scans([folder], None, 99, 0)
    assert names(everything.training_set) == list("0123456789")
    assert everything.held_out == ()


def test_single_scans_are_sources_too(folder):
    scans = [folder / "000004.bin", folder / "000002.bin"]
    assert names(choose_scans(scans, None, 5, 0.5).training_set) == ["4"]


def test_nothing_to_learn_from_is_refused(folder, tmp_path):
    with pytest.raises(EntropyModelError, match="1 scans, of which 1 are held out"):
        choose_scans([folder / "000000.bin"], None, 5, 0.5)
    with pytest.raises(EntropyModelError, match="nothing to train on"):
        choose_scans([], None, 5, 0)
    with pytest.raises(DatasetError):
        choose_scans([tmp_path / "nowhere"], None, 5, 0)


def test_variants_are_the_scene_from_other_sides():
    images = variants(POINTS, PROJECTION, 4, np.random.default_rng(1))
    plain = PROJECTION.project(POINTS)
    np.testing.assert_array_equal(images[0].ranges, plain.ranges)
    for image in images[1:]:
        assert image.projection == PROJECTION
        assert not np.array_equal(image.valid, plain.valid)
        # A turn or a mirror moves points sideways only.
        rows, expected = (one.valid.sum(1) for one in (image, plain))
        np.testing.assert_allclose(rows, expected, atol=0.2 * PROJECTION.width)
        nearest, own = (one.ranges[one.valid].min() for one in (plain, image))
        assert own == pytest.approx(nearest, rel=1e-5)


def test_a_seed_makes_variants_repeatable(folder):
    scans = open_dataset(folder).frames()[:2]
    first, again, other = (read_variants(scans, PROJECTION, 2, seed) for seed in (0, 0, 1))
    assert len(first) == 4
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.ranges, same.ranges)
    assert not np.array_equal(first[1].ranges, other[1].ranges)


def test_scans_without_a_measured_pixel_are_left_out(tmp_path):
    nothing = tmp_path / "0.bin"
    nothing.write_bytes(encode_velodyne(np.zeros((20, 4), np.float32)))
    assert read_variants([scan_file(nothing)], PROJECTION, 3, 0) == []
    (tmp_path / "1.bin").write_bytes(b"abc\n")
    with pytest.raises(ScanError, match=r"1\.bin"):
        read_variants([scan_file(tmp_path / "1.bin")], PROJECTION, 1, 0)
