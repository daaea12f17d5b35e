"""Archive a sequence: project, encode, write, decode, measure, report."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State

from flows.artifacts import MAX_ARTIFACT_ROWS, artifact_key
from flows.chunks import chunk_runner, final_state, run_in_chunks
from pipeline.datasets import open_dataset
from pipeline.frames import archive_frame
from pipeline.profile_files import find_profile
from pipeline.sequences import archive_jobs, table_rows, write_results


@flow(
    name="archive-sequence",
    flow_run_name="archive {source}",
    task_runner=chunk_runner(),
    validate_parameters=True,
)
def archive_sequence(
    source: str,
    out: str,
    sequence: str | None = None,
    profile: str = "paper",
    overrides: dict[str, Any] | None = None,
    limit: int | None = None,
    jobs: int | None = None,
    chunk_size: int | None = None,
    resume: bool = True,
    max_failed_share: float = 0.5,
) -> State:
    """Archive every scan of a sequence.

    A frame starts from the one before, unless it is the first of a run (``run_length`` of the
    settings) or that one failed. Frames finished earlier (same scan, start, settings and
    software, intact file) are skipped. A frame that fails is recorded and reported, the rest go
    on. The files depend neither on the number of workers nor on interruptions.

    Args:
        source: A data set, see :func:`pipeline.datasets.open_dataset`.
        out: Folder for archives; this sequence's is ``out/<sequence>``.
        sequence: Which sequence of a data set that has several.
        profile: Name of the encoder's settings.
        overrides: Settings to change.
        limit: Only the first frames.
        jobs: Worker processes; as many as cores when left out.
        chunk_size: Frames a task, rounded up to whole runs.
        resume: Skip what is done; otherwise do everything again.
        max_failed_share: Share of failed frames above which the flow itself fails.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is the folder.
    """
    settings = find_profile(profile).with_overrides(**(overrides or {}))
    dataset = open_dataset(source, sequence)
    folder = Path(out) / dataset.name
    frames = archive_jobs(dataset, Path(out), settings, limit=limit, resume=resume)
    records = run_in_chunks(
        archive_frame,
        frames,
        processes=jobs,
        chunk_size=chunk_size,
        title=f"archive {dataset.name}",
    )
    write_results(folder, records, {"source": source, "profile": settings.model_dump(mode="json")})
    _publish(dataset.name, table_rows(records))
    return final_state(records, max_failed_share, str(folder))


def _publish(name: str, rows: list[dict[str, Any]]) -> None:
    """Show the table in Prefect's UI; the results are on disk already, so it may fail."""
    try:
        create_table_artifact(
            key=artifact_key("archive", name),
            table=rows[:MAX_ARTIFACT_ROWS],
            description=f"Frames of {name} (first {MAX_ARTIFACT_ROWS} at most)",
        )
    except Exception:
        logging.getLogger(__name__).warning("the table artifact was not stored", exc_info=True)
