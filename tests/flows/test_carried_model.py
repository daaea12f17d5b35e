"""An entropy model that a drive's folder carries is found by every command, by its name."""

from __future__ import annotations

import sys

import pytest

import flows.archive_dataset
import flows.nightly
from flows.cli import main as cli
from pipeline.sequence.model_files import keep_model
from quinr_lidar import codec
from tests.support.flows import SETTINGS
from tests.support.models import coarser


@pytest.fixture
def command(monkeypatch, capsys):
    """The quinr-flows command in this process, flows without a server: exit code and stderr."""
    monkeypatch.setattr("flows._prefect.server.start_server", lambda: None)

    def called(flow):
        return lambda *arguments, return_state, **options: flow.fn(*arguments, **options)

    for module, name in ((flows.archive_dataset, "archive_dataset"), (flows.nightly, "nightly")):
        monkeypatch.setattr(module, name, called(getattr(module, name)))

    def run(*arguments: object) -> tuple[int, str]:
        changes = [part for one in SETTINGS.items() for part in ("--set", "=".join(map(str, one)))]
        here = ["--workers", "1", "--executor", "threads"]
        line = ["quinr-flows", *map(str, arguments), *changes, *here]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("name", ["archive-all", "nightly"])
def test_a_model_that_a_drive_carries_is_accepted(drives, tmp_path, command, name):
    out, own = tmp_path / "archive", coarser()
    for drive in ("a", "b"):
        keep_model(out / drive, own)
    options = ("--set", f"entropy_model={own.name}", "--height", 16, "--width", 128)
    code, error = command(name, drives, out, *options)
    assert code == 0, error
    data = (out / "a" / "frames" / "000000.quinr").read_bytes()
    assert codec.inspect(data).entropy_model == own.name
    assert codec.decode(data, entropy_models=[own]).shape == (16, 128)


@pytest.mark.parametrize("name", ["archive-all", "nightly"])
def test_a_model_that_no_drive_carries_ends_the_command(drives, tmp_path, command, name):
    code, error = command(name, drives, tmp_path / "archive", "--set", "entropy_model=nobody")
    assert code == 2
    assert "unknown entropy model 'nobody'" in error
    assert not (tmp_path / "archive").exists()
