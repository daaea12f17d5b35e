"""Restore archived sequences as KITTI velodyne scans that any KITTI reader opens."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.chunks import final_state, run_in_chunks
from pipeline.frames import restore_frame
from pipeline.sequences import restore_jobs


@flow(
    name="restore-sequence",
    flow_run_name="restore {archive}",
    task_runner=ThreadPoolTaskRunner(max_workers=8),
    validate_parameters=True,
)
def restore_sequence(
    archive: str,
    out: str,
    jobs: int | None = None,
    chunk_size: int | None = None,
    max_failed_share: float = 0.5,
) -> State:
    """Write ``out/sequences/<sequence>/velodyne/<frame id>.bin`` for every archived frame.

    Points are in row-major pixel order; reflectance is 0, since archives do not keep it yet.

    Args:
        archive: An archived sequence, or a folder of them.
        out: Root of the restored data set.
        jobs: Worker processes; as many as cores when left out.
        chunk_size: Frames a task.
        max_failed_share: Share of failed frames above which the flow itself fails.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is ``out``.
    """
    frames = [
        job
        for sequence in restore_jobs(Path(archive), Path(out)).values()
        for job in sequence
    ]
    records = run_in_chunks(
        restore_frame, frames, processes=jobs, chunk_size=chunk_size, title="restore"
    )
    return final_state(records, max_failed_share, out)
