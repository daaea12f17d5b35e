"""Nightly runs that a real Prefect server schedules: by `quinr-flows serve`, and by a worker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest

from pipeline.archive.reader import PackedSequence
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.nightly.report import REPORT

pytestmark = [pytest.mark.slow, pytest.mark.prefect, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
EVERY_MINUTE = "* * * * *"
SETTINGS = ["qubits=2", "features=4", "blocks=1", "steps=3", "refit_groups=1", "restarts=1"]
FAR = 400
"""Seconds after which a scheduled run will not come any more."""


@contextmanager
def running(line: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen]:
    """A process, ended with the block as a service manager ends it."""
    with log.open("ab") as out:
        process = subprocess.Popen(line, env=environment, stdout=out, stderr=out, cwd=log.parent)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment of processes that use a server of our own."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/api"
    values = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": address,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(ROOT),
    }
    line = prefect("server", "start", "--host", "127.0.0.1", "--port", str(port))
    with running(line, values, home / "server.log") as server:
        deadline = time.monotonic() + FAR
        while not is_up(f"{address}/health"):
            assert server.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield values


def is_up(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


@pytest.fixture
def inbox(tmp_path) -> Path:
    scans = tmp_path / "inbox" / "drive"
    scans.mkdir(parents=True)
    for index in range(2):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(2000, 3))
        path = scans / f"{index:06d}.bin"
        path.write_bytes(encode_velodyne(points))
        # Long ago, or the nightly run would wait for more.
        os.utime(path, (1e9, 1e9))
    return tmp_path / "inbox"


def wait_for_scheduled(address: str, deployment: str, why: Callable[[], str]) -> str:
    """How the first run that the schedule made ended; its name and state."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    deadline = time.monotonic() + FAR
    with temporary_settings({PREFECT_API_URL: address}), get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            wanted = client.read_deployment_by_name(deployment).id
            runs = [run for run in client.read_flow_runs() if run.deployment_id == wanted]
            ended = [run for run in runs if run.state is not None and run.state.is_final()]
            if ended:
                assert ended[0].auto_scheduled
                assert ended[0].state is not None
                return f"{ended[0].state.name}: {ended[0].state.message}"
            time.sleep(2)
    raise AssertionError(f"no scheduled run ended; {why()}")


def is_archived(archive: Path) -> bool:
    rows = PackedSequence.open(archive / "drive").rows
    return [row.status for row in rows] == ["ok", "ok"] and (archive / REPORT).is_file()


def test_serve_runs_scheduled_nightly_runs(environment, inbox, tmp_path):
    archive, log = tmp_path / "archive", tmp_path / "serve.log"
    line = [
        sys.executable,
        "-m",
        "flows.cli.main",
        "serve",
        str(inbox),
        str(archive),
        "--workers",
        "1",
    ]
    line += ["--cron", EVERY_MINUTE, "--name", "served"]
    for setting in SETTINGS:
        line += ["--set", setting]
    with running(line, environment, log) as server:
        while "served" not in log.read_text():
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
        ended = wait_for_scheduled(environment["PREFECT_API_URL"], "nightly/served", log.read_text)
    assert ended == "Completed: 1 drives: 1 archived", log.read_text()
    assert is_archived(archive)


def test_a_worker_runs_the_nightly_runs_of_prefect_yaml(environment, inbox, tmp_path):
    archive, log = tmp_path / "archive", tmp_path / "worker.log"
    values = environment | {"QUINR_INBOX": str(inbox), "QUINR_ARCHIVE": str(archive)}

    def run(*arguments: str) -> None:
        done = subprocess.run(
            prefect(*arguments), cwd=ROOT, env=values, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run("work-pool", "create", "quinr", "--type", "process")
    run("--no-prompt", "deploy", "--all")
    # The schedule of prefect.yaml starts a run at night only.
    run("deployment", "schedule", "create", "nightly/nightly", "--cron", EVERY_MINUTE)
    with running(prefect("worker", "start", "--pool", "quinr"), values, log):
        ended = wait_for_scheduled(environment["PREFECT_API_URL"], "nightly/nightly", log.read_text)
    assert ended == "Completed: 1 drives: 1 archived", log.read_text()
    assert is_archived(archive)


def test_serve_without_a_server_says_what_it_needs(inbox, tmp_path):
    values = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    line = [sys.executable, "-m", "flows.cli.main", "serve", str(inbox), str(tmp_path / "archive")]
    done = subprocess.run(line, cwd=ROOT, env=values, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "PREFECT_API_URL: expected the address of a running server" in done.stderr
