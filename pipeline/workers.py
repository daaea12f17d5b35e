"""Frames spread over worker processes.

Processes, because training holds the interpreter; spawned, because a forked torch deadlocks.
Workers import this package, never Prefect. A worker that is killed (out of memory, say) breaks
the whole pool of the standard library; the pool is then rebuilt and its frames tried again.

Jobs come in runs: a frame waits for its predecessor, runs work side by side. Whatever a frame
needs of its predecessor is on disk, so any worker may do any frame.
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
from types import TracebackType
from typing import TypeVar

from pipeline.frames import ArchiveJob, RestoreJob, failed_record
from pipeline.records import FrameRecord, write_record
from quinr_lidar.errors import StorageError

Job = TypeVar("Job", ArchiveJob, RestoreJob)

ATTEMPTS = 3


def runs_of(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs cut into runs, in their order: a job belongs to its predecessor's run."""
    runs: list[list[Job]] = []
    for job in jobs:
        before = runs[-1][-1] if runs else None
        if isinstance(job, ArchiveJob) and before and job.predecessor == before.frame_id:
            runs[-1].append(job)
        else:
            runs.append([job])
    return runs


class FrameWorkers:
    """A pool of processes.

    Args:
        processes: Number of workers; all cores when ``None``.
        on_frame: Called with every finished record, from the calling threads, one at a time.
    """

    def __init__(
        self,
        processes: int | None = None,
        on_frame: Callable[[FrameRecord], None] | None = None,
    ) -> None:
        self.processes = processes or available_cores()
        self._on_frame = on_frame
        self._closed = False
        self._lock = threading.Lock()
        self._alone = threading.Lock()
        # No more frames in the pool than it has workers: a pool that breaks takes all with it.
        self._slots = threading.Semaphore(self.processes)
        self._pool = _new_pool(self.processes)

    def __enter__(self) -> FrameWorkers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error or Ctrl-C nobody waits for frames that have not begun.
        self._closed = True
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def run(self, function: Callable[[Job], FrameRecord], jobs: Sequence[Job]) -> list[FrameRecord]:
        """Apply a function to all jobs; returns their records in the order of the jobs.

        An unexpected exception or the death of a worker is retried; after the last attempt it
        becomes a failed record, and the frame's followers go on. May be called from several
        threads.
        """
        runs = runs_of(jobs)
        with ThreadPoolExecutor(max(1, min(self.processes, len(runs)))) as threads:
            done = threads.map(partial(self._run_in_order, function), runs)
            try:
                return [record for records in done for record in records]
            except KeyboardInterrupt:
                self._closed = True  # runs end with the frame they are at
                raise

    def _run_in_order(
        self, function: Callable[[Job], FrameRecord], run: Sequence[Job]
    ) -> list[FrameRecord]:
        records = []
        for job in run:
            record = self._frame(function, job)
            if self._on_frame:
                with self._lock:
                    self._on_frame(record)
            records.append(record)
        return records

    def _frame(self, function: Callable[[Job], FrameRecord], job: Job) -> FrameRecord:
        for _ in range(ATTEMPTS - 1):
            with self._slots:
                self._check_open()
                pool = self._pool
                try:
                    return pool.submit(function, job).result()
                except BrokenProcessPool:
                    self._rebuild(pool)
                except Exception:  # noqa: S112 (the last attempt reports it)
                    continue
        return self._last_attempt(function, job)

    def _last_attempt(self, function: Callable[[Job], FrameRecord], job: Job) -> FrameRecord:
        """Do a frame in a worker of its own: if it kills it, it kills no other frame.

        The shared pool would not do: another thread's frame may break it at any time. One at a
        time, since frames that get here may have run out of memory side by side.
        """
        with self._alone, _new_pool(1) as own:
            self._check_open()
            try:
                return own.submit(function, job).result()
            except BrokenProcessPool:
                return _lost(job, "its worker process was killed")
            except Exception as error:
                return _lost(job, f"{type(error).__name__}: {error}")

    def _check_open(self) -> None:
        """End the run of a thread that would begin another frame after Ctrl-C or an error."""
        if self._closed:
            raise CancelledError

    def _rebuild(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                broken.shutdown(wait=False)
                self._pool = _new_pool(self.processes)


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _lost(job: ArchiveJob | RestoreJob, error: str) -> FrameRecord:
    """The record of a frame whose worker could not leave one itself.

    Written at once, lest its follower start from what an earlier run left of the frame. Where
    even that fails, the caller still learns of it.
    """
    record = failed_record(job, error)
    if isinstance(job, ArchiveJob):
        with contextlib.suppress(StorageError):
            write_record(job.folder, record)
    return record


def _new_pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=initialise_worker
    )


def initialise_worker() -> None:
    """One thread, and no answer to Ctrl-C: both are the parent's."""
    import signal

    import torch

    # The cores are shared out already: a worker for each.
    torch.set_num_threads(1)
    # Ctrl-C is the parent's to handle; workers end when their pool does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
