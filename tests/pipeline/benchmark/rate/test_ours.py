"""QuINR takes part with the files that the library writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quinr_lidar
from pipeline.benchmark.rate import ours, whole_image
from pipeline.benchmark.rate.baselines import Known
from pipeline.benchmark.rate.measure import measure
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.errors import GeometryError


def room(height: int = 16, width: int = 96) -> RangeImage:
    """Walls with a hole."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    ranges = (9 - 4 * y + 3 * np.sin(9 * x)).astype(np.float32)
    ranges[:, width // 3 : width // 2] = 30
    valid = np.ones(ranges.shape, bool)
    valid[3:7, 5:30] = False
    no_return = float(ranges[valid].max())
    return RangeImage(
        np.where(valid, ranges, np.float32(no_return)),
        valid,
        SphericalProjection(height, width),
        no_return,
    )


@pytest.fixture
def short(monkeypatch):
    """Trainings of a few steps; a list of those that ran."""
    trained = []
    encode_frame = codec.encode_frame

    def counted(image: RangeImage, profile: object, **overrides: object) -> codec.EncodedFrame:
        trained.append(image)
        quick = {"steps": 20, "restarts": 1, "refit_groups": 1}
        return encode_frame(image, profile, **(overrides | quick))

    monkeypatch.setattr(codec, "encode_frame", counted)
    ours._trained_preview.cache_clear()
    yield trained
    ours._trained_preview.cache_clear()


def test_files_are_those_of_the_library(short):
    image = room()
    for max_error in (0.02, 0.1):
        encoded = ours.QUINR.ways["bounded"](image, max_error)
        assert encoded.data == codec.encode_frame(image, "bounded", max_error=max_error).data
    assert encoded.parts == codec.inspect(encoded.data).sections
    assert set(encoded.parts) == {"preview", "mask", "ranges"}


def test_the_preview_is_trained_once_a_scan_and_is_not_counted(short, monkeypatch):
    image = room()
    found = [measure(image, ours.QUINR, max_error) for max_error in (0.02, 0.1)]
    assert len(short) == 1
    assert [
        one["largest_error_m"] <= max_error
        for one, max_error in zip(found, (0.02, 0.1), strict=True)
    ]
    assert found[0]["training_seconds"] == found[1]["training_seconds"] > 0
    stated = replace(
        ours.QUINR,
        ways={"": lambda image, max_error: replace(encoded, seconds=123.0, training_seconds=4.0)},
    )
    encoded = ours.QUINR.ways["bounded"](image, 0.1)
    again = measure(image, stated, 0.1)
    assert (again["encode_seconds"], again["training_seconds"]) == (123.0, 4.0)
    measure(room(height=8), ours.QUINR, 0.1)
    assert len(short) == 2


def test_an_error_above_the_bound_is_found(short, monkeypatch):
    image, decode = room(), codec.decode

    def off(data: bytes, **others: object) -> RangeImage:
        found = decode(data, **others)
        return replace(found, ranges=found.ranges + np.float32(0.05))

    monkeypatch.setattr(codec, "decode", off)
    with pytest.raises(GeometryError, match=r"quinr: expected a maximum error of 0.02 m"):
        measure(image, ours.QUINR, 0.02)


def test_version_is_of_the_library():
    version = ours.QUINR.version()
    assert version == ours.UNSEEN.version()
    assert len(version) == 64
    library = Path(quinr_lidar.__file__).parent
    assert all((library / name).exists() for name in ours.CODING)


def test_version_follows_what_decides_a_file(tmp_path, monkeypatch):
    folder = tmp_path / "quinr_lidar"
    for name in ("__init__.py", "metrics.py", "codec/one.py", "entropy/built_in/one.qmodel"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    monkeypatch.setattr(quinr_lidar, "__file__", str(folder / "__init__.py"))
    versions = [ours.library_version.__wrapped__()]
    for name in ("codec/one.py", "entropy/built_in/one.qmodel", "metrics.py"):
        (folder / name).write_text("2")
        versions.append(ours.library_version.__wrapped__())
    assert len(set(versions[:3])) == 3
    assert versions[3] == versions[2]


def test_whole_images_fill_their_budget(short):
    image, one = room(), whole_image.WHOLE_IMAGE[0]
    encoded = one.ways[""](image, 1.2)
    budget = 1.2 * image.ranges.size / 8
    assert 0.9 * budget < encoded.size == len(encoded.data) <= budget
    found = measure(image, one, 1.2)
    assert found["psnr_db"] > 5
    assert "largest_error_m" not in found  # it knows no mask


def test_previews_pay_for_their_mask(short):
    image, one = room(), whole_image.WHOLE_IMAGE[1]
    encoded = one.ways[""](image, 1.2)
    budget = 1.2 * image.ranges.size / 8
    assert 0.5 * budget < encoded.size == len(encoded.data) <= budget
    assert set(encoded.parts) == {"preview", "mask"}
    decoded = one.decode(encoded.data, Known(image.projection, image.no_return, 1.2))
    assert np.array_equal(decoded.valid, image.valid)
    assert measure(image, one, 1.2)["largest_error_m"] > 0
    with pytest.raises(GeometryError, match="mask takes all"):
        one.ways[""](image, 0.3)


def test_the_better_preview_counts(short, monkeypatch):
    image, encode_frame = room(), codec.encode_frame
    made = []

    def noted(*arguments: object, **overrides: object) -> codec.EncodedFrame:
        made.append(encode_frame(*arguments, **overrides))
        return made[-1]

    monkeypatch.setattr(codec, "encode_frame", noted)
    encoded = whole_image.WHOLE_IMAGE[1].ways[""](image, 2.2)
    first, second = made
    assert first.psnr != second.psnr
    assert encoded.data == max(made, key=lambda frame: frame.psnr).data


def test_presets_are_chosen_by_size():
    assert whole_image.preset_for(1638).name == "paper-1300"
    assert whole_image.preset_for(380).name == "paper-350"
    assert whole_image.preset_for(380).target_bytes == 380
