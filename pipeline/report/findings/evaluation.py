"""The results of an evaluation that are in a report's folder, complete or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.evaluation.archive import EvaluationPlan, plan_evaluation, read_evaluation
from pipeline.evaluation.archive.entries import read_figures, read_odometry
from pipeline.evaluation.archive.requests import JOURNALS
from pipeline.evaluation.archive.results import ArchiveEvaluation
from pipeline.evaluation.tasks import TaskSettings
from quinr_lidar.errors import BackendError


def known_evaluation(
    archive: str, originals: Path, out: Path, sequence: str | None = None
) -> ArchiveEvaluation | None:
    """What ``quinr-flows evaluate`` has measured so far for this archive and these originals.

    Args:
        archive: Folder or URL of the packed sequence.
        originals: Path of the data set.
        out: Folder of the report; need not exist.
        sequence: Sequence of a data set that has several.

    Returns:
        ``None`` where nothing has been measured, or nothing that is still true. Frames that nobody
        has measured are no failures.

    Raises:
        ArchiveError, StorageError: the archive or a journal cannot be read.
        DatasetError: the originals cannot be opened.
    """
    folder = out / JOURNALS
    if not folder.is_dir():
        return None
    # Figures are kept by what they depend on, and so are found by asking for the same again.
    plans = [
        _known(_plan(archive, originals, folder, sequence, registration=registration))
        for registration in (True, False)
    ]
    most = max(plans, key=_measured)
    return read_evaluation(most) if _measured(most) or most.odometry else None


def _plan(
    archive: str, originals: Path, folder: Path, sequence: str | None, *, registration: bool
) -> EvaluationPlan:
    settings = TaskSettings(registration=registration)
    try:
        return plan_evaluation(archive, originals, folder, settings, sequence)
    except BackendError:
        # Without KISS-ICP odometry cannot be told to be up to date; figures can.
        settings = replace(settings, odometry=False)
        return plan_evaluation(archive, originals, folder, settings, sequence)


def _known(plan: EvaluationPlan) -> EvaluationPlan:
    """The same plan, limited to results that are there."""
    figures, clouds = read_figures(plan.folder), read_odometry(plan.folder, plan.odometry)
    frames = tuple(replace(one, sampled=one.digest in figures) for one in plan.frames)
    known = replace(plan, frames=frames, odometry={cloud: plan.odometry[cloud] for cloud in clouds})
    some = 0 < _measured(known) < len(frames)
    settings = replace(
        plan.settings, odometry=bool(clouds), sample=_measured(known) if some else None
    )
    return replace(known, settings=settings)


def _measured(plan: EvaluationPlan) -> int:
    return sum(frame.sampled for frame in plan.frames)
