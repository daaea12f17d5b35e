"""Executors on a Dask cluster."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from flows._prefect.cluster import GONE, KILLED, ClusterExecutor, ClusterLimits, unreachable
from pipeline.jobs.executors import (
    AttemptError,
    Executor,
    GaveUpError,
    JobTimeoutError,
    WorkerDiedError,
)
from pipeline.jobs.remote import apply_remotely
from pipeline.jobs.workers import available_cores
from quinr_lidar.errors import BackendError


@contextmanager
def dask_executors(
    package: Any, address: str | None, workers: int | None, limits: ClusterLimits
) -> Iterator[list[Executor]]:
    """Executors on a Dask cluster, as long as the context lasts.

    Args:
        package: The package that starts or joins a cluster.
        address: Address of a running cluster; one on this machine is started when ``None``.
        workers: Number of executors; one for each core of the cluster when ``None``.
        limits: How long to wait for the cluster.

    Raises:
        BackendError: the cluster does not answer.
    """
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
    options["client_kwargs"] = {"timeout": limits.connect_seconds}
    with package.DaskTaskRunner(**options) as started:
        try:
            client = started.client
            client.wait_for_workers(1, timeout=limits.connect_seconds)
        except (OSError, TimeoutError, ValueError) as error:
            raise unreachable("dask", address, error) from error
        count = workers or sum(client.nthreads().values())
        yield [_DaskExecutor(client, limits) for _ in range(count)]


class _DaskExecutor(ClusterExecutor):
    """A worker of Dask, which cannot end a job that a worker has begun."""

    def __init__(self, client: Any, limits: ClusterLimits) -> None:
        super().__init__(limits)
        self._client = client

    def _answer(self, call: tuple[Any, ...], limit: float | None) -> Any:
        import distributed

        key = f"quinr-{uuid.uuid4()}"
        try:
            self._job = self._client.submit(apply_remotely, *call, key=key, pure=False)
            return self._wait(limit)
        except distributed.KilledWorker as error:
            raise WorkerDiedError(KILLED) from error
        except (AttemptError, GaveUpError):
            raise
        except Exception as error:
            if self._client.status == "closed":
                raise GaveUpError(GONE) from error
            if isinstance(error, CancelledError):
                raise WorkerDiedError("the cluster lost it") from error
            raise

    def _wait(self, limit: float | None) -> Any:
        began = time.monotonic()
        while True:
            try:
                return self._job.result(self._limits.look_seconds)
            except TimeoutError as error:
                # Dask itself would wait for ever for a scheduler that is gone.
                if self._client.status == "closed":
                    raise GaveUpError(GONE) from error
                if limit is not None and time.monotonic() - began > limit:
                    self._cancel()
                    raise JobTimeoutError(limit) from error

    def _cancel(self) -> None:
        self._job.cancel()
