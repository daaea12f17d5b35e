"""Jobs spread over worker processes.

Processes, because training holds the interpreter; spawned, because a forked torch deadlocks.
Workers import this package, never Prefect. A worker that is killed (out of memory, say) breaks
the whole pool of the standard library, so every worker is a pool of its own.

Jobs come in runs: a job waits for its predecessor, runs work side by side. Whatever a job
needs of its predecessor is on disk, so any worker may do any job.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from queue import LifoQueue
from types import TracebackType
from typing import Any, Generic, TypeVar

from pipeline.jobs import Job, RecordT

JobT = TypeVar("JobT", bound=Job[Any])

ATTEMPTS = 3

_FILES_PER_WORKER = 8
"""Open files that a pool of one process takes of its parent: pipes, mostly."""

_OTHER_FILES = 512
"""Open files left to everything else."""


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
    """Worker processes; each starts with the first job it gets.

    Args:
        processes: Number of workers; all cores when ``None``.
        on_record: Called with every finished record, from the calling threads, one at a time.
    """

    def __init__(
        self,
        processes: int | None = None,
        on_record: Callable[[RecordT], None] | None = None,
    ) -> None:
        self.processes = processes or available_cores()
        self._on_record = on_record
        self._closed = False
        self._reporting = threading.Lock()
        self._alone = threading.Lock()
        _allow_open_files(_OTHER_FILES + _FILES_PER_WORKER * self.processes)
        self._workers = [_Worker() for _ in range(self.processes)]
        # Last in, first out: a worker that runs already is preferred to one yet to start.
        self._idle: LifoQueue[_Worker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Workers[RecordT]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error or Ctrl-C nobody waits for jobs that have not begun.
        self._closed = True
        for worker in self._workers:
            worker.close(wait=kind is None)

    def run(self, function: Callable[[JobT], RecordT], jobs: Sequence[JobT]) -> list[RecordT]:
        """Apply a function to all jobs; returns their records in the order of the jobs.

        An unexpected exception or the death of a worker is retried; after the last attempt it
        becomes a failed record, and the job's followers go on. May be called from several
        threads.
        """
        runs = runs_of(jobs)
        with ThreadPoolExecutor(max(1, min(self.processes, len(runs)))) as threads:
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
        reason = ""
        for attempt in range(1, ATTEMPTS + 1):
            # One last attempt at a time: jobs that need it may have run out of memory side by
            # side.
            with self._alone if attempt == ATTEMPTS else contextlib.nullcontext():
                try:
                    return self._attempt(function, job)
                except BrokenProcessPool:
                    reason = "its worker process was killed"
                except Exception as error:
                    if self._closed:
                        raise
                    reason = f"{type(error).__name__}: {error}"
        return job.lost(reason)

    def _attempt(self, function: Callable[[JobT], RecordT], job: JobT) -> RecordT:
        worker = self._idle.get()
        try:
            # The run of a thread ends that would begin another job after Ctrl-C or an error.
            if self._closed:
                raise CancelledError
            return worker.apply(function, job)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process, replaced when a job kills it or raises in it: the next attempt starts afresh."""

    def __init__(self) -> None:
        self._pool = new_pool(1)

    def apply(self, function: Callable[[JobT], RecordT], job: JobT) -> RecordT:
        try:
            return self._pool.submit(function, job).result()
        except Exception:
            self.close(wait=False)
            self._pool = new_pool(1)
            raise

    def close(self, *, wait: bool) -> None:
        self._pool.shutdown(wait=wait, cancel_futures=True)


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
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers, which would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # At once: whoever goes on with the parent's work should not meet this one.
        os._exit(1)


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
