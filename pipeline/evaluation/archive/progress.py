"""The state of an evaluation: jobs that are left, and results so far."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from pipeline.evaluation.archive.entries import (
    FigureEntry,
    OdometryEntry,
    read_figures,
    read_odometry,
)
from pipeline.evaluation.archive.jobs import EvaluationJob, FiguresJob, OdometryJob
from pipeline.evaluation.archive.plan import EvaluationPlan, PlannedFrame
from pipeline.evaluation.archive.results import ArchiveEvaluation
from pipeline.evaluation.tasks import EvaluationRecord

STRETCH = 8
"""Largest number of frames in a job: neighbours share reading, many jobs keep workers busy."""


def evaluation_jobs(plan: EvaluationPlan, stretch: int = STRETCH) -> list[EvaluationJob]:
    """Jobs that are left, for :func:`~pipeline.evaluation.archive.jobs.run_evaluation_job`.

    Odometry depends on all frames before, so it is a job for each kind of cloud over the whole
    drive; those come first, since they take longest. Figures are measured in stretches of frames
    that follow each other. What an earlier run has measured on the same data is left out; what
    failed is tried again.

    Args:
        plan: The evaluation.
        stretch: Frames of a job, at most.

    Raises:
        StorageError: a journal cannot be read.
    """
    known = read_odometry(plan.folder, plan.odometry)
    jobs: list[EvaluationJob] = []
    for cloud, digest in plan.odometry.items():
        if cloud not in known or known[cloud].error or known[cloud].errors:
            jobs.append(OdometryJob(plan.source, plan.folder, cloud, digest))
    figures = read_figures(plan.folder)
    last = -1
    for index, frame in enumerate(plan.frames):
        if not frame.sampled or frame.error or _is_done(plan, index, figures.get(frame.digest)):
            continue
        job = jobs[-1] if jobs else None
        own = (frame.name, frame.digest)
        if isinstance(job, FiguresJob) and last == index - 1 and len(job.frames) < stretch:
            jobs[-1] = replace(job, frames=(*job.frames, own))
        else:
            jobs.append(FiguresJob(plan.source, plan.folder, plan.settings, (own,)))
        last = index
    return jobs


def _is_done(plan: EvaluationPlan, index: int, entry: FigureEntry | None) -> bool:
    """Whether a frame's entry is as good as it will become."""
    if entry is None or entry.error is not None:
        return False
    return entry.before is None or plan.frames[index - 1].error is not None


def read_evaluation(plan: EvaluationPlan) -> ArchiveEvaluation:
    """All results so far: a record for every frame of the archive.

    A frame that nobody has measured yet has an error.

    Raises:
        StorageError: a journal cannot be read.
    """
    figures = read_figures(plan.folder)
    odometry = read_odometry(plan.folder, plan.odometry)
    entries = [figures.get(frame.digest) if frame.sampled else None for frame in plan.frames]
    records = []
    for frame, entry, following in zip(plan.frames, entries, [*entries[1:], None], strict=True):
        error = _error_of(frame, entry, following, odometry.values())
        poses = dict(frame.truth)
        if error is None:
            found = {cloud: one.poses.get(frame.name) for cloud, one in odometry.items()}
            poses |= {cloud: pose for cloud, pose in found.items() if pose is not None}
        known = {} if error is not None or entry is None else entry.figures
        records.append(EvaluationRecord(frame.name, known, poses, error))
    return ArchiveEvaluation(plan.settings, tuple(records), plan.originals, plan.source.mcap_sha256)


def _error_of(
    frame: PlannedFrame,
    entry: FigureEntry | None,
    following: FigureEntry | None,
    odometry: Collection[OdometryEntry],
) -> str | None:
    """What kept a frame from being read or measured, if anybody tried."""
    if frame.sampled:
        unknown = "not evaluated yet" if entry is None else entry.error
        return frame.error or unknown or _first(one.errors.get(frame.name) for one in odometry)
    reasons = [one.errors.get(frame.name) for one in odometry]
    reasons += [frame.error] if odometry else []
    reasons += [None if following is None else following.before]
    return _first(reasons)


def _first(reasons: Iterable[str | None]) -> str | None:
    return next((reason for reason in reasons if reason), None)
