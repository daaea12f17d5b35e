"""Restore archived sequences: as KITTI velodyne scans that any KITTI reader opens, or as clouds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows._prefect.chunks import chunk_runner, final_state, run_in_chunks
from flows.parameters import RUN_FRAMES, Folder
from pipeline.config.archive_config import RunConfig
from pipeline.datasets.cloud_files import VELODYNE
from pipeline.jobs.results import counts_of
from pipeline.sequence.frames import restore_frame
from pipeline.sequence.records import FrameRecord
from pipeline.sequence.sequence import restore_jobs, restored_folder
from pipeline.storage.files import write_json_atomically


@flow(
    name="restore-sequence",
    flow_run_name="restore {archive}",
    task_runner=chunk_runner(),
    validate_parameters=True,
)
def restore_sequence(
    archive: Folder, out: Folder, run: RunConfig | None = None, kind: str = VELODYNE
) -> State:
    """Write ``out/sequences/<sequence>/velodyne/<frame id>.bin`` for every archived frame.

    Files of another kind are ``out/<sequence>/<frame id>.<kind>``. ``restore.json`` in the
    sequence's folder says what could not be restored and why. Points are in row-major pixel order;
    reflectance is 0, since archives do not keep it yet.

    Args:
        archive: An archived sequence, or a folder of them.
        out: Root of the restored data set.
        run: How the frames' jobs run.
        kind: What frames become: bin (velodyne), ply, pcd, or npy (the range image).

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is ``out``.
    """
    run = run or RUN_FRAMES
    records: list[FrameRecord] = []
    # Sequence by sequence: frame ids are unique within one only.
    for sequence, frames in restore_jobs(Path(archive), Path(out), kind).items():
        restored = run_in_chunks(restore_frame, frames, run, title=f"restore {sequence}")
        folder = restored_folder(Path(out), sequence, kind)
        write_json_atomically(folder / "restore.json", _report(archive, restored))
        records += restored
    return final_state(records, run.max_failed_share, out)


def _report(archive: str, records: list[FrameRecord]) -> dict[str, Any]:
    failures = {record.frame_id: record.error for record in records if record.status == "failed"}
    return {"source": archive, "frames": counts_of(records), "failures": failures}
