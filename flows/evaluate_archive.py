"""Packed archives against their originals: measured frame by frame, and reported."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows._prefect.alerts import ALERTS
from flows._prefect.artifacts import artifact_key
from flows._prefect.chunks import chunk_runner, final_state, run_in_chunks
from flows.parameters import RUN_EVALUATION, Folder
from pipeline.archive import PackedSequence
from pipeline.archive.originals import Originals
from pipeline.config.archive_config import RunConfig
from pipeline.evaluation.archive import (
    ArchiveEvaluation,
    EvaluationPlan,
    evaluation_jobs,
    read_evaluation,
    run_evaluation_job,
)
from pipeline.evaluation.archive.jobs import EvaluationJob, JobRecord, OdometryJob
from pipeline.evaluation.archive.requests import (
    EvaluationRequest,
    evaluation_requests,
    frame_outcomes,
)
from pipeline.evaluation.tasks import TaskSettings
from pipeline.report.archive_report import ReportFiles, write_report
from pipeline.storage.lock import lock
from quinr_lidar.errors import BackendError, QuinrError


@dataclass
class Evaluated:
    """What came of an archive's evaluation.

    Attributes:
        request: Which.
        plan: What there was to do; ``None`` if nothing, or if it cannot be begun.
        begun: Whether archive and originals can be opened, and nobody else is at it.
        evaluation: What was found.
        report: What was written.
        problems: A line for whatever else went wrong.
    """

    request: EvaluationRequest
    plan: EvaluationPlan | None = None
    begun: bool = False
    evaluation: ArchiveEvaluation | None = None
    report: ReportFiles | None = None
    problems: list[str] = field(default_factory=list)


@flow(
    name="evaluate-archive",
    flow_run_name="evaluate {archive}",
    task_runner=chunk_runner(),
    validate_parameters=True,
    **ALERTS,
)
def evaluate_archive(
    source: Folder,
    archive: Folder,
    tasks: TaskSettings | None = None,
    run: RunConfig | None = None,
    sequence: str | None = None,
    out: str | None = None,
    command: str | None = None,
) -> State:
    """Measure what packed archives are still good for, and report it; goes on where it stopped.

    Args:
        source: Data set of the scans that were archived.
        archive: A packed sequence, or a folder of them; folder or URL.
        tasks: What is measured, and on which frames.
        run: How the jobs run. A job is up to 8 frames, or odometry on one kind of clouds along the
            whole drive. Above ``max_failed_share`` of failed frames the flow fails.
        sequence: Which sequence of a data set that has several; the archive's own name when left
            out.
        out: Folder of the report and of what makes the evaluation resumable, on a disk that all
            workers share; a folder each for several archives. ``<archive>/report`` of local
            archives, and ``report/<sequence>`` of others, when left out.
        command: The command that the report says it was made by.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is ``archive``.

    Raises:
        ArchiveError, StorageError: there is no archive.
        BackendError: odometry is wanted, and KISS-ICP is not installed.
    """
    run = run or RUN_EVALUATION
    requests = evaluation_requests(
        archive,
        source,
        tasks or TaskSettings(),
        sequence=sequence,
        out=None if out is None else Path(out),
    )
    found = evaluate_all(requests, run, title=f"evaluate {archive}", command=command)
    for one in found:
        _publish(one)
    return evaluation_state(found, run.max_failed_share, archive)


def evaluate_all(
    requests: Sequence[EvaluationRequest],
    run: RunConfig,
    *,
    title: str,
    command: str | None = None,
) -> list[Evaluated]:
    """Evaluate archives side by side and report each; must be called inside a flow.

    Args:
        requests: Which archives, and what of them.
        run: How the jobs run.
        title: What the progress bar is called.
        command: The command that the reports say they were made by.

    Returns:
        What came of each, in their order; an archive that cannot be evaluated stops no other one.

    Raises:
        BackendError: odometry is wanted, and KISS-ICP is not installed.
    """
    found = [Evaluated(request) for request in requests]
    with ExitStack() as locks:
        for one in found:
            _begin(one, locks)
        todo = [evaluation_jobs(one.plan) if one.plan else [] for one in found]
        jobs = [job for own in todo for job in own]
        records: list[JobRecord] = []
        if jobs:
            records = run_in_chunks(run_evaluation_job, jobs, run, title=title, unit="job")
        outcomes = zip(jobs, records, strict=True)
        for one, own in zip(found, todo, strict=True):
            one.problems += _lost_odometry(islice(outcomes, len(own)))
            _report(one, command)
    return found


def _begin(one: Evaluated, locks: ExitStack) -> None:
    """Plan an evaluation whose folder nobody else writes to."""
    try:
        locks.enter_context(lock(one.request.folder))
        one.plan = one.request.plan() if one.request.settings else None
        one.begun = True
    except BackendError:
        raise
    except QuinrError as error:
        one.problems.append(str(error))


def _lost_odometry(outcomes: Iterable[tuple[EvaluationJob, JobRecord]]) -> list[str]:
    """What frames' own errors do not say."""
    return [
        f"odometry of {job.cloud}: {record.error}"
        for job, record in outcomes
        if isinstance(job, OdometryJob) and not record.complete
    ]


def _report(one: Evaluated, command: str | None) -> None:
    """Put the parts together, and report; whatever goes wrong stops no other archive."""
    if not one.begun:
        return
    request = one.request
    try:
        one.evaluation = read_evaluation(one.plan) if one.plan else None
        archive = PackedSequence.open(request.archive)
        scans = Originals.open(Path(request.originals), request.sequence, archive).dataset
        one.report = write_report(
            archive, request.out, evaluation=one.evaluation, originals=scans, command=command
        )
    except QuinrError as error:
        one.problems.append(f"report: {error}")
    except Exception as error:
        logging.getLogger(__name__).warning("%s: no report", request.archive, exc_info=True)
        reason = f"{type(error).__name__}: {error}"
        one.problems.append(f"report: {request.archive}: {reason}")


def evaluation_state(found: Sequence[Evaluated], max_failed_share: float, data: str) -> State:
    """How an evaluation ends.

    Args:
        found: What came of each archive.
        max_failed_share: Share of failed frames above which it has failed; an archive that cannot
            be evaluated at all counts as one.
        data: The state's data.
    """
    outcomes: list[JobRecord] = []
    for one in found:
        if one.evaluation is None:
            outcomes.append(JobRecord(one.request.archive, "failed", one.problems[0]))
        else:
            outcomes += frame_outcomes(one.evaluation)
    state = final_state(outcomes, max_failed_share, data, "evaluated frames")
    problems = [problem for one in found for problem in one.problems]
    if not state.is_completed() or not problems:
        return state
    message = f"{state.message}; {len(problems)} problems, the first: {problems[0]}"
    return Completed(name="CompletedWithFailures", message=message, data=data)


def _publish(one: Evaluated) -> None:
    """Show the summary in Prefect's UI; the report says more, so this may fail."""
    if one.report is None:
        return
    name = one.request.archive.rstrip("/").rpartition("/")[2]
    try:
        create_markdown_artifact(
            key=artifact_key("evaluate", name),
            markdown=one.report.summary_markdown,
            description=f"What {one.request.archive} is still good for",
        )
        create_link_artifact(
            link=one.report.html.absolute().as_uri(),
            link_text=f"Report of {name}",
            key=artifact_key("report", name),
            description="On the machine that the flow ran on",
        )
    except Exception:
        logging.getLogger(__name__).warning("the summary was not stored in Prefect", exc_info=True)
