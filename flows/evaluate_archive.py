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
from flows.parameters import Folder, Positive, Runner, Seconds, Share
from pipeline.archive import PackedSequence
from pipeline.archive.deep import Originals
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
    archive: Folder,
    originals: Folder,
    sequence: str | None = None,
    out: str | None = None,
    every: Positive = 1,
    sample: Positive | None = None,
    odometry: bool = True,
    registration: bool = True,
    jobs: Positive | None = None,
    chunk_size: Positive | None = None,
    max_failed_share: Share = 0.5,
    runner: Runner | None = None,
    job_timeout: Seconds | None = None,
    command: str | None = None,
) -> State:
    """Measure what packed archives are still good for, and report it; goes on where it stopped.

    Args:
        archive: A packed sequence, or a folder of them; folder or URL.
        originals: Data set of the scans that were archived.
        sequence: Of originals that have several; the archive's own name when left out.
        out: Folder of the report and of what makes the evaluation resumable, on a disk that all
            workers share; a folder each for several archives. ``<archive>/report`` of local
            archives, and ``report/<sequence>`` of others, when left out.
        every: Figures of every so manyth frame only.
        sample: Figures of so many frames only, spread evenly; instead of ``every``.
        odometry: Run KISS-ICP on all frames, sampled or not.
        registration: Register frames with those before them.
        jobs: Jobs at a time; one a core when left out. A job is up to 8 frames, or odometry on one
            kind of clouds along the whole drive.
        chunk_size: Jobs a task.
        max_failed_share: Share of failed frames above which the flow fails.
        runner: Where frames are measured; in worker processes of this machine when left out.
        job_timeout: Seconds after which an attempt at a job has failed; no limit when left out or
            0, since a drive may have any number of frames.
        command: That the report names as the one that made it.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is ``archive``.

    Raises:
        ArchiveError, StorageError: there is no archive.
        BackendError: odometry is wanted, and KISS-ICP is not installed.
        ValueError: both ``every`` and ``sample``.
    """
    settings = TaskSettings(
        every=every, sample=sample, odometry=odometry, registration=registration
    )
    requests = evaluation_requests(
        archive, originals, settings, sequence=sequence, out=None if out is None else Path(out)
    )
    found = evaluate_all(
        requests,
        processes=jobs,
        chunk_size=chunk_size,
        title=f"evaluate {archive}",
        runner=runner,
        timeout=job_timeout,
        command=command,
    )
    for one in found:
        _publish(one)
    return evaluation_state(found, max_failed_share, archive)


def evaluate_all(
    requests: Sequence[EvaluationRequest],
    *,
    processes: int | None,
    title: str,
    chunk_size: int | None = None,
    runner: Runner | None = None,
    timeout: float | None = None,
    command: str | None = None,
) -> list[Evaluated]:
    """Evaluate archives side by side and report each; must be called inside a flow.

    Args:
        requests: Of which archives.
        processes: Jobs at a time; one a core when ``None``.
        title: Of the progress bar.
        chunk_size: Jobs a task.
        runner: Where jobs run; in worker processes when left out.
        timeout: Seconds after which an attempt at a job has failed; ``None`` or 0: no limit.
        command: That the reports name.

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
            records = run_in_chunks(
                run_evaluation_job,
                jobs,
                processes=processes,
                chunk_size=chunk_size,
                title=title,
                unit="job",
                runner=runner,
                timeout=timeout,
            )
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
        found: Of all archives.
        max_failed_share: Share of failed frames above which it has failed; an archive that cannot
            be evaluated at all counts as one.
        data: The state's.
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
