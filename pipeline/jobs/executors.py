"""Where jobs run: an executor does one job at a time, in a process or a thread of its own.

Clusters bring their own executors (:mod:`pipeline.jobs.remote`). What runs in a worker imports this
package, never Prefect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from pipeline.jobs.job import Job, RecordT
from pipeline.jobs.processes import kill_workers, new_pool, use_one_thread
from quinr_lidar.errors import QuinrError

JobT = TypeVar("JobT", bound=Job[Any])
ResultT = TypeVar("ResultT")


class AttemptError(Exception):
    """An attempt at a job failed; the message says why, in a line."""


class WorkerDiedError(AttemptError):
    """The process that did a job is gone, and not because of an exception in the job."""


class JobTimeoutError(AttemptError):
    """A job took too long.

    Attributes:
        still_running: Nothing could end it, so another attempt would run beside it.
    """

    def __init__(self, seconds: float, *, still_running: bool = False) -> None:
        super().__init__(f"no result after {seconds:g} s")
        self.still_running = still_running


class GaveUpError(QuinrError, RuntimeError):
    """Going on is of no use, since the jobs are not the cause; nothing is known of those left."""


class Executor(Protocol):
    """Does one job at a time."""

    def apply(
        self, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
    ) -> RecordT:
        """Do a job.

        Args:
            function: Makes the job's record; picklable, as the job is.
            job: What to do.
            timeout: Seconds it may take.

        Raises:
            AttemptError: it took longer, or what did it is gone.
            GaveUpError: this executor can do no more jobs.
            Exception: what the function raised.
        """
        ...

    def close(self, *, wait: bool) -> None:
        """Take no more jobs.

        Args:
            wait: Whether to wait for the job in hand, if any; otherwise it is ended if that is
                possible, and the thread that waits for it gets an exception.
        """
        ...


class ProcessExecutor:
    """A worker process, replaced when a job kills it, raises in it or takes too long.

    Args:
        start_seconds: Time to start and import; a worker that needs longer counts as hung.
    """

    def __init__(self, start_seconds: float = 600.0) -> None:
        self._start_seconds = start_seconds
        self._pool = new_pool(1)
        self._started = False

    def apply(
        self, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
    ) -> RecordT:
        """See :meth:`Executor.apply`; after any exception the next attempt has a new process."""
        try:
            if not self._started:
                # The limit is the job's, not that of the imports before it.
                _result(self._pool.submit(_get_ready, function), self._start_seconds)
                self._started = True
            return _result(self._pool.submit(function, job), timeout)
        except BrokenProcessPool as error:
            self._replace()
            raise WorkerDiedError("its worker process was killed") from error
        except BaseException:
            self._replace()
            raise

    def _replace(self) -> None:
        self.close(wait=False)
        self._pool, self._started = new_pool(1), False

    def close(self, *, wait: bool) -> None:
        """See :meth:`Executor.close`; a job that nobody waits for is killed."""
        if not wait:
            kill_workers(self._pool)
        self._pool.shutdown(wait=wait, cancel_futures=True)


class ThreadExecutor:
    """A thread of this process for each job; nothing can end a thread that hangs.

    Args:
        grace_seconds: How long a job may still take when nobody wants its result any more.
    """

    def __init__(self, grace_seconds: float = 60.0) -> None:
        self._grace_seconds = grace_seconds
        self._closing: Future[None] = Future()

    def apply(
        self, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
    ) -> RecordT:
        """See :meth:`Executor.apply`."""
        result: Future[RecordT] = Future()
        # A daemon: a job that hangs must not keep the whole process from ending.
        threading.Thread(target=_fulfil, args=(result, function, job), daemon=True).start()
        either: list[Future[Any]] = [result, self._closing]
        wait(either, timeout, return_when=FIRST_COMPLETED)
        if self._closing.done():
            wait([result], self._grace_seconds)
            if not result.done():
                raise CancelledError
        if not result.done():
            raise JobTimeoutError(timeout or 0.0, still_running=True)
        return result.result()

    def close(self, *, wait: bool) -> None:
        """See :meth:`Executor.close`; the job in hand has ``grace_seconds`` left."""
        if not wait and not self._closing.done():
            self._closing.set_result(None)


def reason_of(error: Exception) -> str:
    """Why an attempt failed, in a line."""
    if isinstance(error, AttemptError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _get_ready(_function: Callable[..., Any]) -> None:
    """A worker that has unpickled the function has imported all that it needs."""
    use_one_thread()


def _result(future: Future[ResultT], timeout: float | None) -> ResultT:
    """A future's result; a TimeoutError that the job itself raised is not taken for ours."""
    if not wait([future], timeout).done:
        raise JobTimeoutError(timeout or 0.0)
    return future.result()


def _fulfil(result: Future[RecordT], function: Callable[[JobT], RecordT], job: JobT) -> None:
    try:
        use_one_thread()
        result.set_result(function(job))
    except BaseException as error:
        result.set_exception(error)
