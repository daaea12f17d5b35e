"""Fixtures: small inboxes, their archives, and flows without Prefect's server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.flows import make_plain, run_nightly, write_drives


@pytest.fixture
def plain(monkeypatch) -> None:
    """Flows as functions: their bodies and jobs, without Prefect's server and without reports."""
    make_plain(monkeypatch)


@pytest.fixture
def drives(tmp_path) -> Path:
    """An inbox: drive "a" of three scans and drive "b" of two, which have been there for long."""
    return write_drives(tmp_path / "inbox")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Archives of both drives, made once."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        make_plain(patch)
        assert (
            run_nightly(write_drives(root / "inbox"), root / "archive", "off").name == "Completed"
        )
    return root / "archive"


@pytest.fixture
def archived(made, drives, tmp_path) -> Path:
    """Archives of both drives, which a test may damage."""
    return shutil.copytree(made, tmp_path / "archive")
