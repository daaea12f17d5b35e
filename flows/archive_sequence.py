"""Archive a sequence: project, encode, write, decode, measure, report."""

from __future__ import annotations

import logging
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
from flows.parameters import Folder, Positive
from pipeline.archive.target import resolve_target
from pipeline.archive.writer import pack_sequence
from pipeline.config.archive_config import AUTO, ArchiveConfig
from pipeline.config.files import CONFIG, write_config
from pipeline.datasets import open_dataset
from pipeline.nightly.inbox import check_settings
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.model_files import keep_model
from pipeline.sequence.sequence import archive_jobs, table_rows, write_results
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
    archive: Folder,
    config: ArchiveConfig | None = None,
    sequence: str | None = None,
    n_scans: Positive | None = None,
    resume: bool = True,
) -> State:
    """Archive every scan of a sequence, and pack it.

    A frame starts from the one before, unless it is the first of a run (``keyframe_interval`` of
    the settings) or that one failed. Frames finished earlier (same scan, start, settings and
    software, intact file) are skipped. A frame that fails is recorded and reported, the rest go
    on; one whose file breaks its promise fails, and its file is removed. The files depend neither
    on the number of workers nor on interruptions.

    One run at a time writes to a sequence. At its end all frames are packed into one MCAP and one
    manifest, unless ``n_scans`` left some out; a packed archive there is replaced only if it loses
    nothing by that, or without ``resume``.

    Args:
        source: A data set, see :func:`pipeline.datasets.open_dataset`.
        archive: Folder for archives; this sequence's is ``archive/<sequence>``.
        config: How to archive.
        sequence: Which sequence of a data set that has several.
        n_scans: Only the first scans.
        resume: Skip what is done; otherwise do everything again.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed (NotPacked, if all went well
        until then). Its data is the folder.
    """
    config = config or ArchiveConfig()
    dataset, out = open_dataset(source, sequence), Path(archive)
    target = resolve_target(dataset, out, config)
    folder = target.folder
    if resume:
        check_settings(target.packed, target.settings)
    with lock(folder, own_runs()) as killed:
        end_runs_of(killed)
        if config.entropy_model == AUTO:
            resolve_model(target)
            target = resolve_target(dataset, out, config)
        if target.carried is not None:
            keep_model(folder, target.carried)
        records = run_in_chunks(
            archive_frame,
            archive_jobs(dataset, out, target.settings, n_scans=n_scans, resume=resume),
            config.run,
            title=f"archive {dataset.name}",
        )
        shown = {"source": source, "config": config.model_dump(mode="json")}
        write_results(folder, records, shown | target.settings.as_dict())
        write_config(folder / CONFIG, config)
        state = final_state(records, config.run.max_failed_share, str(folder))
        if n_scans is None and any(record.status == "ok" for record in records):
            try:
                pack_sequence(
                    folder,
                    target.packed,
                    records=records,
                    settings=target.settings,
                    overwrite=not resume,
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
