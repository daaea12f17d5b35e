"""What the executors of Dask and Ray have in common."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import quinr_lidar
from pipeline.jobs.executors import JobT
from pipeline.jobs.job import Job, RecordT
from pipeline.jobs.remote import result_of
from quinr_lidar.errors import BackendError

KILLED = "its worker process was killed"
GONE = "the cluster is gone; start it and run the same again"


@dataclass(frozen=True)
class ClusterLimits:
    """How long to wait for a cluster.

    Attributes:
        connect_seconds: Until it answers, and until it has a first worker.
        queue_seconds: Until a job gets a worker of a cluster that is busy or has none just now.
        look_seconds: Between two looks whether the cluster is still there.
    """

    connect_seconds: float = 60.0
    queue_seconds: float = 3600.0
    look_seconds: float = 5.0


class ClusterExecutor(ABC):
    """Does one job at a time on whichever worker of a cluster is free.

    Args:
        limits: How long to wait for the cluster.
    """

    def __init__(self, limits: ClusterLimits) -> None:
        self._limits = limits
        self._job: Any = None

    def apply(
        self, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
    ) -> RecordT:
        """See :meth:`~pipeline.jobs.executors.Executor.apply`."""
        limit = None if timeout is None else timeout + self._limits.queue_seconds
        call = (quinr_lidar.__version__, function, job, timeout)
        return check_shared(job, result_of(self._answer(call, limit), timeout))

    @abstractmethod
    def _answer(self, call: tuple[Any, ...], limit: float | None) -> Any:
        """What :func:`~pipeline.jobs.remote.apply_remotely` returned on a worker."""

    @abstractmethod
    def _cancel(self) -> None:
        """Stop waiting for the job."""

    def close(self, *, wait: bool) -> None:
        """See :meth:`~pipeline.jobs.executors.Executor.close`."""
        if not wait and self._job is not None:
            with suppress(Exception):  # the cluster may be gone
                self._cancel()


def check_shared(job: Job[RecordT], record: RecordT, looks: int = 5) -> RecordT:
    """The record of a job that a cluster did, if the file that it wrote can be seen here.

    Args:
        job: The job.
        record: What became of it.
        looks: How often to look for the file, once a second.

    Returns:
        The record, or that of a failed job: another machine's file would never be packed.
    """
    if record.status == "ok" and job.file is not None and not _is_there(job.file, looks):
        return job.failed(f"{job.file}: written by a worker whose storage is not this machine's")
    return record


def _is_there(file: Path, looks: int) -> bool:
    """Whether a file exists; a network's file system may take a moment to notice."""
    for look in range(looks):
        if look:
            time.sleep(1)
        if file.exists():
            return True
    return False


def unreachable(kind: str, address: str | None, error: BaseException) -> BackendError:
    """What to raise where a cluster does not answer."""
    where = address or "a cluster on this machine"
    reason = f"{type(error).__name__}: {error}"
    return BackendError(f"executor {kind}: {where} does not answer: {reason}")
