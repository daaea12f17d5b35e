"""Where the jobs of a flow run: worker processes, threads, or the workers of a Dask or Ray cluster.

A flow is the same for all of them. Prefect's own runners of Dask and Ray start a cluster or join
one, but what they are given is jobs, not Prefect's tasks: those would need Prefect, and its server,
in every worker (where none is set up each worker starts one), and would lose a whole chunk with a
worker.
So a chunk is a task in the flow's own process for every executor, and jobs go to the cluster one by
one, with the attempts, limits and progress that worker processes have
(:mod:`pipeline.jobs.workers`). Workers share nothing but the storage.
"""

from __future__ import annotations

import importlib
import logging
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import quinr_lidar
from pipeline.config.archive_config import ExecutorConfig
from pipeline.jobs.executors import (
    AttemptError,
    Executor,
    GaveUpError,
    JobT,
    JobTimeoutError,
    ThreadExecutor,
    WorkerDiedError,
    reason_of,
)
from pipeline.jobs.job import Job, RecordT
from pipeline.jobs.remote import apply_remotely, result_of
from pipeline.jobs.workers import available_cores
from quinr_lidar.errors import BackendError

_CONNECT_SECONDS = 60.0
"""How long a cluster may take to answer, and to have a first worker."""

_QUEUE_SECONDS = 3600.0
"""How long a job may wait for a worker of a cluster that is busy, or has none just now."""

_LOOK_SECONDS = 5.0
"""Between two looks whether the cluster is still there."""

_LOOKS = 5
"""How often for a file that a worker says it has written."""

_KILLED = "its worker process was killed"
_GONE = "the cluster is gone; start it and run the same again"

_PACKAGES = {"dask": "prefect_dask", "ray": "prefect_ray"}


@contextmanager
def open_executors(
    executor: ExecutorConfig, workers: int | None
) -> Iterator[Sequence[Executor] | None]:
    """Executors for jobs, as long as the context lasts; must be entered inside a flow.

    Args:
        executor: Which kind, and where.
        workers: How many executors; when ``None`` one a core, of this machine or of the whole
            cluster.

    Yields:
        The executors; ``None`` for worker processes, which need nothing else.

    Raises:
        BackendError: what it needs is not installed, or there is no such cluster.
    """
    if executor.kind == "processes":
        yield None
    elif executor.kind == "threads":
        yield [ThreadExecutor() for _ in range(workers or available_cores())]
    else:
        package = import_cluster_package(executor)
        open_cluster = _dask if executor.kind == "dask" else _ray
        with open_cluster(package, executor.address, workers) as executors:
            yield executors


def import_cluster_package(executor: ExecutorConfig) -> Any:
    """The package that starts or joins a cluster; ``None`` for executors of this machine.

    Raises:
        BackendError: it is not installed.
    """
    if executor.kind not in _PACKAGES:
        return None
    try:
        return importlib.import_module(_PACKAGES[executor.kind])
    except ImportError as error:
        raise BackendError(
            f"executor {executor.kind}: {error.name} is not installed; "
            f"pip install 'quinr-lidar[{executor.kind}]'"
        ) from error


@contextmanager
def _dask(package: Any, address: str | None, workers: int | None) -> Iterator[list[Executor]]:
    import dask.config

    # It tells of every connection otherwise.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    if address == "auto":
        address = dask.config.get("scheduler-address", None)
        if not address:
            raise BackendError("executor dask: address auto: expected DASK_SCHEDULER_ADDRESS")
    if address:
        options: dict[str, Any] = {"address": address}
    else:
        # One thread each, as jobs are; no limit of memory, as for other worker processes.
        local: dict[str, Any] = {"n_workers": workers or available_cores(), "threads_per_worker": 1}
        local |= {"processes": True, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
        # Attempts are ours to count.
        local["scheduler_kwargs"] = {"allowed_failures": 0}
        options = {"cluster_kwargs": local}
    options["client_kwargs"] = {"timeout": _CONNECT_SECONDS}
    with package.DaskTaskRunner(**options) as started:
        try:
            client = started.client
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            raise _unreachable("dask", address, error) from error
        count = workers or sum(client.nthreads().values())
        yield [_DaskExecutor(client) for _ in range(count)]


class _ClusterExecutor(ABC):
    """A job at a time on whichever worker of a cluster is free."""

    def __init__(self) -> None:
        self._job: Any = None

    def apply(
        self, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
    ) -> RecordT:
        """As :meth:`~pipeline.jobs.executors.Executor.apply`."""
        limit = None if timeout is None else timeout + _QUEUE_SECONDS
        call = (quinr_lidar.__version__, function, job, timeout)
        return check_shared(job, result_of(self._answer(call, limit), timeout))

    @abstractmethod
    def _answer(self, call: tuple[Any, ...], limit: float | None) -> Any:
        """What :func:`~pipeline.jobs.remote.apply_remotely` returns."""

    @abstractmethod
    def _cancel(self) -> None:
        """Do not wait for the job any more."""

    def close(self, *, wait: bool) -> None:
        """As :meth:`~pipeline.jobs.executors.Executor.close`."""
        if not wait and self._job is not None:
            with suppress(Exception):  # the cluster may be gone
                self._cancel()


class _DaskExecutor(_ClusterExecutor):
    """A worker of Dask, which cannot end a job that a worker has begun."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client

    def _answer(self, call: tuple[Any, ...], limit: float | None) -> Any:
        import distributed

        key = f"quinr-{uuid.uuid4()}"
        try:
            self._job = self._client.submit(apply_remotely, *call, key=key, pure=False)
            return self._wait(limit)
        except distributed.KilledWorker as error:
            raise WorkerDiedError(_KILLED) from error
        except (AttemptError, GaveUpError):
            raise
        except Exception as error:
            if self._client.status == "closed":
                raise GaveUpError(_GONE) from error
            if isinstance(error, CancelledError):
                raise WorkerDiedError("the cluster lost it") from error
            raise

    def _wait(self, limit: float | None) -> Any:
        began = time.monotonic()
        while True:
            try:
                return self._job.result(_LOOK_SECONDS)
            except TimeoutError as error:
                # Dask itself would wait for ever for a scheduler that is gone.
                if self._client.status == "closed":
                    raise GaveUpError(_GONE) from error
                if limit is not None and time.monotonic() - began > limit:
                    self._cancel()
                    raise JobTimeoutError(limit) from error

    def _cancel(self) -> None:
        self._job.cancel()


@contextmanager
def _ray(package: Any, address: str | None, workers: int | None) -> Iterator[list[Executor]]:
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    if address:
        options["address"] = address
    else:
        options |= {"address": "local", "num_cpus": workers or available_cores()}
        options["include_dashboard"] = False
    runner = package.RayTaskRunner(init_kwargs=options)
    try:
        runner.__enter__()
    except (OSError, RuntimeError, ValueError, SystemExit) as error:  # it may end the process
        raise _unreachable("ray", address, error) from error
    try:
        count = workers or int(ray.cluster_resources().get("CPU", 0))
        if not count:
            raise BackendError(f"executor ray: {address}: it has no processor for us")
        # Attempts are ours to count.
        remote = ray.remote(apply_remotely).options(num_cpus=1, max_retries=0)
        yield [_RayExecutor(remote) for _ in range(count)]
    finally:
        runner.__exit__(None, None, None)


class _RayExecutor(_ClusterExecutor):
    """A worker of Ray, which ends what nobody waits for."""

    def __init__(self, remote: Any) -> None:
        super().__init__()
        self._remote = remote

    def _answer(self, call: tuple[Any, ...], limit: float | None) -> Any:
        import ray
        from ray import exceptions

        try:
            self._job = self._remote.remote(*call)
            return ray.get(self._job, timeout=limit)
        except exceptions.GetTimeoutError as error:
            self._cancel()
            raise JobTimeoutError(limit or 0.0) from error
        except exceptions.RayTaskError as error:
            raise AttemptError(reason_of(error.cause)) from error
        except (
            ConnectionError,
            exceptions.LocalRayletDiedError,
            exceptions.RaySystemError,
        ) as error:
            raise GaveUpError(_GONE) from error
        except exceptions.RayError as error:
            raise WorkerDiedError(_KILLED) from error

    def _cancel(self) -> None:
        import ray

        ray.cancel(self._job, force=True)


def check_shared(job: Job[RecordT], record: RecordT) -> RecordT:
    """A record of a job that a cluster did, if what it wrote can be seen here.

    Returns:
        The record, or that of a failed job: another machine's file would never be packed.
    """
    if record.status == "ok" and job.file is not None and not _is_there(job.file):
        return job.failed(f"{job.file}: written by a worker whose storage is not this machine's")
    return record


def _is_there(file: Path) -> bool:
    """Whether a file exists; a network's file system may take a moment to notice."""
    for _ in range(_LOOKS):
        if file.exists():
            return True
        time.sleep(1)
    return False


def _unreachable(kind: str, address: str | None, error: BaseException) -> BackendError:
    where = address or "a cluster on this machine"
    reason = f"{type(error).__name__}: {error}"
    return BackendError(f"executor {kind}: {where} does not answer: {reason}")
