"""Restore archived sequences as KITTI velodyne scans that any KITTI reader opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows._prefect.chunks import chunk_runner, final_state, run_in_chunks
from flows.parameters import FRAME_TIMEOUT, Runner, Seconds
from pipeline.jobs.results import counts_of
from pipeline.sequence.frames import restore_frame
from pipeline.sequence.records import FrameRecord
from pipeline.sequence.sequence import restore_jobs
from pipeline.storage.files import write_json_atomically


@flow(
    name="restore-sequence",
    flow_run_name="restore {archive}",
    task_runner=chunk_runner(),
    validate_parameters=True,
)
def restore_sequence(
    archive: str,
    out: str,
    jobs: int | None = None,
    chunk_size: int | None = None,
    max_failed_share: float = 0.5,
    runner: Runner | None = None,
    frame_timeout: Seconds | None = FRAME_TIMEOUT,
) -> State:
    """Write ``out/sequences/<sequence>/velodyne/<frame id>.bin`` for every archived frame.

    What could not be restored is in ``out/sequences/<sequence>/restore.json``, with the reason.
    Points are in row-major pixel order; reflectance is 0, since archives do not keep it yet.

    Args:
        archive: An archived sequence, or a folder of them.
        out: Root of the restored data set.
        jobs: Frames at a time; one a core when left out.
        chunk_size: Frames a task.
        max_failed_share: Share of failed frames above which the flow itself fails.
        runner: Where frames are restored; in worker processes of this machine when left out.
        frame_timeout: Seconds after which an attempt at a frame has failed; 0: no limit.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is ``out``.
    """
    records: list[FrameRecord] = []
    # Sequence by sequence: frame ids are unique within one only.
    for sequence, frames in restore_jobs(Path(archive), Path(out)).items():
        restored = run_in_chunks(
            restore_frame,
            frames,
            processes=jobs,
            chunk_size=chunk_size,
            title=f"restore {sequence}",
            runner=runner,
            timeout=frame_timeout,
        )
        write_json_atomically(
            Path(out) / "sequences" / sequence / "restore.json", _report(archive, restored)
        )
        records += restored
    return final_state(records, max_failed_share, out)


def _report(archive: str, records: list[FrameRecord]) -> dict[str, Any]:
    failures = {record.frame_id: record.error for record in records if record.status == "failed"}
    return {"source": archive, "frames": counts_of(records), "failures": failures}
