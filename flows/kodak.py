"""Kodak images, or any folder of pictures: encoded, decoded, measured and shown side by side."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State

from flows._prefect.artifacts import MAX_ARTIFACT_ROWS, artifact_key
from flows._prefect.chunks import chunk_runner, final_state, run_in_chunks
from flows.parameters import RUN_PICTURES, Folder
from pipeline.config.archive_config import RunConfig
from pipeline.config.profile_files import find_profile
from pipeline.kodak.pictures import PictureRecord, encode_picture, picture_jobs
from pipeline.kodak.results import (
    RESULTS,
    mean_row,
    picture_rows,
    write_contact_sheet,
    write_picture_results,
)


@flow(
    name="kodak",
    flow_run_name="kodak {source}",
    task_runner=chunk_runner(),
    validate_parameters=True,
)
def kodak_track(
    source: Folder,
    out: Folder,
    profile: str = "kodak-400",
    overrides: dict[str, Any] | None = None,
    run: RunConfig | None = None,
    resume: bool = True,
) -> State:
    """Encode every picture of a folder; write results and a contact sheet.

    Pictures finished earlier (same source, settings and software, intact file) are skipped. A
    picture that fails is recorded and reported, the rest go on. The files depend neither on the
    number of workers nor on interruptions.

    Args:
        source: A folder of pictures; those in folders below it do not count.
        out: Folder of ``<stem>.quinr``, ``decoded/``, ``records/``, ``results.json`` and
            ``contact_sheet.png``.
        profile: Name of the encoder's settings.
        overrides: Settings to change.
        run: How the pictures' jobs run.
        resume: Skip what is done; otherwise do everything again.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is ``out``.
    """
    run = run or RUN_PICTURES
    settings = find_profile(profile).with_overrides(**(overrides or {}))
    pictures = picture_jobs(Path(source), Path(out), settings, resume=resume)
    records = run_in_chunks(encode_picture, pictures, run, title="pictures", unit="picture")
    shown = {"source": source, "profile": settings.model_dump(mode="json")}
    write_picture_results(Path(out), records, shown)
    sheet = write_contact_sheet(Path(out), pictures, records)
    _publish(Path(out), records, sheet)
    return final_state(records, run.max_failed_share, out, "pictures")


def _publish(out: Path, records: Sequence[PictureRecord], sheet: Path | None) -> None:
    """Show table and sheet in Prefect's UI; the results are on disk already, so it may fail."""
    name = out.resolve().name
    key = artifact_key("kodak", name)
    try:
        create_table_artifact(
            key=key,
            table=[*picture_rows(records)[:MAX_ARTIFACT_ROWS], mean_row(records)],
            description=f"Pictures of {name} (first {MAX_ARTIFACT_ROWS} at most) and the mean of "
            "all",
        )
        create_markdown_artifact(
            key=f"{key}-sheet",
            markdown=_markdown(out, records, sheet),
            description=f"Contact sheet of {name}",
        )
    except Exception:
        logging.getLogger(__name__).warning("the artifacts were not stored", exc_info=True)


def _markdown(out: Path, records: Sequence[PictureRecord], sheet: Path | None) -> str:
    failed = [record for record in records if record.status == "failed"]
    lines = [f"# {len(records) - len(failed)} of {len(records)} pictures", ""]
    if sheet is not None:
        address = sheet.resolve().as_uri()
        lines += [f"[Contact sheet]({address}) (original, decoded, error)", ""]
    lines += [f"[Results]({(out / RESULTS).resolve().as_uri()})", ""]
    return "\n".join(lines + [f"- failed: {record.error}" for record in failed[:50]])
