"""Priors in files and in archives."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pipeline.config.profile_files import scan_profile
from pipeline.models.files import built_in_name, keep_prior, priors_for, priors_in, read_prior
from pipeline.sequence.frames import decode_file
from quinr_lidar import SphericalProjection, codec
from quinr_lidar.entropy.models import built_in_priors
from quinr_lidar.errors import (
    BitstreamError,
    PriorError,
    ProfileError,
    StorageError,
    UnknownPriorError,
)

TINY = {"qubits": 2, "features": 4, "blocks": 1, "steps": 2, "batch_size": 64, "refit_groups": 1}


@pytest.fixture
def image():
    points = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(900, 3))
    return SphericalProjection(8, 32).project(points)


def test_a_kept_prior_is_found_and_read(tmp_path, own_prior):
    keep_prior(tmp_path / "00", own_prior)
    path = tmp_path / "00" / f"{own_prior.name}.qprior"
    assert path.read_bytes() == own_prior.data
    assert read_prior(path).name == own_prior.name
    assert [prior.name for prior in priors_in(tmp_path / "00")] == [own_prior.name]
    assert priors_in(tmp_path / "nowhere") == ()
    path.write_bytes(b"QPRI")
    keep_prior(tmp_path / "00", own_prior)
    assert path.read_bytes() == own_prior.data, "a damaged copy is replaced"


def test_what_is_no_prior_is_named(tmp_path, own_prior):
    path = tmp_path / "a.qprior"
    with pytest.raises(StorageError, match=r"a\.qprior: cannot be read"):
        read_prior(path)
    for content in (b"", b"hello there", own_prior.data[:-1], own_prior.data[:90] + b"!"):
        path.write_bytes(content)
        with pytest.raises(BitstreamError, match=r"a\.qprior: prior at byte"):
            read_prior(path)


def test_only_the_wanted_priors_damage_counts(tmp_path, own_prior):
    keep_prior(tmp_path, own_prior)
    damaged = tmp_path / "ffffffffffffffff.qprior"
    damaged.write_bytes(own_prior.data[:-1])
    assert [prior.name for prior in priors_in(tmp_path, own_prior.name)] == [own_prior.name]
    with pytest.raises(BitstreamError, match=damaged.name):
        priors_in(tmp_path, "f" * 16)


def test_a_file_finds_the_prior_beside_it_or_in_its_archive(tmp_path, own_prior, image):
    data = codec.encode_frame(
        image, scan_profile("bounded", TINY, prior=own_prior), priors=(own_prior,)
    ).data
    path = tmp_path / "00" / "frames" / "a.quinr"
    path.parent.mkdir(parents=True)
    with pytest.raises(UnknownPriorError, match=rf"a\.quinr: mask .*{own_prior.name}"):
        decode_file(data, path)
    keep_prior(path.parent.parent, own_prior)
    beside = tmp_path / "beside"
    shutil.copytree(path.parent.parent, beside)
    expected = codec.decode(data, priors=(own_prior,)).ranges
    for place in (path, beside / "a.quinr"):
        np.testing.assert_array_equal(decode_file(data, place).ranges, expected)
    # A folder of any other name is no archive: nothing is searched for above it.
    with pytest.raises(UnknownPriorError):
        decode_file(data, beside / "other" / "a.quinr")


def test_files_of_built_in_priors_look_nowhere(tmp_path, own_prior, image):
    data = codec.encode(image, "bounded", **TINY)
    keep_prior(tmp_path, own_prior)
    assert priors_for(tmp_path / "a.quinr", data) == ()
    assert priors_for(tmp_path / "a.quinr", b"no file") == ()
    built_in = built_in_priors()["hdl64"]
    assert built_in_name(built_in.name) == "hdl64"
    assert built_in_name(own_prior.name) is None


def test_a_bound_asks_for_all_layers():
    plain = scan_profile("paper", {})
    assert (plain.layers, plain.digest()) == (1, scan_profile("paper", {"seed": 0}).digest())
    for options in ({"bound": 0.05}, {"growth": 0.01}, {"bound": 0.05, "growth": 0.01}):
        profile = scan_profile("paper", {}, **options)
        assert profile.layers == 3
        assert profile.bound == options.get("bound", 0.02)
        assert profile.bound_growth == options.get("growth", 0)
    assert scan_profile("bounded", {}).bound == 0.02
    assert scan_profile("preview", {}, bound=1).layers == 3
    assert scan_profile("bounded", {"bound": 0.5}, bound=1).bound == 0.5


def test_a_profile_names_its_prior_by_its_digest(own_prior):
    assert scan_profile("bounded", {}).prior == built_in_priors()["hdl64"].name
    assert scan_profile("preview", {}, prior=own_prior).prior == own_prior.name
    named = {"prior": own_prior.name}
    assert scan_profile("bounded", named, others=(own_prior,)).prior == own_prior.name
    with pytest.raises(PriorError, match=f"unknown prior '{own_prior.name}'"):
        scan_profile("bounded", named)


def test_settings_without_effect_are_refused(own_prior):
    for overrides in ({"bound": 0.1}, {"bound_growth": 0.1}, {"prior": "hdl64"}):
        with pytest.raises(ProfileError, match=r"has no effect without layers=[23], got layers=1"):
            scan_profile("paper", overrides)
    with pytest.raises(ProfileError, match="prior has no effect"):
        scan_profile("paper", {}, prior=own_prior)
    with pytest.raises(ProfileError, match="bound has no effect"):
        scan_profile("bounded", {"layers": 2}, bound=0.1)
    for bound in (0, -1, 1e9, float("nan")):
        with pytest.raises(ProfileError, match="bound"):
            scan_profile("bounded", {}, bound=bound)
