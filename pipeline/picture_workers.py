"""Pictures spread over worker processes.

Unlike frames (:mod:`pipeline.workers`) pictures do not wait for each other. Every worker is a pool
of its own, so that a picture that kills one (out of memory, say) disturbs no other.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from queue import LifoQueue
from types import TracebackType

from pipeline.pictures import PictureJob, PictureRecord, failed_picture, write_picture_record
from pipeline.workers import ATTEMPTS, available_cores, initialise_worker
from quinr_lidar.errors import StorageError


class PictureWorkers:
    """Worker processes for pictures; each starts with the first picture it gets.

    Args:
        processes: Number of workers; all cores when ``None``.
        on_picture: Called with every finished record, from the calling threads, one at a time.
    """

    def __init__(
        self,
        processes: int | None = None,
        on_picture: Callable[[PictureRecord], None] | None = None,
    ) -> None:
        self.processes = processes or available_cores()
        self._on_picture = on_picture
        self._closed = False
        self._lock = threading.Lock()
        self._workers = [_Worker() for _ in range(self.processes)]
        # Last in, first out: a worker that runs already is preferred to one yet to start.
        self._idle: LifoQueue[_Worker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> PictureWorkers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error or Ctrl-C nobody waits for pictures that have not begun.
        self._closed = True
        for worker in self._workers:
            worker.close(wait=kind is None)

    def run(
        self, function: Callable[[PictureJob], PictureRecord], jobs: Sequence[PictureJob]
    ) -> list[PictureRecord]:
        """Apply a function to all jobs; returns their records in the order of the jobs.

        An unexpected exception or the death of a worker is retried; after the last attempt it
        becomes a failed record. May be called from several threads.
        """
        with ThreadPoolExecutor(max(1, min(self.processes, len(jobs)))) as threads:
            try:
                return list(threads.map(partial(self._picture, function), jobs))
            except KeyboardInterrupt:
                self._closed = True  # threads end with the picture they are at
                raise

    def _picture(
        self, function: Callable[[PictureJob], PictureRecord], job: PictureJob
    ) -> PictureRecord:
        record = self._attempts(function, job)
        if self._on_picture:
            with self._lock:
                self._on_picture(record)
        return record

    def _attempts(
        self, function: Callable[[PictureJob], PictureRecord], job: PictureJob
    ) -> PictureRecord:
        reason = ""
        for _ in range(ATTEMPTS):
            worker = self._idle.get()
            try:
                if self._closed:
                    raise CancelledError
                return worker.apply(function, job)
            except BrokenProcessPool:
                reason = "its worker process was killed"
            except Exception as error:
                if self._closed:
                    raise
                reason = f"{type(error).__name__}: {error}"
            finally:
                self._idle.put(worker)
        record = failed_picture(job, reason)
        # Where even this cannot be written, the caller still learns of it.
        with contextlib.suppress(StorageError):
            write_picture_record(job, record)
        return record


class _Worker:
    """One process, replaced when it dies."""

    def __init__(self) -> None:
        self._pool = _new_pool()

    def apply(
        self, function: Callable[[PictureJob], PictureRecord], job: PictureJob
    ) -> PictureRecord:
        try:
            return self._pool.submit(function, job).result()
        except BrokenProcessPool:
            self.close(wait=False)
            self._pool = _new_pool()
            raise

    def close(self, *, wait: bool) -> None:
        self._pool.shutdown(wait=wait, cancel_futures=True)


def _new_pool() -> ProcessPoolExecutor:
    """Starts its process when it is first used, since it spawns."""
    return ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), initializer=initialise_worker
    )
