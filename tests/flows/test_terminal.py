"""Commands as a terminal or a service sees them: Ctrl-C, events for programs, Prefect's limits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL

from flows._prefect.chunks import chunk_runner, run_in_chunks
from pipeline.config.archive_config import ExecutorConfig, RunConfig
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.sequence.frames import RestoreJob
from pipeline.sequence.records import FrameRecord
from pipeline.storage.lock import LOCK
from tests.support.tiny import tiny

TINY = tiny(keyframe_interval=2)


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Path:
    """Scans in runs of two, one of them damaged."""
    folder = tmp_path_factory.mktemp("inbox") / "drive"
    folder.mkdir()
    for index in range(5):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(1500, 3))
        (folder / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
    (folder / "000002.bin").write_bytes(b"\x00\x01" * 11)
    return folder


def command(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """A command of ``quinr-flows`` in a session of its own, as a terminal would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | environment,
    )


def small_fields() -> list[str]:
    return [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_a_ray_cluster_that_is_not_there_is_named(drive, tmp_path):
    # Ray takes half a minute to give up, and leaves its process unfit for another cluster.
    url = PREFECT_API_URL.value() or ""
    where = ("--executor", "ray", "--executor-address", "ray://127.0.0.1:9")
    process = command("archive", drive, tmp_path, *small_fields(), *where, PREFECT_API_URL=url)
    text, _ = process.communicate(timeout=250)
    assert process.returncode == 2
    assert "executor ray: ray://127.0.0.1:9 does not answer" in text


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.parametrize("kind", ["processes", "threads", "dask", "ray"])
def test_ctrl_c_ends_every_executor(kind, drive, tmp_path):
    """Ctrl-C goes to all processes of a command: here to one that has started its own server."""
    steps = ("--set", "steps=20000", "--set", "batch_size=4096")
    process = command(
        "archive", drive, tmp_path, *small_fields(), *steps, "--workers", 2, "--executor", kind
    )
    frames = tmp_path / "drive" / "frames"
    while process.poll() is None and not (frames.is_dir() and any(frames.glob("*.quinr"))):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    # Longer than a frame, but not than Prefect goes on asking for a server that is gone.
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert "aborted by an interrupt signal" in text
    assert "Connection refused" not in text
    assert not (tmp_path / "drive" / LOCK).exists()
    deadline = time.monotonic() + 60
    while left := session(process.pid):
        assert time.monotonic() < deadline, f"processes outlive the command: {left}"
        time.sleep(0.2)


def session(pid: int) -> list[str]:
    """Command lines of the living processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, *ids = stat.read_text().rpartition(")")[2].split()[:4]
            if int(ids[2]) == pid and state != "Z":
                found.append((stat.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_everything_on_stderr_is_json_where_that_is_wanted(drive, tmp_path):
    url = PREFECT_API_URL.value() or ""
    how = ["--executor", "threads", "--workers", "2", "--max-failed-share", "0", "--json"]
    process = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", "archive", drive, tmp_path, *small_fields(), *how],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env=os.environ | {"PREFECT_API_URL": url, "QUINR_LOG_FORMAT": "json"},
    )
    assert process.returncode == 2
    events = [json.loads(line) for line in process.stderr.splitlines()]
    failures = [event for event in events if event["event"] == "failure"]
    assert [event["frame"] for event in failures] == ["000002"]
    assert "000002.bin: 22 bytes" in failures[0]["error"]
    progress = [event for event in events if event["event"] == "progress"]
    assert (progress[-1]["done"], progress[-1]["total"], progress[-1]["failed"]) == (5, 5, 1)
    assert json.loads(process.stdout)["state"] == "TooManyFailures"


LOGGING = """
import logging, warnings
import flows._prefect.chunks
from prefect.logging import get_logger
get_logger("engine").error("of Prefect's")
logging.getLogger("flows._prefect.leftovers").warning("ours\\nin two lines")
warnings.warn("of Python's", RuntimeWarning)
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("distributed").exception("of a library's")
"""


def test_log_records_are_events_where_that_is_wanted():
    environment = os.environ | {"QUINR_LOG_FORMAT": "json"}
    line = [sys.executable, "-c", LOGGING]
    ended = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [(event["level"], event["logger"]) for event in events] == [
        ("ERROR", "prefect.engine"),
        ("WARNING", "flows._prefect.leftovers"),
        ("WARNING", "py.warnings"),
        ("ERROR", "distributed"),
    ]
    assert events[1]["message"] == "ours\nin two lines"
    assert "of Python's" in events[2]["message"]
    assert events[3]["exception"].startswith("Traceback")
    assert events[3]["exception"].endswith("ZeroDivisionError: division by zero")
    for event in events:
        assert event["event"] == "log"
        assert datetime.fromisoformat(event["time"]).utcoffset() == timedelta(0)


def test_an_unknown_format_is_refused():
    process = command("verify", "nowhere", QUINR_LOG_FORMAT="xml")
    text, _ = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "QUINR_LOG_FORMAT=xml: expected json or text" in text


def alone(job: RestoreJob) -> FrameRecord:
    """Whether no other job runs at the same time."""
    job.target.mkdir(exist_ok=True)
    mine = job.target / job.frame_id
    mine.touch()
    time.sleep(0.5)
    others = [path.name for path in job.target.iterdir() if path != mine]
    mine.unlink()
    return job.failed(f"beside {others}") if others else FrameRecord(job.frame_id, "ok")


def side_by_side(jobs: list[RestoreJob]) -> list[FrameRecord]:
    """Records of jobs that may all run at once, each in a chunk of its own."""

    @flow(task_runner=chunk_runner())
    def whole() -> list[FrameRecord]:
        threads = ExecutorConfig(kind="threads")
        run = RunConfig(workers=len(jobs), chunk_size=1, executor=threads)
        return run_in_chunks(alone, jobs, run, title="test")

    return whole()


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_prefects_limit_bounds_chunks(tmp_path):
    jobs = [RestoreJob(name, tmp_path / name, tmp_path / "running") for name in "abc"]
    environment = os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value() or ""}

    def limit(*arguments: str) -> None:
        prefect = [sys.executable, "-m", "prefect", "concurrency-limit", *arguments]
        subprocess.run(prefect, check=True, capture_output=True, env=environment)

    limit("create", "quinr", "1")
    try:
        assert [record.error for record in side_by_side(jobs)] == [None] * 3
    finally:
        limit("delete", "quinr")
    assert any(record.error for record in side_by_side(jobs)), "nothing else bounds them"
