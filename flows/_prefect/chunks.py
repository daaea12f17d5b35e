"""What the flows share: jobs in chunks, one Prefect task a chunk, and the final state.

A task a frame would drown Prefect's server (measured: 2,000 tasks stall it), so a task is a
chunk of whole runs (frames that start from each other's results); its jobs run where nobody
knows of Prefect, see :mod:`flows._prefect.executors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows._prefect.executors import open_executors
from flows._prefect.progress import progress_of
from flows._prefect.progress_artifact import ProgressArtifact
from pipeline.config.archive_config import RunConfig
from pipeline.jobs.executors import GaveUpError
from pipeline.jobs.job import Record, RecordT
from pipeline.jobs.workers import JobT, Workers, runs_of
from quinr_lidar.errors import QuinrError

MAX_CHUNK = 32
"""Jobs a task, where a run or the number of tasks asks for no more."""

MAX_TASKS = 300
"""Task runs of a flow that Prefect's own server takes without falling behind."""

CHUNKS_IN_FLIGHT = 32
"""Threads that wait for chunks: cheap, but Prefect's default has no bound at all.

A run keeps one worker busy, so this many chunks must hold a run for every worker.
"""


def chunk_runner() -> Any:
    """The task runner of flows that use :func:`run_in_chunks`."""
    return ThreadPoolTaskRunner(max_workers=CHUNKS_IN_FLIGHT)


def is_worth_retrying(_task: Any, _run: Any, state: State) -> bool:
    """A corrupt file stays corrupt: only errors that are not ours are tried again."""
    try:
        state.result()
    except QuinrError:
        return False
    except Exception:
        return True
    return False


@task(
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_worth_retrying,
    cache_policy=NO_CACHE,
    persist_result=False,
    tags=["quinr"],
)
def run_chunk(
    work: Callable[[], list[Any]],
    first: str,  # noqa: ARG001 (Prefect reads it for the run's name)
    last: str,  # noqa: ARG001
) -> list[Any]:
    """Run one chunk of jobs; ``first`` and ``last`` only name it in the UI.

    Returns:
        The records that ``work`` returns.
    """
    return work()


def run_in_chunks(
    function: Callable[[JobT], RecordT],
    jobs: Sequence[JobT],
    run: RunConfig,
    *,
    title: str,
    unit: str = "frame",
) -> list[RecordT]:
    """Run all jobs through :func:`run_chunk`, with a progress bar and an artifact that shows it.

    Must be called inside a flow, whose task runner decides how many chunks are in flight.

    Args:
        function: Makes a job's record, where the executor runs it.
        jobs: All jobs; those of a run follow each other.
        run: Where jobs run, how many at a time, how many make a task (see :func:`chunks_of`), and
            how long an attempt may take.
        title: What the progress bar is called.
        unit: What one job does, in the singular.

    Returns:
        Records in the order of the jobs; those of failed jobs are kept on disk as well.

    Raises:
        BackendError: the executor's cluster cannot be reached, or its package is not installed.
        GaveUpError: the cluster is gone, or one job after the other takes too long.
        StorageError: a failed job's record cannot be written.
    """
    task = run_chunk.with_options(name=f"{unit}s", task_run_name=f"{unit}s {{first}} to {{last}}")
    shown = ProgressArtifact(len(jobs), title, unit)
    with (
        progress_of(len(jobs), title, unit) as printed,
        open_executors(run.executor, run.workers) as executors,
        Workers(
            run.workers,
            partial(_report, printed, shown.report),
            timeout=run.timeout or None,
            executors=executors,
        ) as workers,
    ):
        chunks = chunks_of(jobs, workers.count, run.chunk_size)
        futures = [
            task.submit(
                partial(workers.run, function, chunk), first=chunk[0].name, last=chunk[-1].name
            )
            for chunk in chunks
        ]
        wait(futures)
        records = [
            record
            for future, chunk in zip(futures, chunks, strict=True)
            for record in _records(future, chunk)
        ]
    for job, record in zip(jobs, records, strict=True):
        # Where a whole task failed, its jobs have left none yet.
        if record.status == "failed":
            job.keep(record)
    return records


def _report(printed: Callable[[Any], None], shown: Callable[[Any], None], record: Record) -> None:
    printed(record)
    shown(record)


def _records(future: PrefectFuture[list[RecordT]], chunk: Sequence[JobT]) -> list[RecordT]:
    """A chunk's records; if its task itself failed, that is the failure of these jobs only.

    Raises:
        GaveUpError: it is not the jobs that fail.
    """
    try:
        return future.result()
    except GaveUpError:
        raise
    except Exception as error:
        return [job.failed(f"{type(error).__name__}: {error}") for job in chunk]


def chunks_of(jobs: Sequence[JobT], workers: int, wanted: int | None = None) -> list[list[JobT]]:
    """Jobs in chunks of whole runs, in order.

    Args:
        jobs: All of a flow.
        workers: Number of workers.
        wanted: Jobs a chunk, rounded up to whole runs; :func:`default_chunk` when ``None``.
    """
    runs = runs_of(jobs)
    longest = max((len(run) for run in runs), default=1)
    size = wanted or default_chunk(len(jobs), workers, longest)
    chunks: list[list[JobT]] = []
    for run in runs:
        if chunks and len(chunks[-1]) < size:
            chunks[-1] += run
        else:
            chunks.append(list(run))
    return chunks


def default_chunk(jobs: int, workers: int, keyframe_interval: int = 1) -> int:
    """Jobs a task, before rounding up to whole runs.

    Two chunks a worker, up to :data:`MAX_CHUNK`; more where there would be above
    :data:`MAX_TASKS` of them, or where those in flight would leave workers idle.
    """
    even = min(MAX_CHUNK, jobs // (2 * workers))
    runs = math.ceil(workers / CHUNKS_IN_FLIGHT)
    return max(1, even, math.ceil(jobs / MAX_TASKS), runs * keyframe_interval)


def final_state(
    records: Sequence[Record], max_failed_share: float, data: Any, unit: str = "frames"
) -> State:
    """Completed, Completed with failures, or Failed above a share of failed jobs.

    Args:
        records: All of a flow.
        max_failed_share: Share of failed ones above which the flow itself fails.
        data: The state's.
        unit: What the records are of, in the plural.
    """
    failed = [record for record in records if record.status == "failed"]
    message = f"{len(failed)}/{len(records)} {unit} failed"
    if not failed:
        return Completed(message=f"{len(records)} {unit}", data=data)
    if len(failed) > max_failed_share * len(records):
        return Failed(name="TooManyFailures", message=f"{message}; first: {failed[0].error}")
    return Completed(name="CompletedWithFailures", message=message, data=data)
