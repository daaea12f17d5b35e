"""Entropy models in files and in archives."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pipeline.config.profile_files import scan_profile
from pipeline.sequence.frames import decode_file
from pipeline.sequence.model_files import (
    built_in_name,
    keep_model,
    models_for,
    models_in,
    read_model,
)
from quinr_lidar import SphericalProjection, codec
from quinr_lidar.entropy.models import built_in_models
from quinr_lidar.errors import (
    BitstreamError,
    EntropyModelError,
    ProfileError,
    StorageError,
    UnknownEntropyModelError,
)
from tests.support.tiny import tiny

TINY = tiny(steps=2)


@pytest.fixture
def image():
    points = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(900, 3))
    return SphericalProjection(8, 32).project(points)


def test_a_kept_model_is_found_and_read(tmp_path, own_model):
    keep_model(tmp_path / "00", own_model)
    path = tmp_path / "00" / f"{own_model.name}.qmodel"
    assert path.read_bytes() == own_model.data
    assert read_model(path).name == own_model.name
    assert [entropy_model.name for entropy_model in models_in(tmp_path / "00")] == [own_model.name]
    assert models_in(tmp_path / "nowhere") == ()
    path.write_bytes(b"QMOD")
    keep_model(tmp_path / "00", own_model)
    assert path.read_bytes() == own_model.data, "a damaged copy is replaced"


def test_what_is_no_model_is_named(tmp_path, own_model):
    path = tmp_path / "a.qmodel"
    with pytest.raises(StorageError, match=r"a\.qmodel: cannot be read"):
        read_model(path)
    for content in (b"", b"hello there", own_model.data[:-1], own_model.data[:90] + b"!"):
        path.write_bytes(content)
        with pytest.raises(BitstreamError, match=r"a\.qmodel: entropy_model at byte"):
            read_model(path)


def test_only_damage_of_the_wanted_model_counts(tmp_path, own_model):
    keep_model(tmp_path, own_model)
    damaged = tmp_path / "ffffffffffffffff.qmodel"
    damaged.write_bytes(own_model.data[:-1])
    assert [entropy_model.name for entropy_model in models_in(tmp_path, own_model.name)] == [
        own_model.name
    ]
    with pytest.raises(BitstreamError, match=damaged.name):
        models_in(tmp_path, "f" * 16)


def test_a_file_finds_the_model_beside_it_or_in_its_archive(tmp_path, own_model, image):
    data = codec.encode_frame(
        image, scan_profile("bounded", TINY, entropy_model=own_model), entropy_models=(own_model,)
    ).data
    path = tmp_path / "00" / "frames" / "a.quinr"
    path.parent.mkdir(parents=True)
    with pytest.raises(UnknownEntropyModelError, match=rf"a\.quinr: mask .*{own_model.name}"):
        decode_file(data, path)
    keep_model(path.parent.parent, own_model)
    beside = tmp_path / "beside"
    shutil.copytree(path.parent.parent, beside)
    expected = codec.decode(data, entropy_models=(own_model,)).ranges
    for place in (path, beside / "a.quinr"):
        np.testing.assert_array_equal(decode_file(data, place).ranges, expected)
    # A folder of any other name is no archive: nothing is searched for above it.
    with pytest.raises(UnknownEntropyModelError):
        decode_file(data, beside / "other" / "a.quinr")


def test_files_of_built_in_models_look_nowhere(tmp_path, own_model, image):
    data = codec.encode(image, "bounded", **TINY)
    keep_model(tmp_path, own_model)
    assert models_for(tmp_path / "a.quinr", data) == ()
    assert models_for(tmp_path / "a.quinr", b"no file") == ()
    built_in = built_in_models()["hdl64"]
    assert built_in_name(built_in.name) == "hdl64"
    assert built_in_name(own_model.name) is None


def test_a_bound_asks_for_all_layers():
    plain = scan_profile("paper", {})
    assert (plain.layers, plain.digest()) == (
        ("preview",),
        scan_profile("paper", {"seed": 0}).digest(),
    )
    for options in (
        {"max_error": 0.05},
        {"relative_error": 0.01},
        {"max_error": 0.05, "relative_error": 0.01},
    ):
        profile = scan_profile("paper", {}, **options)
        assert profile.layers == ("preview", "mask", "ranges")
        assert profile.max_error == options.get("max_error", 0.02)
        assert profile.relative_error == options.get("relative_error", 0)
    assert scan_profile("bounded", {}).max_error == 0.02
    assert scan_profile("preview", {}, max_error=1).layers == ("preview", "mask", "ranges")
    assert scan_profile("bounded", {"max_error": 0.5}, max_error=1).max_error == 0.5


def test_a_profile_names_its_model_by_its_digest(own_model):
    assert scan_profile("bounded", {}).entropy_model == built_in_models()["hdl64"].name
    assert scan_profile("preview", {}, entropy_model=own_model).entropy_model == own_model.name
    named = {"entropy_model": own_model.name}
    assert scan_profile("bounded", named, others=(own_model,)).entropy_model == own_model.name
    with pytest.raises(EntropyModelError, match=f"unknown entropy model '{own_model.name}'"):
        scan_profile("bounded", named)


def test_settings_without_effect_are_refused(own_model):
    for overrides in ({"max_error": 0.1}, {"relative_error": 0.1}, {"entropy_model": "hdl64"}):
        with pytest.raises(ProfileError, match=r"without the layer \w+, got layers=preview$"):
            scan_profile("paper", overrides)
    with pytest.raises(ProfileError, match="entropy_model has no effect"):
        scan_profile("paper", {}, entropy_model=own_model)
    with pytest.raises(ProfileError, match="max_error has no effect"):
        scan_profile("bounded", {"layers": "preview,mask"}, max_error=0.1)
    for max_error in (0, -1, 1e9, float("nan")):
        with pytest.raises(ProfileError, match="max_error"):
            scan_profile("bounded", {}, max_error=max_error)
