"""Archive a sequence: project, encode, write, decode, measure, report."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Failed

from flows._prefect.alerts import ALERTS
from flows._prefect.artifacts import MAX_ARTIFACT_ROWS, artifact_key
from flows._prefect.automatic_model import resolve_model
from flows._prefect.chunks import chunk_runner, final_state, run_in_chunks
from flows._prefect.leftovers import end_runs_of, own_runs
from flows.parameters import (
    FRAME_TIMEOUT,
    Folder,
    MaxError,
    Positive,
    RelativeError,
    Runner,
    Seconds,
    Share,
)
from pipeline.archive.writer import pack_sequence
from pipeline.datasets import open_dataset
from pipeline.models.files import keep_model
from pipeline.models.resolved import AUTO
from pipeline.nightly.inbox import check_settings, packed_location
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.sequence import (
    ARCHIVE_PROFILE,
    archive_jobs,
    archive_settings,
    table_rows,
    write_results,
)
from pipeline.storage.lock import lock
from quinr_lidar.errors import QuinrError


@flow(
    name="archive-sequence",
    flow_run_name="archive {source}",
    task_runner=chunk_runner(),
    validate_parameters=True,
    **ALERTS,
)
def archive_sequence(
    source: Folder,
    out: Folder,
    sequence: str | None = None,
    profile: str = ARCHIVE_PROFILE,
    overrides: dict[str, Any] | None = None,
    max_error: MaxError | None = None,
    relative_error: RelativeError | None = None,
    entropy_model: str | None = None,
    limit: Positive | None = None,
    jobs: Positive | None = None,
    chunk_size: Positive | None = None,
    resume: bool = True,
    max_failed_share: Share = 0.5,
    packed: str | None = None,
    runner: Runner | None = None,
    frame_timeout: Seconds | None = FRAME_TIMEOUT,
) -> State:
    """Archive every scan of a sequence, and pack it.

    A frame starts from the one before, unless it is the first of a run (``keyframe_interval`` of
    the settings) or that one failed. Frames finished earlier (same scan, start, settings and
    software, intact file) are skipped. A frame that fails is recorded and reported, the rest go
    on; one whose file breaks its bound fails, and its file is removed. The files depend neither
    on the number of workers nor on interruptions.

    One run at a time writes to a sequence. At its end all frames are packed into one MCAP and one
    manifest, unless ``limit`` left some out; a packed archive there is replaced only if it loses
    nothing by that, or without ``resume``.

    Args:
        source: A data set, see :func:`pipeline.datasets.open_dataset`.
        out: Folder for archives; this sequence's is ``out/<sequence>``.
        sequence: Which sequence of a data set that has several.
        profile: Name of the encoder's settings.
        overrides: Settings to change.
        max_error: Largest error of a range, metres; the profile's when left out.
        relative_error: A range r may err by ``max(max_error, relative_error * r)``, likewise.
        entropy_model: File of an entropy model to code masks and ranges with; the archive carries
            a copy. Or "auto": the best one at hand, or one trained on the drive before its first
        frame.
        limit: Only the first frames.
        jobs: Frames at a time; one a core when left out.
        chunk_size: Frames a task, rounded up to whole runs.
        resume: Skip what is done; otherwise do everything again.
        max_failed_share: Share of failed frames above which the flow itself fails.
        packed: Folder or URL for packed archives; beside the frames when left out.
        runner: Where frames are encoded; in worker processes of this machine when left out.
        frame_timeout: Seconds after which an attempt at a frame has failed; 0: no limit.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed (NotPacked, if all went well
        until then). Its data is the folder.
    """
    dataset = open_dataset(source, sequence)
    folder = Path(out) / dataset.name
    target = packed_location(folder, packed)
    resolved = partial(
        archive_settings,
        folder,
        profile,
        overrides,
        max_error=max_error,
        relative_error=relative_error,
        entropy_model=entropy_model,
        archive=target,
    )
    settings, carried = resolved()
    if resume:
        check_settings(target, settings)
    with lock(folder, own_runs()) as killed:
        end_runs_of(killed)
        if entropy_model == AUTO:
            resolve_model(dataset, folder, target, settings)
            settings, carried = resolved()
        if carried is not None:
            keep_model(folder, carried)
        frames = archive_jobs(dataset, Path(out), settings, limit=limit, resume=resume)
        records = run_in_chunks(
            archive_frame,
            frames,
            processes=jobs,
            chunk_size=chunk_size,
            title=f"archive {dataset.name}",
            runner=runner,
            timeout=frame_timeout,
        )
        results = {"source": source, "profile": settings.model_dump(mode="json")}
        write_results(folder, records, results)
        state = final_state(records, max_failed_share, str(folder))
        if limit is None and any(record.status == "ok" for record in records):
            try:
                pack_sequence(
                    folder, target, records=records, profile=settings, overwrite=not resume
                )
            except QuinrError as error:
                state = Failed(name="NotPacked", message=str(error))
    _publish(dataset.name, table_rows(records[:MAX_ARTIFACT_ROWS]))
    return state


def _publish(name: str, rows: list[dict[str, Any]]) -> None:
    """Show the table in Prefect's UI; the results are on disk already, so it may fail."""
    try:
        create_table_artifact(
            key=artifact_key("archive", name),
            table=rows,
            description=f"Frames of {name} (first {MAX_ARTIFACT_ROWS} at most)",
        )
    except Exception:
        logging.getLogger(__name__).warning("the table artifact was not stored", exc_info=True)
