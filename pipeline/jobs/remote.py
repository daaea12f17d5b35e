"""Jobs on a cluster's workers, which run this package and share nothing but the storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import quinr_lidar
from pipeline.jobs.executors import (
    AttemptError,
    JobT,
    JobTimeoutError,
    ThreadExecutor,
    reason_of,
)
from pipeline.jobs.job import RecordT


@dataclass(frozen=True)
class Failure:
    """An attempt that failed on a cluster's worker; any machine can unpickle it."""

    reason: str


def apply_remotely(
    version: str, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
) -> RecordT | Failure | None:
    """Do a job on a cluster's worker; raises nothing.

    Args:
        version: Version of quinr-lidar that sent the job; another one's files could differ.
        function: Makes the job's record.
        job: What to do.
        timeout: Seconds it may take.

    Returns:
        The record; what went wrong; or ``None`` if it took too long.
    """
    if version != quinr_lidar.__version__:
        return Failure(f"its worker has quinr-lidar {quinr_lidar.__version__}, expected {version}")
    try:
        return ThreadExecutor().apply(function, job, timeout)
    except JobTimeoutError:
        return None
    except Exception as error:
        return Failure(reason_of(error))


def result_of(answer: RecordT | Failure | None, timeout: float | None) -> RecordT:
    """The record that :func:`apply_remotely` returned.

    Raises:
        AttemptError: it returned something else.
    """
    if answer is None:
        raise JobTimeoutError(timeout or 0.0, still_running=True)
    if isinstance(answer, Failure):
        raise AttemptError(answer.reason)
    return answer
