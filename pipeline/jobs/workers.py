"""Jobs spread over executors, by default worker processes.

Processes, because training holds the interpreter. A worker that is killed (out of memory, for
instance) breaks the whole pool of the standard library, so every worker is a pool of its own.

Jobs come in runs: a job waits for its predecessor, and runs work side by side. All that a job needs
of its predecessor is on disk, so any worker may do any job.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from queue import LifoQueue
from types import TracebackType
from typing import Generic

from pipeline.jobs.executors import (
    Executor,
    GaveUpError,
    JobT,
    JobTimeoutError,
    ProcessExecutor,
    reason_of,
)
from pipeline.jobs.job import RecordT

ATTEMPTS = 3
"""How often a job is tried."""

_MANY = 3
"""After this many jobs in a row without a result in time the rest is given up, or after one for
each worker if that is more."""

_FILES_PER_WORKER = 8
"""Files that the parent of a worker process keeps open for it, mostly pipes."""

_OTHER_FILES = 512
"""Files that everything else may keep open."""


def runs_of(jobs: Sequence[JobT]) -> list[list[JobT]]:
    """Jobs cut into runs, in their order: a job belongs to its predecessor's run."""
    runs: list[list[JobT]] = []
    for job in jobs:
        if runs and job.predecessor == runs[-1][-1].name:
            runs[-1].append(job)
        else:
            runs.append([job])
    return runs


class Workers(Generic[RecordT]):
    """Executors for jobs, worker processes by default; each of those starts with its first job.

    Args:
        workers: Number of worker processes; all cores when ``None``.
        on_record: Called with every finished record, from the calling threads, one at a time.
        timeout: Seconds after which a job's attempt has failed; no limit when ``None``.
        executors: Where jobs run, instead of in worker processes; closed with this.
    """

    def __init__(
        self,
        workers: int | None = None,
        on_record: Callable[[RecordT], None] | None = None,
        *,
        timeout: float | None = None,
        executors: Sequence[Executor] | None = None,
    ) -> None:
        self._executors = list(executors) if executors is not None else _process_executors(workers)
        self.count = len(self._executors)
        self._on_record = on_record
        self._timeout = timeout
        self._in_vain = 0
        self._closed = False
        self._reporting = threading.Lock()
        self._alone = threading.Lock()
        # Last in, first out: a worker that runs already is preferred to one yet to start.
        self._idle: LifoQueue[Executor] = LifoQueue()
        for executor in reversed(self._executors):
            self._idle.put(executor)

    def __enter__(self) -> Workers[RecordT]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error or Ctrl-C nobody waits for jobs, begun or not: what they write is whole
        # or not there, and the next run does them again.
        self._closed = True
        for executor in self._executors:
            executor.close(wait=kind is None)

    def run(self, function: Callable[[JobT], RecordT], jobs: Sequence[JobT]) -> list[RecordT]:
        """Apply a function to all jobs; returns their records in the order of the jobs.

        An unexpected exception, the death of a worker or a job that takes too long is retried;
        after the last attempt it becomes a failed record, and the job's followers go on. May be
        called from several threads.

        Raises:
            GaveUpError: the executors are gone, or one job after the other takes too long.
        """
        runs = runs_of(jobs)
        with ThreadPoolExecutor(max(1, min(self.count, len(runs)))) as threads:
            done = threads.map(partial(self._run_in_order, function), runs)
            try:
                return [record for records in done for record in records]
            except KeyboardInterrupt:
                self._closed = True  # runs end with the job they are at
                raise

    def _run_in_order(
        self, function: Callable[[JobT], RecordT], run: Sequence[JobT]
    ) -> list[RecordT]:
        records = []
        for job in run:
            record = self._record_of(function, job)
            if self._on_record:
                with self._reporting:
                    self._on_record(record)
            records.append(record)
        return records

    def _record_of(self, function: Callable[[JobT], RecordT], job: JobT) -> RecordT:
        reason, in_time = "", True
        for attempt in range(1, ATTEMPTS + 1):
            # One last attempt at a time: jobs that need it may have run out of memory side by
            # side. Those that hang would only wait for each other.
            alone = attempt == ATTEMPTS and in_time
            with self._alone if alone else contextlib.nullcontext():
                try:
                    record = self._attempt(function, job)
                except Exception as error:
                    if self._closed or isinstance(error, GaveUpError):
                        raise
                    reason = reason_of(error)
                    in_time = not isinstance(error, JobTimeoutError)
                    if isinstance(error, JobTimeoutError) and error.still_running:
                        break
                else:
                    return record
        return job.lost(reason)

    def _attempt(self, function: Callable[[JobT], RecordT], job: JobT) -> RecordT:
        executor = self._idle.get()
        try:
            # After Ctrl-C or an error no thread begins another job of its run.
            if self._closed:
                raise CancelledError
            self._check_hope()
            record = executor.apply(function, job, self._timeout)
        except JobTimeoutError as error:
            # Threads that count at the same time may lose one, which does no harm.
            self._in_vain += ATTEMPTS if error.still_running else 1
            raise
        else:
            self._in_vain = 0
            return record
        finally:
            self._idle.put(executor)

    def _check_hope(self) -> None:
        """Give up where all jobs hang: then it is their storage, and a nightly run must end."""
        jobs = self._in_vain // ATTEMPTS
        if jobs >= max(_MANY, self.count):
            raise GaveUpError(
                f"{jobs} jobs in a row gave no result within {self._timeout:g} s: the rest was "
                "not tried; see to the storage and run the same again"
            )


def _process_executors(workers: int | None) -> list[Executor]:
    count = workers or available_cores()
    _allow_open_files(_OTHER_FILES + _FILES_PER_WORKER * count)
    return [ProcessExecutor() for _ in range(count)]


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _allow_open_files(number: int) -> None:
    """Raise the soft limit of open files, where it is lower: 1,024 is usual, for 64 workers."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= number:
        return
    # What the system refuses may still suffice.
    with contextlib.suppress(ValueError, OSError):
        raised = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
