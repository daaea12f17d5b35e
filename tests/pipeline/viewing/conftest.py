"""The archived drive of the archive's tests, and where to look at it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_display(monkeypatch, tmp_path):
    """No window opens by chance, and what is saved without a name goes to a folder of its own."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "RERUN"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)


@pytest.fixture
def here() -> Path:
    """The current folder."""
    return Path.cwd()


@pytest.fixture
def scans(drive) -> Path:
    """The drive's originals."""
    return drive / "scans"
