"""Worker processes: how they start, how they end, and that none outlives its parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

from pipeline.jobs.log_lines import log_as_json


def new_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of processes with one thread each, which start when they are first needed."""
    # Spawned, because a forked torch deadlocks.
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_initialise
    )


def kill_workers(pool: ProcessPoolExecutor) -> None:
    """End a pool's processes at once; Python 3.14 has a method of this name."""
    for process in list((pool._processes or {}).values()):
        with contextlib.suppress(ValueError):  # it has ended and was closed
            process.kill()


def use_one_thread() -> None:
    """Use one thread for arithmetic: the cores are shared out already, a worker for each."""
    if "torch" in sys.modules:
        load_torch()


def load_torch() -> None:
    """Load torch, for a job that trains, with one thread for its arithmetic."""
    # An import statement waits for another thread that is still loading it.
    import torch

    torch.set_num_threads(1)


def _initialise() -> None:
    """One thread, no answer to Ctrl-C, no life without the parent."""
    # For libraries that are loaded later; many jobs need none of them.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    use_one_thread()
    # The parent handles Ctrl-C; workers end when their pool does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_as_json()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers, which would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # At once: another process may go on with the parent's work and must not meet this one.
        os._exit(1)
