"""The quinr-flows command end to end, with the server it starts for itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.storage.lock import lock
from tests.support.tiny import set_options, tiny

TINY = set_options(tiny())


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=280, check=False, env=os.environ.copy()
    )


COMMANDS = ["archive", "archive-all", "verify", "evaluate", "nightly", "serve", "restore", "demo"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    result = CliRunner().invoke(app, [command, "--help"], prog_name="quinr-flows")
    assert result.exit_code == 0
    assert f"quinr-flows {command}" in result.stdout.partition("Example:")[2]


def test_bad_input_ends_with_code_2_before_a_server_starts(tmp_path):
    result = run("archive", tmp_path / "nowhere", tmp_path / "out")
    assert result.returncode == 2
    assert "nowhere: no such file or folder" in result.stderr
    assert run("archive", tmp_path, tmp_path / "out", "--set", "bits=1").returncode == 2
    scan = tmp_path / "000000.bin"
    scan.write_bytes(encode_velodyne(np.ones((9, 3))))
    result = run("archive", scan, tmp_path / "out", "--set", "entropy_model=nobody")
    assert (result.returncode, "unknown entropy model 'nobody'" in result.stderr) == (2, True)
    assert run("restore", tmp_path, tmp_path / "out").returncode == 2
    for command in ("archive-all", "nightly"):
        result = run(command, tmp_path / "nowhere", tmp_path / "out")
        assert (result.returncode, "nowhere: no such folder" in result.stderr) == (2, True)
    result = run("verify", tmp_path / "nowhere")
    assert (result.returncode, "no archive" in result.stderr) == (2, True)
    with lock(tmp_path / "taken" / tmp_path.name):
        result = run("archive", tmp_path, tmp_path / "taken")
        assert (result.returncode, f"process {os.getpid()} on" in result.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.prefect
def test_archive_and_restore(tmp_path):
    scans = tmp_path / "drive"
    scans.mkdir()
    for index in range(2):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(3000, 3))
        (scans / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
    (scans / "000002.bin").write_bytes(b"")
    archived = run(
        "archive", scans, tmp_path / "archive", *TINY, "--max-error", 0.05, "--workers", 1, "--json"
    )
    assert archived.returncode == 1, archived.stderr
    document = json.loads(archived.stdout)
    assert document["state"] == "CompletedWithFailures"
    assert [row["status"] for row in document["frames"]] == ["ok", "ok", "failed"]
    for row in document["frames"][:2]:
        assert row["max error [m]"] == 0.05 >= row["largest error [m]"] > 0
    restored = run("restore", tmp_path / "archive" / "drive", tmp_path / "kitti", "--workers", 1)
    assert restored.returncode == 0, restored.stderr
    assert open_dataset(tmp_path / "kitti").frame_ids == ("000000", "000001")
