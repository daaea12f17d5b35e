"""What the flows share: frames in chunks, one Prefect task a chunk, and the final state.

A task a frame would drown Prefect's server (measured: 2,000 tasks stall it), so a task is a
chunk of whole runs (frames that start from each other's results); its frames run in worker
processes that know nothing of Prefect.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote
from tqdm import tqdm

from pipeline.frames import failed_record
from pipeline.records import FrameRecord
from pipeline.workers import FrameWorkers, Job, runs_of
from quinr_lidar.errors import QuinrError

MAX_CHUNK = 32
"""Frames a task, where a run or the number of tasks asks for no more."""

MAX_TASKS = 300
"""Task runs of a flow that Prefect's own server takes without falling behind."""

CHUNKS_IN_FLIGHT = 32
"""Threads that wait for chunks: cheap, but Prefect's default has no bound at all.

A run keeps one worker busy, so this many chunks must hold a run for every worker.
"""


class Outcome(Protocol):
    """What a final state needs to know of a record."""

    @property
    def status(self) -> str:
        """Either "ok" or "failed"."""
        ...

    @property
    def error(self) -> str | None:
        """Why it failed."""
        ...


def chunk_runner() -> Any:
    """The task runner of flows that use :func:`run_in_chunks`."""
    return ThreadPoolTaskRunner(max_workers=CHUNKS_IN_FLIGHT)


def is_worth_retrying(_task: Any, _run: Any, state: State) -> bool:
    """A corrupt frame stays corrupt: only errors that are not ours are tried again."""
    try:
        state.result()
    except QuinrError:
        return False
    except Exception:
        return True
    return False


@task(
    name="frames",
    task_run_name="frames {first} to {last}",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_worth_retrying,
    cache_policy=NO_CACHE,
    persist_result=False,
    tags=["quinr"],
)
def run_chunk(
    workers: Any,
    function: Any,
    jobs: Any,
    first: str,  # noqa: ARG001 (Prefect reads it for the run's name)
    last: str,  # noqa: ARG001
) -> list[Any]:
    """Run one chunk of frames; ``first`` and ``last`` only name it in the UI.

    Returns:
        The records of ``workers.run(function, jobs)``.
    """
    return workers.run(function, jobs)


def run_in_chunks(
    function: Callable[[Job], FrameRecord],
    jobs: Sequence[Job],
    *,
    processes: int | None,
    chunk_size: int | None,
    title: str,
) -> list[FrameRecord]:
    """Run all jobs through :func:`run_chunk`, with a progress bar; records in job order.

    Must be called inside a flow, whose task runner decides how many chunks are in flight.
    """
    with tqdm(total=len(jobs), desc=title, unit="frame") as bar:
        failed = 0

        def on_frame(record: FrameRecord) -> None:
            nonlocal failed
            if record.status == "failed":
                failed += 1
                tqdm.write(record.error or record.frame_id, file=sys.stderr)
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()

        with FrameWorkers(processes, on_frame) as workers:
            chunks = chunks_of(jobs, workers.processes, chunk_size)
            futures = [
                run_chunk.submit(
                    quote(workers),
                    quote(function),
                    quote(chunk),
                    first=chunk[0].frame_id,
                    last=chunk[-1].frame_id,
                )
                for chunk in chunks
            ]
            wait(futures)
            return [
                record
                for future, chunk in zip(futures, chunks, strict=True)
                for record in _records(future, chunk)
            ]


def _records(future: PrefectFuture[list[FrameRecord]], chunk: Sequence[Job]) -> list[FrameRecord]:
    """A chunk's records; if its task itself failed, that is the failure of these frames only."""
    try:
        return future.result()
    except Exception as error:
        return [failed_record(job, f"{type(error).__name__}: {error}") for job in chunk]


def chunks_of(jobs: Sequence[Job], processes: int, frames: int | None = None) -> list[list[Job]]:
    """Jobs in chunks of whole runs, in order.

    Args:
        jobs: All of a flow.
        processes: Number of workers.
        frames: Jobs a chunk, rounded up to whole runs; :func:`default_chunk` when ``None``.
    """
    runs = runs_of(jobs)
    longest = max((len(run) for run in runs), default=1)
    size = frames or default_chunk(len(jobs), processes, longest)
    chunks: list[list[Job]] = []
    for run in runs:
        if chunks and len(chunks[-1]) < size:
            chunks[-1] += run
        else:
            chunks.append(list(run))
    return chunks


def default_chunk(frames: int, processes: int, run_length: int = 1) -> int:
    """Frames a task, before rounding up to whole runs.

    Two chunks a worker, up to :data:`MAX_CHUNK`; more where there would be above
    :data:`MAX_TASKS` of them, or where those in flight would leave workers idle.
    """
    even = min(MAX_CHUNK, frames // (2 * processes))
    runs = math.ceil(processes / CHUNKS_IN_FLIGHT)
    return max(1, even, math.ceil(frames / MAX_TASKS), runs * run_length)


def final_state(
    records: Sequence[Outcome], max_failed_share: float, data: Any, unit: str = "frames"
) -> State:
    """Completed, Completed with failures, or Failed above a share of failed frames.

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
