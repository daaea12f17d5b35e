"""Check packed archives: every byte, every frame, and against the originals if they are there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State

from flows._prefect.alerts import ALERTS
from flows._prefect.artifacts import MAX_ARTIFACT_ROWS, artifact_key
from flows._prefect.chunks import chunk_runner, final_state, run_in_chunks
from flows.parameters import RUN_VERIFICATION, Folder
from pipeline.archive.overview import find_archives
from pipeline.config.archive_config import RunConfig
from pipeline.nightly.verification import ArchiveRecord, VerifyJob, check_archive, verification_rows


@flow(
    name="verify-archive",
    flow_run_name="verify {archive}",
    task_runner=chunk_runner(),
    validate_parameters=True,
    **ALERTS,
)
def verify_archive(
    archive: Folder,
    originals: str | None = None,
    sequence: str | None = None,
    run: RunConfig | None = None,
) -> State:
    """Check packed archives completely; changes nothing.

    Args:
        archive: A packed sequence, or a folder of them; folder or URL.
        originals: Data set to measure every frame against: masks must be exact, and no range may
            err by more than its file promises.
        sequence: Which sequence of originals that have several; the archive's own name when left
            out.
        run: How the jobs run, one for each archive. By default none may fail, and each may take
            any time.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is ``archive``.
    """
    run = run or RUN_VERIFICATION
    scans = None if originals is None else Path(originals)
    found = [VerifyJob(place.name, scans, sequence) for place in find_archives([archive])]
    records = run_in_chunks(
        check_archive,
        found,
        run.model_copy(update={"chunk_size": 1}),
        title="verify",
        unit="archive",
    )
    _publish(archive, records)
    return final_state(records, run.max_failed_share, archive, "archives")


def _publish(archive: str, records: Sequence[ArchiveRecord]) -> None:
    """Show what was found in Prefect's UI; the state says it as well, so it may fail."""
    try:
        create_table_artifact(
            key=artifact_key("verify", archive.rstrip("/").rpartition("/")[2]),
            table=verification_rows(list(records))[:MAX_ARTIFACT_ROWS],
            description=f"What was found of {archive} (first {MAX_ARTIFACT_ROWS} at most)",
        )
    except Exception:
        logging.getLogger(__name__).warning("the table artifact was not stored", exc_info=True)
