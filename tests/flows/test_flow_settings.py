"""Prefect's settings: ours where the user has none, the user's everywhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows._prefect.settings import DEFAULTS, apply_defaults


@pytest.fixture(autouse=True)
def nobody_set_prefect_up(monkeypatch, tmp_path):
    for name in [*DEFAULTS, "XDG_DATA_HOME"] + [n for n in os.environ if n.startswith("PREFECT_")]:
        # Set first, so that what apply_defaults sets is undone after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", "")
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))


def test_flows_have_a_home_of_their_own(tmp_path):
    apply_defaults()
    assert Path(os.environ["PREFECT_HOME"]) == tmp_path / ".local/share/quinr-lidar/prefect"
    # Prefect makes its home, but no folder above it.
    assert Path(os.environ["PREFECT_HOME"]).parent.is_dir()
    assert float(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"]) >= 60


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"])
def test_a_chosen_server_or_profile_keeps_its_home(monkeypatch, name):
    monkeypatch.setenv(name, "chosen")
    apply_defaults()
    assert "PREFECT_HOME" not in os.environ
    assert os.environ[name] == "chosen"


def test_profiles_of_the_user_are_kept(tmp_path):
    (tmp_path / ".prefect").mkdir()
    (tmp_path / ".prefect" / "profiles.toml").write_text('active = "work"\n')
    apply_defaults()
    assert "PREFECT_HOME" not in os.environ


def test_chosen_values_are_kept(monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", "/chosen")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    apply_defaults()
    assert os.environ["PREFECT_HOME"] == "/chosen"
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "DEBUG"


def test_the_commands_module_does_not_import_prefect():
    # Every spawned worker imports the main module again.
    code = "import sys, flows.cli.main; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
