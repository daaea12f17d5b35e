"""The nightly run: inbox -> archive -> verify -> evaluate a sample -> report -> retention."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows._prefect.alerts import ALERTS
from flows._prefect.artifacts import artifact_key
from flows._prefect.chunks import chunk_runner, run_in_chunks
from flows.archive_dataset import archive_drives, count_kinds, dataset_state
from flows.evaluate_archive import Evaluated, evaluate_all
from flows.parameters import Count, Folder, Minutes, Retention, Seconds, Share
from pipeline.archive.target import packed_location
from pipeline.config.archive_config import ArchiveConfig
from pipeline.evaluation.archive.requests import (
    REPORT_FOLDER,
    EvaluationRequest,
    frame_outcomes,
)
from pipeline.evaluation.tasks import TaskSettings
from pipeline.nightly.report import (
    REPORT,
    DriveOutcome,
    DriveReport,
    nightly_report,
    nightly_rows,
    report_of,
)
from pipeline.nightly.retention import Removal, has_begun, remove_originals
from pipeline.nightly.verification import ArchiveRecord, VerifyJob, check_archive
from pipeline.storage.files import write_atomically
from pipeline.storage.lock import lock
from quinr_lidar.errors import QuinrError


@flow(
    name="nightly",
    flow_run_name="nightly {source}",
    task_runner=chunk_runner(),
    validate_parameters=True,
    **ALERTS,
)
def nightly(
    source: Folder,
    archive: Folder,
    config: ArchiveConfig | None = None,
    sample: Count = 5,
    retention: Retention = "off",
    settle_minutes: Minutes = 10.0,
    max_failed_drives: Share = 0.5,
    archive_timeout: Seconds = 0.0,
) -> State:
    """Archive what is new in an inbox, prove it against the originals, and report.

    Originals are removed only if ``retention`` is "delete", and only those of drives of which
    every single frame has just been verified against them.

    Args:
        source: The inbox: a folder of drives, or a KITTI root.
        archive: Folder for archives; each drive's is ``archive/<drive>``.
        config: How to archive each of them.
        sample: Frames of every drive archived in this run to measure anew, for its report in
            ``archive/<drive>/report``.
        retention: "off": originals stay. "dry-run": list which would go. "delete": remove them.
        settle_minutes: A drive whose scans changed less than this ago is left for the next night.
        max_failed_drives: Share of failed drives above which the nightly run fails.
        archive_timeout: Seconds after which an attempt to verify an archive has failed; 0: no
            limit.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. A drive whose
        archive does not verify counts as failed. Its data is ``archive``.
    """
    config, folder = config or ArchiveConfig(), Path(archive)
    outcomes = archive_drives(source, archive, config, settle_minutes=settle_minutes)
    verified = verify_drives(
        outcomes, folder, config, every=retention != "off", timeout=archive_timeout
    )
    reports, problems = reported(report_drives(outcomes, folder, config, sample))
    removals = {}
    if retention != "off":
        removals, kept = retain(outcomes, verified, folder, config, dry_run=retention == "dry-run")
        problems += kept
    problems += [one.error for one in (*outcomes, *verified.values()) if one.error]
    rows = nightly_rows(outcomes, verified, reports, removals, folder)
    _report(folder, nightly_report(f"Nightly run: {count_kinds(outcomes)}", rows, problems))
    judged = [judge(one, verified.get(one.drive.name)) for one in outcomes]
    return nightly_state(dataset_state(judged, max_failed_drives, archive), problems, archive)


def verify_drives(
    outcomes: Sequence[DriveOutcome],
    folder: Path,
    config: ArchiveConfig,
    *,
    every: bool,
    timeout: float = 0,
) -> dict[str, ArchiveRecord]:
    """Check the archives of drives against the originals; must be called inside a flow.

    Args:
        outcomes: What became of each drive.
        folder: Folder of archives.
        config: How they were made.
        every: Also those that were complete before.
        timeout: Seconds that an attempt at one archive may take; 0: no limit.

    Returns:
        What was found, by the drives' names.
    """
    wanted = [one for one in outcomes if one.kind == "archived" or (every and one.archived)]
    jobs = [_verify_job(one, folder, config) for one in wanted]
    if not jobs:
        return {}
    records = run_in_chunks(
        check_archive,
        jobs,
        config.run.model_copy(update={"chunk_size": 1, "timeout": timeout}),
        title="verify",
        unit="archive",
    )
    return {one.drive.name: record for one, record in zip(wanted, records, strict=True)}


def _verify_job(outcome: DriveOutcome, folder: Path, config: ArchiveConfig) -> VerifyJob:
    own = folder / outcome.drive.name
    place = packed_location(own, config.packed)
    try:
        proven = has_begun(own, place)
    except QuinrError:
        proven = False
    # Where originals are gone already, the archive is what it was when it was proven, or not.
    return VerifyJob(place.name, None if proven else outcome.drive.path)


def report_drives(
    outcomes: Sequence[DriveOutcome], folder: Path, config: ArchiveConfig, sample: int
) -> dict[str, Evaluated]:
    """Report each drive archived in this run, a sample measured; must be called inside a flow.

    Args:
        outcomes: What became of each drive.
        folder: Folder of archives; a drive's report is ``folder/<drive>/report``.
        config: How they were made.
        sample: Frames of each to measure anew; without odometry, which would read all of them.

    Returns:
        What came of it, by the drives' names.
    """
    settings = TaskSettings(sample=sample, odometry=False) if sample else None
    requests: dict[str, EvaluationRequest] = {}
    for one in outcomes:
        if one.kind == "archived":
            own = folder / one.drive.name
            place = packed_location(own, config.packed).name
            out = own / REPORT_FOLDER
            requests[one.drive.name] = EvaluationRequest(
                place, str(one.drive.path), None, out, settings
            )
    run = config.run.model_copy(update={"chunk_size": None})
    found = evaluate_all(
        list(requests.values()), run, title="evaluate", command="quinr-flows nightly"
    )
    return dict(zip(requests, found, strict=True))


def reported(
    found: Mapping[str, Evaluated],
) -> tuple[dict[str, DriveReport], list[str]]:
    """Reports by the drives' names, and a line for whatever went wrong."""
    reports: dict[str, DriveReport] = {}
    problems: list[str] = []
    for name, one in found.items():
        if one.report is not None:
            reports[name] = report_of(one.report.html, one.evaluation)
        frames = [] if one.evaluation is None else frame_outcomes(one.evaluation)
        errors = [frame.error for frame in frames if frame.error]
        problems += [f"{name}: {problem}" for problem in (*errors, *one.problems)]
    return reports, problems


def retain(
    outcomes: Sequence[DriveOutcome],
    verified: Mapping[str, ArchiveRecord],
    folder: Path,
    config: ArchiveConfig,
    *,
    dry_run: bool,
) -> tuple[dict[str, Removal], list[str]]:
    """Remove the originals of drives that verified.

    Args:
        outcomes: What became of each drive.
        verified: What was just found of their archives, by the drives' names.
        folder: Folder of archives.
        config: How they were made.
        dry_run: Only list them.

    Returns:
        What became of them by the drives' names, and a line for whatever stays.
    """
    removals: dict[str, Removal] = {}
    problems: list[str] = []
    for one in outcomes:
        name, own = one.drive.name, folder / one.drive.name
        check = verified.get(name)
        if check is None or check.status != "ok":
            continue
        try:
            with lock(own):
                place = packed_location(own, config.packed)
                removals[name] = remove_originals(
                    one.drive.open(), own, place, check, dry_run=dry_run
                )
            problems += removals[name].kept.values()
        except QuinrError as error:
            problems.append(f"{name}: originals: {error}")
    return removals, problems


def judge(outcome: DriveOutcome, check: ArchiveRecord | None) -> DriveOutcome:
    """A drive whose archive does not verify has failed, whatever its encoder said."""
    if check is None or check.status == "ok":
        return outcome
    if check.only_unarchived:
        return replace(outcome, partial=True)
    return replace(outcome, kind="failed", message=check.error or "it did not verify")


def nightly_state(state: State, problems: Sequence[str], data: str) -> State:
    """How a nightly run ends.

    Args:
        state: How the drives ended.
        problems: A line for whatever went wrong beside that.
        data: The state's data.
    """
    if state.name != "Completed" or not problems:
        return state
    message = f"{state.message}; {len(problems)} problems, the first: {problems[0]}"
    return Completed(name="CompletedWithFailures", message=message, data=data)


def _report(folder: Path, text: str) -> None:
    """Keep the report beside the archives, and show it in Prefect's UI, which may fail."""
    write_atomically(folder / REPORT, text.encode())
    try:
        create_markdown_artifact(
            key=artifact_key("nightly", folder.resolve().name),
            markdown=text,
            description="What the nightly run came to",
        )
    except Exception:
        logging.getLogger(__name__).warning("the report was not stored in Prefect", exc_info=True)
