"""``kill -9`` at random moments, then the same command: the archive is as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.datasets.velodyne import encode_velodyne
from pipeline.sequence.records import frame_path, read_record, record_path
from pipeline.storage.lock import LOCK, holder_of
from tests.support.tiny import tiny

SETTINGS = tiny(keyframe_interval=4)
FRAMES = 12
FAR = 240
"""Seconds after which a command has surely hung."""


def command(scans: Path, out: Path) -> subprocess.Popen[bytes]:
    """The real command, against the session's Prefect server."""
    from prefect.settings import PREFECT_API_URL

    line = [sys.executable, "-m", "flows.cli.main", "archive", str(scans), str(out), "-j", "2"]
    for name, value in SETTINGS.items():
        line += ["--set", f"{name}={value}"]
    environment = os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value() or ""}
    with (out.parent / f"{out.name}.log").open("ab") as log:
        return subprocess.Popen(line, stdout=log, stderr=log, env=environment)


def finish(scans: Path, out: Path) -> None:
    code = command(scans, out).wait(FAR)
    assert code == 0, (out.parent / f"{out.name}.log").read_text()


@pytest.fixture(scope="session")
def undisturbed(prefect_harness, tmp_path_factory) -> tuple[Path, Path]:
    """Scans, and their archive by a command that nobody killed."""
    root = tmp_path_factory.mktemp("kill")
    scans = root / "drive"
    scans.mkdir()
    for index in range(FRAMES):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(2000, 3))
        (scans / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
    finish(scans, root / "whole")
    return scans, root / "whole" / "drive"


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file is which, of all frames whose records are written: a new file is another."""
    found = {}
    for record in (folder / "records").glob("[!.]*.json"):
        kept = read_record(folder, record.stem)
        if kept is not None and kept.status == "ok":
            files = (frame_path(folder, record.stem), record_path(folder, record.stem))
            found[record.stem] = (files[0].stat().st_ino, files[1].stat().st_ino)
    return found


def kill_at(process: subprocess.Popen[bytes], folder: Path, done: int, later: float) -> bool:
    """Kill a command some time after so many frames are done; whether it was still running."""
    deadline = time.monotonic() + FAR
    while process.poll() is None and len(finished(folder)) < done:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(later)
    running = process.poll() is None
    children = children_of(process.pid) if running else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "workers outlive the command that was killed"
        time.sleep(0.05)
    return running


def children_of(pid: int) -> list[int]:
    """The children of all threads of a process: the system lists them by thread."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue
    return found


def contents(folder: Path) -> dict[str, Any]:
    """All of an archive but how long its encoding took and where its scans were."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file():
            continue
        if path.suffix == ".json" and path.parent.name == "records":
            record = json.loads(path.read_text())
            del record["encode_seconds"]
            found[name] = record
        elif path.suffix == ".parquet":
            found[name] = pq.read_table(path).drop_columns(["encode_seconds"]).to_pylist()
        elif path.name == "metrics.csv":
            lines = [line.split(",") for line in path.read_text().splitlines()]
            place = lines[0].index("encode_seconds")
            found[name] = [line[:place] + line[place + 1 :] for line in lines]
        else:
            found[name] = path.read_bytes()
    return found


def kill_and_resume(undisturbed: tuple[Path, Path], out: Path, kills: int, seed: int) -> None:
    scans, whole = undisturbed
    folder = out / "drive"
    chance = random.Random(seed)
    really = 0
    for _ in range(kills):
        before = finished(folder)
        # Sometimes at once, sometimes in the middle of a frame, sometimes while it packs.
        wanted = min(FRAMES, len(before) + chance.choice((0, 1, 1, 2)))
        really += kill_at(command(scans, out), folder, wanted, chance.random() * 0.6)
        after = finished(folder)
        assert {name: after.get(name) for name in before} == before, "a finished frame was redone"
    assert really, "no kill hit a running command"
    left = finished(folder)
    finish(scans, out)
    now = finished(folder)
    assert {name: now[name] for name in left} == left
    got, expected = contents(folder), contents(whole)
    parts = [name for name in got if name.endswith(".part")]
    for name in parts:
        # What a kill left of a file that was being written: of no use, and no harm.
        del got[name]
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name] == value, name


@pytest.mark.prefect
@pytest.mark.timeout(900)
def test_three_kills(undisturbed, tmp_path):
    kill_and_resume(undisturbed, tmp_path / "killed", 3, seed=1)
    assert _states()["Crashed"] >= 1, "Prefect takes a killed run for a running one"


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [2, 3])
def test_many_kills(undisturbed, tmp_path, seed):
    kill_and_resume(undisturbed, tmp_path / "killed", 10, seed)


@pytest.mark.prefect
@pytest.mark.timeout(600)
def test_two_commands_on_one_output(undisturbed, tmp_path):
    scans, whole = undisturbed
    folder = tmp_path / "both" / "drive"
    first = command(scans, tmp_path / "both")
    while holder_of(folder) is None:
        assert first.poll() is None
        time.sleep(0.02)
    second = command(scans, tmp_path / "both")
    assert second.wait(FAR) == 2
    assert first.wait(FAR) == 0
    text = (tmp_path / "both.log").read_text()
    assert f"process {first.pid} on" in text
    assert "Traceback" not in text
    assert not (folder / LOCK).exists()
    assert contents(folder).keys() == contents(whole).keys()


def _states() -> dict[str, int]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        names = [run.state.name for run in client.read_flow_runs() if run.state is not None]
    return {name: names.count(name) for name in {*names, "Crashed"}}
