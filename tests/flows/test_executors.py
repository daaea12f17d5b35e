"""The same drive by every executor: the very same files, and jobs that fail alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from flows._prefect.cluster import ClusterLimits, check_shared
from flows._prefect.executors import open_executors
from flows.archive_sequence import archive_sequence
from flows.cli.options import check_executor
from flows.nightly import nightly
from flows.restore_sequence import restore_sequence
from flows.verify_archive import verify_archive
from pipeline.config.archive_config import ArchiveConfig, ExecutorConfig, RunConfig
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.jobs.executors import GaveUpError
from pipeline.jobs.workers import ATTEMPTS, Workers
from pipeline.nightly.verification import ArchiveRecord, VerifyJob
from pipeline.sequence.frames import RestoreJob
from pipeline.sequence.records import FrameRecord
from quinr_lidar.errors import BackendError
from tests.support.tiny import tiny

TINY = tiny(keyframe_interval=2)


def test_only_clusters_have_an_address():
    assert ExecutorConfig(kind="dask", address="tcp://host:8786").address == "tcp://host:8786"
    with pytest.raises(ValidationError, match="expected the executor dask or ray with it"):
        ExecutorConfig(kind="threads", address="tcp://host:8786")
    with pytest.raises(ValidationError):
        RunConfig(timeout=-1)


def test_prefect_makes_a_form_of_the_executor():
    schema = nightly.parameters.model_dump()
    kind = schema["definitions"]["ExecutorConfig"]["properties"]["kind"]
    assert kind["enum"] == ["processes", "threads", "dask", "ray"]
    assert kind["default"] == "processes"
    limit = schema["definitions"]["RunConfig"]["properties"]["timeout"]
    assert limit["default"] == 1800
    verify = verify_archive.parameters.model_dump()
    assert {"RunConfig", "ExecutorConfig"} <= verify["definitions"].keys()


@pytest.mark.parametrize(("kind", "package"), [("dask", "prefect_dask"), ("ray", "prefect_ray")])
def test_a_missing_extra_is_named(monkeypatch, kind, package):
    monkeypatch.setitem(sys.modules, package, None)
    wanted = rf"{package} is not installed; pip install 'quinr-lidar\[{kind}\]'"
    with pytest.raises(BackendError, match=wanted):
        check_executor(RunConfig(executor=ExecutorConfig(kind=kind)))
    with pytest.raises(BackendError, match=wanted), open_executors(ExecutorConfig(kind=kind), 1):
        pass


@pytest.mark.parametrize(
    ("address", "reason"),
    [("tcp://127.0.0.1:9", "does not answer"), ("auto", "expected DASK_SCHEDULER_ADDRESS")],
)
def test_a_dask_cluster_that_is_not_there_is_named(address, reason):
    with (
        pytest.raises(BackendError, match=f"executor dask: (address )?{address}.*{reason}"),
        open_executors(
            ExecutorConfig(kind="dask", address=address), 1, ClusterLimits(connect_seconds=1)
        ),
    ):
        pass


def test_what_nobody_here_can_see_was_not_written(tmp_path):
    job = RestoreJob("a", tmp_path / "a.quinr", tmp_path / "a.bin")
    done = FrameRecord("a", "ok")
    unseen = check_shared(job, done, looks=1)
    assert unseen.status == "failed"
    assert "a.bin: written by a worker whose storage is not this machine's" in (unseen.error or "")
    # Nothing was to be written, or nothing was.
    verify = VerifyJob("s3://fleet/00")
    assert check_shared(verify, ArchiveRecord(verify.where, "ok")).status == "ok"
    assert check_shared(job, FrameRecord("a", "failed")).error is None
    job.file.touch()
    assert check_shared(job, done) is done


@pytest.fixture(scope="module")
def dask_address() -> Iterator[str]:
    """A cluster of two processes that somebody else started, with Dask's own settings."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def importable(monkeypatch) -> None:
    """Ray's workers find these tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def executor_named(name: str, address: str) -> ExecutorConfig:
    return (
        ExecutorConfig(kind="dask", address=address)
        if name == "dask"
        else ExecutorConfig.model_validate({"kind": name})
    )


def hostile(job: RestoreJob) -> FrameRecord:
    """Does what the job's name says; leaves a file for every attempt."""
    job.target.mkdir(exist_ok=True)
    (job.target / f"{job.frame_id}.{time.time_ns()}").touch()
    if job.frame_id == "dies":
        os._exit(9)
    if job.frame_id == "hangs":
        time.sleep(600)
    if job.frame_id == "raises":
        raise RuntimeError("unexpected\nof two lines")
    return FrameRecord(job.frame_id, "ok")


def suffer(executor: ExecutorConfig, folder: Path, *names: str) -> dict[str, str | None]:
    """What became of jobs, and that they were all reported."""
    jobs = [RestoreJob(name, folder / name, folder / "attempts") for name in names]
    seen: list[FrameRecord] = []
    with (
        open_executors(executor, 2) as executors,
        Workers(2, seen.append, timeout=10, executors=executors) as workers,
    ):
        records = workers.run(hostile, jobs)
    assert [record.frame_id for record in records] == list(names)
    assert sorted(seen, key=str) == sorted(records, key=str)
    return {record.frame_id: record.error for record in records}


def attempts(folder: Path, name: str) -> int:
    return len(list((folder / "attempts").glob(f"{name}.*")))


def test_an_exception_on_dask_fails_alone(dask_address, tmp_path):
    found = suffer(executor_named("dask", dask_address), tmp_path, "a", "raises", "b", "c")
    assert {name for name, error in found.items() if error} == {"raises"}
    assert (found["raises"] or "").endswith("RuntimeError: unexpected of two lines")
    assert attempts(tmp_path, "raises") == ATTEMPTS


@pytest.mark.slow
@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_jobs_that_hang_or_kill_their_worker_fail_alone(name, tmp_path):
    # A cluster of our own: what is killed here is nobody else's.
    names = ("a", "dies", "b", "hangs", "c", "raises", "d")
    found = suffer(ExecutorConfig.model_validate({"kind": name}), tmp_path, *names)
    assert {name for name, error in found.items() if error} == {"dies", "hangs", "raises"}
    assert (found["dies"] or "").endswith("its worker process was killed")
    assert (found["hangs"] or "").endswith("no result after 10 s")
    assert attempts(tmp_path, "dies") == attempts(tmp_path, "raises") == ATTEMPTS
    assert attempts(tmp_path, "hangs") == 1


@pytest.mark.slow
def test_a_dask_cluster_that_vanishes_ends_the_flow(tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=1, processes=True, dashboard_address=None)
    seen: list[FrameRecord] = []

    def vanish(record: FrameRecord) -> None:
        seen.append(record)
        if len(seen) == 1:
            cluster.close()

    jobs = [RestoreJob(name, tmp_path / name, tmp_path / "attempts") for name in "abc"]
    dask = executor_named("dask", cluster.scheduler_address)
    with (
        open_executors(dask, 1, ClusterLimits(connect_seconds=5, look_seconds=1)) as executors,
        pytest.raises(GaveUpError, match="the cluster is gone"),
        Workers(1, vanish, timeout=60, executors=executors) as workers,
    ):
        workers.run(hostile, jobs)
    assert [record.frame_id for record in seen] == ["a"]


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


def archive(drive: Path, out: Path, executor: ExecutorConfig) -> dict[str, bytes]:
    """The archive's frames, of which one is missing, by name."""
    state = archive_sequence(
        str(drive),
        str(out),
        ArchiveConfig(overrides=TINY, run=RunConfig(workers=2, executor=executor)),
        return_state=True,
    )
    assert (state.name, state.message) == ("CompletedWithFailures", "1/5 frames failed")
    frames = {path.name: path.read_bytes() for path in (out / "drive" / "frames").iterdir()}
    assert sorted(frames) == [f"00000{index}.quinr" for index in (0, 1, 3, 4)]
    return frames


@pytest.fixture(scope="module")
def expected(prefect_harness, drive, tmp_path_factory) -> dict[str, bytes]:
    return archive(drive, tmp_path_factory.mktemp("expected"), ExecutorConfig())


@pytest.mark.prefect
@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("name", ["threads", "dask", "ray"])
def test_every_executor_writes_the_same_files(name, dask_address, drive, expected, tmp_path):
    executor = executor_named(name, dask_address)
    assert archive(drive, tmp_path / "archive", executor) == expected


@pytest.mark.prefect
def test_archives_are_restored_and_verified_by_other_executors(drive, expected, tmp_path):
    threads = ExecutorConfig(kind="threads")
    archive(drive, tmp_path / "archive", threads)
    verified = verify_archive(
        str(tmp_path / "archive"), run=RunConfig(executor=threads, timeout=0), return_state=True
    )
    assert verified.message == "1 archives"
    out = tmp_path / "restored"
    state = restore_sequence(
        str(tmp_path / "archive"),
        str(out),
        RunConfig(executor=threads, timeout=60),
        return_state=True,
    )
    assert state.message == "4 frames"
    assert len(list(out.rglob("*.bin"))) == 4
