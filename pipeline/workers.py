"""Frames spread over worker processes.

Processes, because training holds the interpreter; spawned, because a forked torch deadlocks.
Workers import this package, never Prefect. A worker that is killed (out of memory, say) breaks
the whole pool of the standard library; the pool is then rebuilt and its frames tried again.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import TypeVar

from pipeline.frames import ArchiveJob, FrameRecord, RestoreJob, failed_record

Job = TypeVar("Job", ArchiveJob, RestoreJob)

ATTEMPTS = 3
MAX_THREADS = 2
"""More gain nothing on tensors as small as a training step's."""


class FrameWorkers:
    """A pool of processes that share the machine's cores evenly.

    Args:
        processes: Number of workers; all cores when ``None``.
        on_frame: Called with every finished record, from the calling threads, one at a time.
    """

    def __init__(
        self,
        processes: int | None = None,
        on_frame: Callable[[FrameRecord], None] | None = None,
    ) -> None:
        cores = available_cores()
        self.processes = processes or cores
        self._threads = min(MAX_THREADS, max(1, cores // self.processes))
        self._on_frame = on_frame
        self._lock = threading.Lock()
        self._pool = self._new_pool(self.processes)

    def __enter__(self) -> FrameWorkers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error or Ctrl-C nobody waits for frames that have not begun.
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def run(self, function: Callable[[Job], FrameRecord], jobs: Sequence[Job]) -> list[FrameRecord]:
        """Apply a function to all jobs; returns their records in the order of the jobs.

        An unexpected exception or the death of a worker is retried; after the last attempt it
        becomes a failed record. May be called from several threads.
        """
        records: dict[Job, FrameRecord] = {}
        for _ in range(ATTEMPTS - 1):
            left = [job for job in jobs if job not in records]
            self._attempt(function, left, records)
        left = [job for job in jobs if job not in records]
        if left:
            self._last_attempt(function, left, records)
        return [records[job] for job in jobs]

    def _attempt(
        self,
        function: Callable[[Job], FrameRecord],
        jobs: Sequence[Job],
        records: dict[Job, FrameRecord],
    ) -> None:
        """Run jobs in the shared pool; those that end unexpectedly stay without a record."""
        pool = self._pool
        futures: dict[Future[FrameRecord], Job] = {}
        try:
            for job in jobs:
                futures[pool.submit(function, job)] = job
        except BrokenProcessPool:
            self._rebuild(pool)
        for future in as_completed(futures):
            try:
                records[futures[future]] = record = future.result()
            except BrokenProcessPool:
                self._rebuild(pool)
            except Exception:  # noqa: S112 (the last attempt reports it)
                continue
            else:
                self._report(record)

    def _last_attempt(
        self,
        function: Callable[[Job], FrameRecord],
        jobs: Sequence[Job],
        records: dict[Job, FrameRecord],
    ) -> None:
        """Run jobs one by one in a worker of their own: whichever kills it kills no other.

        The shared pool would not do: another thread's frame may break it at any time.
        """
        own = self._new_pool(1)
        try:
            for job in jobs:
                try:
                    record = own.submit(function, job).result()
                except BrokenProcessPool:
                    record = failed_record(job, "its worker process was killed")
                    own = self._new_pool(1)
                except Exception as error:
                    record = failed_record(job, f"{type(error).__name__}: {error}")
                records[job] = record
                self._report(record)
        finally:
            own.shutdown(cancel_futures=True)

    def _report(self, record: FrameRecord) -> None:
        if self._on_frame:
            with self._lock:
                self._on_frame(record)

    def _rebuild(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                broken.shutdown(wait=False)
                self._pool = self._new_pool(self.processes)

    def _new_pool(self, processes: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_initialise,
            initargs=(self._threads,),
        )


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _initialise(threads: int) -> None:
    import signal

    import torch

    torch.set_num_threads(threads)
    # Ctrl-C is the parent's to handle; workers end when their pool does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
