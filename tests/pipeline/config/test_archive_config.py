"""One configuration: its limits, its file, and the digest by which finished frames are known."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.config.archive_config import ArchiveConfig, ExecutorConfig, ProjectionConfig
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.config.files import read_config, write_config
from quinr_lidar import Profile, SphericalProjection
from quinr_lidar.errors import ProfileError


def test_defaults_are_those_of_the_codec():
    assert ArchiveConfig().projection.spherical() == SphericalProjection()
    assert ArchiveConfig().profile == "bounded"


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"max_error": 0}, ("max_error",)),
        ({"relative_error": 0.6}, ("relative_error",)),
        ({"projection": {"height": 0}}, ("projection", "height")),
        ({"projection": {"fov_up": -30}}, ("projection",)),
        ({"run": {"workers": 0}}, ("run", "workers")),
        ({"run": {"max_failed_share": 1.5}}, ("run", "max_failed_share")),
        ({"run": {"executor": {"kind": "slurm"}}}, ("run", "executor", "kind")),
        ({"run": {"executor": {"kind": "threads", "address": "auto"}}}, ("run", "executor")),
        ({"bound": 0.02}, ("bound",)),
    ],
)
def test_wrong_settings_are_named(values, where):
    with pytest.raises(ValidationError) as found:
        ArchiveConfig.model_validate(values)
    assert [error["loc"] for error in found.value.errors()] == [where]


def test_what_an_archive_keeps_can_be_read_again(tmp_path):
    config = ArchiveConfig(
        max_error=0.05,
        overrides={"steps": 7, "frequencies": [3, 6]},
        projection=ProjectionConfig(height=32, fov_up=10),
    )
    write_config(tmp_path / "config.yaml", config)
    assert ArchiveConfig.model_validate(read_config(tmp_path / "config.yaml")) == config


def test_yaml_and_toml_say_the_same(tmp_path):
    (tmp_path / "a.yaml").write_text("max_error: 0.1\nprojection:\n  height: 16\n")
    (tmp_path / "a.toml").write_text("max_error = 0.1\n[projection]\nheight = 16\n")
    assert read_config(tmp_path / "a.yaml") == read_config(tmp_path / "a.toml")
    (tmp_path / "empty.yaml").write_text("")
    assert read_config(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "{}", r"a\.json: expected a name that ends in \.yaml"),
        ("a.yaml", "max_error: [", r"a\.yaml: not YAML"),
        ("a.toml", "max_error =", r"a\.toml: not TOML"),
        ("a.yaml", "- 3", r"a\.yaml: expected settings by name, got list"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text)
    with pytest.raises(ProfileError, match=reason):
        read_config(tmp_path / name)


def test_whatever_changes_a_files_bytes_changes_the_digest():
    settings = EncoderSettings(Profile())
    different = [
        EncoderSettings(Profile(steps=7)),
        EncoderSettings(Profile(entropy_model="0123456789abcdef")),
        EncoderSettings(Profile(), SphericalProjection(height=32)),
        EncoderSettings(Profile(), SphericalProjection(width=512)),
        EncoderSettings(Profile(), SphericalProjection(fov_up=2.0)),
        EncoderSettings(Profile(), SphericalProjection(fov_down=-24.0)),
    ]
    digests = {one.digest() for one in (settings, *different)}
    assert len(digests) == len(different) + 1
    assert EncoderSettings(Profile(name="other")).digest() == settings.digest()
    assert EncoderSettings.from_dict(settings.as_dict()) == settings


def test_paths_hold_in_other_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = ArchiveConfig(profile="own.json", entropy_model="own.qmodel", packed="packed")
    moved = config.with_absolute_paths()
    assert moved.profile == str(tmp_path / "own.json")
    assert moved.entropy_model == str(tmp_path / "own.qmodel")
    assert moved.packed == str(tmp_path / "packed")
    same = ArchiveConfig(entropy_model="auto", packed="s3://fleet/drives")
    assert same.with_absolute_paths() == same


def test_the_form_has_limits_and_meanings():
    schema = ArchiveConfig.model_json_schema()
    assert schema["properties"]["max_error"]["anyOf"][0] == {
        "type": "number", "minimum": 1e-4, "maximum": 100,
    }  # fmt: skip
    for model in (schema, *schema["$defs"].values()):
        for name, setting in model["properties"].items():
            assert "$ref" in setting or setting.get("description"), name
    assert ExecutorConfig(kind="dask", address="tcp://host:8786").address == "tcp://host:8786"
