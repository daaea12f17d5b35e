"""Options made from a configuration: a field is an option, a file's settings yield to options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from pipeline.cli.config_options import options_from
from pipeline.config.archive_config import (
    ENCODER,
    ArchiveConfig,
    ConfigModel,
    ExecutorConfig,
    Flags,
    RunConfig,
)
from quinr_lidar.errors import ProfileError


def configured(*arguments: object, defaults: ConfigModel | None = None, **how) -> ConfigModel:
    """The configuration that a command gets."""
    app, found = typer.Typer(), []

    @app.command()
    @options_from(defaults or ArchiveConfig(), file=True, **how)
    def command(place: Path, config: ArchiveConfig, json: bool = False) -> None:
        found.append(config)

    result = CliRunner().invoke(app, ["place", *map(str, arguments)])
    if isinstance(result.exception, ProfileError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return found[0]


def test_every_setting_is_an_option():
    config = configured(
        "--profile", "paper", "--set", "steps=7", "--set", "optimizer=adamw", "--max-error", 0.1,
        "--relative-error", 0.01, "--entropy-model", "auto", "--height", 32, "--width", 512,
        "--fov-up", 10, "--fov-down", -30.5, "--packed", "s3://drives", "-j", 3,
        "--executor", "dask", "--executor-address", "tcp://host:1", "--timeout", 60,
        "--chunk-size", 2, "--max-failed-share", 0,
    )  # fmt: skip
    assert config == ArchiveConfig.model_validate(
        {
            "profile": "paper",
            "overrides": {"steps": 7, "optimizer": "adamw"},
            "max_error": 0.1,
            "relative_error": 0.01,
            "entropy_model": "auto",
            "projection": {"height": 32, "width": 512, "fov_up": 10, "fov_down": -30.5},
            "packed": "s3://drives",
            "run": RunConfig(
                workers=3,
                executor=ExecutorConfig(kind="dask", address="tcp://host:1"),
                timeout=60,
                chunk_size=2,
                max_failed_share=0,
            ),
        }
    )


def test_options_win_over_the_file(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(
        "max_error: 0.1\noverrides: {steps: 7, seed: 3}\n"
        "run: {workers: 2, timeout: 5}\nprojection: {height: 16}\n"
    )
    options = ("--max-error", 0.2, "--set", "steps=9", "--workers", 4, "--width", 64)
    config = configured("--config", file, *options)
    assert config == ArchiveConfig.model_validate(
        {
            "max_error": 0.2,
            "overrides": {"steps": 9, "seed": 3},
            "run": {"workers": 4, "timeout": 5},
            "projection": {"height": 16, "width": 64},
        }
    )


@pytest.mark.parametrize(
    ("arguments", "text", "reason"),
    [
        (("--max-error", -1), "", "--max-error: input should be greater than or equal to 0.0001"),
        (("--workers", 0), "", "--workers: input should be greater than or equal to 1, got 0"),
        (("--height", 0), "", "--height: input should be"),
        (("--fov-up", -30), "", "projection: expected fov_up > fov_down"),
        (("--executor-address", "auto"), "", "address auto: expected the executor dask or ray"),
        ((), "max_eror: 1", "a.yaml: max_eror: there is no such setting"),
        ((), "run: {jobs: 1}", "a.yaml: run.jobs: there is no such setting"),
        ((), "run: {workers: 0}", "a.yaml: run.workers: input should be"),
        (("--set", "steps"), "", "--set steps: expected NAME=VALUE"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, arguments, text, reason):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ProfileError) as found:
        configured("--config", tmp_path / "a.yaml", *arguments)
    assert reason in str(found.value)


def test_defaults_of_a_command_are_its_own():
    defaults = RunConfig(timeout=0, max_failed_share=0)
    assert configured(defaults=defaults) == defaults
    assert configured("--timeout", 5, defaults=defaults) == RunConfig(timeout=5, max_failed_share=0)


def test_a_command_may_have_some_of_the_options():
    assert configured("--height", 16, only=ENCODER).projection.height == 16  # pyright: ignore
    with pytest.raises(AssertionError, match="No such option"):
        configured("--workers", 1, only=ENCODER)


def test_a_new_field_is_a_new_option():
    class Longer(ArchiveConfig):
        intensity: Annotated[bool, Flags(("--intensity/--no-intensity",))] = Field(
            default=False, description="Keep reflectances."
        )

    assert configured("--intensity", defaults=Longer()) == Longer(intensity=True)
    assert configured("--height", 8, defaults=Longer()).model_dump()["intensity"] is False
