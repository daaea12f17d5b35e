"""Where jobs run: an executor does one job at a time, in a process or a thread of its own.

Clusters bring executors of their own (:mod:`flows._prefect.runners`). What runs in a worker
imports this package, never Prefect.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import quinr_lidar
from pipeline.jobs.job import Job, RecordT
from pipeline.jobs.log_lines import log_as_json
from quinr_lidar.errors import QuinrError

JobT = TypeVar("JobT", bound=Job[Any])
ResultT = TypeVar("ResultT")

_START_SECONDS = 600.0
"""A worker that has not begun by then never will."""

_GRACE_SECONDS = 60.0
"""How long a thread's job may still take when nobody wants its result any more."""


class AttemptError(Exception):
    """An attempt at a job failed; the message says why, in a line."""


class WorkerDiedError(AttemptError):
    """The process that did a job is gone, and not by the job's own exception."""


class JobTimeoutError(AttemptError):
    """A job took too long.

    Attributes:
        still_running: Nothing could end it, so another attempt would run beside it.
    """

    def __init__(self, seconds: float, *, still_running: bool = False) -> None:
        super().__init__(f"no result after {seconds:g} s")
        self.still_running = still_running


class GaveUpError(QuinrError, RuntimeError):
    """Going on is of no use, for it is not the jobs that fail: nothing is said of those left."""


@dataclass(frozen=True)
class Failure:
    """An attempt that failed on a cluster's worker: any machine can read this of any other."""

    reason: str


class Executor(Protocol):
    """Does one job at a time."""

    def apply(
        self, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
    ) -> RecordT:
        """Do a job.

        Args:
            function: Makes its record; picklable, as the job is.
            job: What to do.
            timeout: Seconds it may take.

        Raises:
            AttemptError: it took longer, or whatever did it is gone.
            GaveUpError: no job will be done here any more.
            Exception: what the function raised.
        """
        ...

    def close(self, *, wait: bool) -> None:
        """No more jobs.

        Args:
            wait: For the job in hand, if any; otherwise it is ended as far as that goes, and
                whoever waits for it gets an exception.
        """
        ...


class ProcessExecutor:
    """A process, replaced when a job kills it, raises in it or takes too long."""

    def __init__(self) -> None:
        self._pool = new_pool(1)
        self._started = False

    def apply(
        self, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
    ) -> RecordT:
        """As :meth:`Executor.apply`; the next attempt starts afresh after any exception."""
        try:
            if not self._started:
                # The limit is the job's, not that of the imports before it.
                _result(self._pool.submit(_get_ready, function), _START_SECONDS)
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
        """As :meth:`Executor.close`: a job nobody waits for is killed."""
        if not wait:
            _kill(self._pool)
        self._pool.shutdown(wait=wait, cancel_futures=True)


class ThreadExecutor:
    """A thread a job, in this process; nothing can end a thread that hangs."""

    def __init__(self) -> None:
        self._closing: Future[None] = Future()

    def apply(
        self, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
    ) -> RecordT:
        """As :meth:`Executor.apply`."""
        result: Future[RecordT] = Future()
        # A daemon: a job that hangs must not keep the whole process from ending.
        threading.Thread(target=_fulfil, args=(result, function, job), daemon=True).start()
        either: list[Future[Any]] = [result, self._closing]
        wait(either, timeout, return_when=FIRST_COMPLETED)
        if self._closing.done():
            wait([result], _GRACE_SECONDS)
            if not result.done():
                raise CancelledError
        if not result.done():
            raise JobTimeoutError(timeout or 0.0, still_running=True)
        return result.result()

    def close(self, *, wait: bool) -> None:
        """As :meth:`Executor.close`; the job in hand has a few seconds."""
        if not wait and not self._closing.done():
            self._closing.set_result(None)


def apply_alone(function: Callable[[JobT], RecordT], job: JobT) -> RecordT:
    """Do a job with one thread for its arithmetic: the others have jobs of their own."""
    import torch

    torch.set_num_threads(1)
    return function(job)


def apply_remotely(
    version: str, function: Callable[[JobT], RecordT], job: JobT, timeout: float | None
) -> RecordT | Failure | None:
    """Do a job on a cluster's worker; raises nothing.

    Args:
        version: quinr-lidar's, of whoever sent the job. Another one's files could differ.
        function: Makes its record.
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
    """What :func:`apply_remotely` returned, as :meth:`Executor.apply` has it."""
    if answer is None:
        raise JobTimeoutError(timeout or 0.0, still_running=True)
    if isinstance(answer, Failure):
        raise AttemptError(answer.reason)
    return answer


def reason_of(error: Exception) -> str:
    """Why an attempt failed, in a line."""
    if isinstance(error, AttemptError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def new_pool(processes: int) -> ProcessPoolExecutor:
    """Processes of one thread each, which start when they are first needed."""
    return ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=initialise_worker
    )


def initialise_worker() -> None:
    """One thread, no answer to Ctrl-C, no life without the parent."""
    import signal

    import torch

    # The cores are shared out already: a worker for each.
    torch.set_num_threads(1)
    # Ctrl-C is the parent's to handle; workers end when their pool does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_as_json()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers, which would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # At once: whoever goes on with the parent's work should not meet this one.
        os._exit(1)


def _get_ready(_function: Callable[..., Any]) -> None:
    """Nothing: a worker that has read the function has imported whatever it needs."""


def _result(future: Future[ResultT], timeout: float | None) -> ResultT:
    """A future's result; its own TimeoutError is not taken for ours."""
    if not wait([future], timeout).done:
        raise JobTimeoutError(timeout or 0.0)
    return future.result()


def _kill(pool: ProcessPoolExecutor) -> None:
    """End a pool's processes at once; from Python 3.14 on there is ``kill_workers`` for that."""
    for process in list((pool._processes or {}).values()):
        with contextlib.suppress(ValueError):  # it has ended, and was closed
            process.kill()


def _fulfil(result: Future[RecordT], function: Callable[[JobT], RecordT], job: JobT) -> None:
    try:
        result.set_result(apply_alone(function, job))
    except BaseException as error:
        result.set_exception(error)
