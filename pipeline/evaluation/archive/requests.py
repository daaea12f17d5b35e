"""Evaluations that a person asks for: which archives, and where their reports go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.overview import find_archives
from pipeline.evaluation.archive.jobs import JobRecord
from pipeline.evaluation.archive.plan import EvaluationPlan, plan_evaluation
from pipeline.evaluation.archive.results import ArchiveEvaluation
from pipeline.evaluation.tasks import TaskSettings
from pipeline.storage.locations import Location, locate

REPORT_FOLDER = "report"
"""Folder of a report: in that of a local archive, or in the working folder for a remote one."""

JOURNALS = "evaluation"
"""Folder of the journals in the report's folder, see :mod:`pipeline.evaluation.archive.entries`."""


@dataclass(frozen=True)
class EvaluationRequest:
    """An archive to evaluate, and to report.

    Attributes:
        archive: Folder or URL of the packed sequence.
        originals: Path of the data set.
        sequence: Sequence of a data set that has several; the archive's own name when left out.
        out: Folder of the report and the journals.
        settings: What is measured; ``None``: nothing, for a report of what is known already.
    """

    archive: str
    originals: str
    sequence: str | None
    out: Path
    settings: TaskSettings | None

    @property
    def folder(self) -> Path:
        """Folder of the journals."""
        return self.out / JOURNALS

    def plan(self) -> EvaluationPlan:
        """Plan the evaluation.

        Raises:
            QuinrError: as :func:`~pipeline.evaluation.archive.plan.plan_evaluation`.
        """
        return plan_evaluation(
            self.archive, self.originals, self.folder, self.settings, self.sequence
        )


def evaluation_requests(
    archive: str,
    originals: str,
    settings: TaskSettings,
    *,
    sequence: str | None = None,
    out: Path | None = None,
) -> list[EvaluationRequest]:
    """A request for every packed sequence at or below a place.

    Args:
        archive: A packed sequence, or a folder of them; folder or URL.
        originals: Path of the data set.
        settings: What is measured.
        sequence: Sequence of a data set that has several.
        out: Folder of the report; with several archives, each gets a folder below it.

    Raises:
        ArchiveError: there is no packed sequence.
        StorageError: the place cannot be listed.
    """
    root = locate(archive)
    return [
        EvaluationRequest(
            place.name, originals, sequence, _report_folder(place, root, out), settings
        )
        for place in find_archives([archive])
    ]


def _report_folder(place: Location, root: Location, out: Path | None) -> Path:
    below = place.path[len(root.path) :].strip("/")
    if out is not None:
        return out / below
    if place.local:
        return Path(place.path) / REPORT_FOLDER
    return Path(REPORT_FOLDER) / (below or place.base)


def frame_outcomes(evaluation: ArchiveEvaluation) -> list[JobRecord]:
    """A record for each frame that was to be measured; frames that break their max error failed."""
    outcomes = []
    for record in evaluation.records:
        if record.error is not None:
            outcomes.append(JobRecord(record.frame, "failed", record.error))
        elif record.figures.get("max_error_kept") is False:
            broken = "a range or the mask is not as promised; do not delete the original"
            outcomes.append(JobRecord(record.frame, "failed", f"frame {record.frame}: {broken}"))
        elif record.figures:
            outcomes.append(JobRecord(record.frame, "ok"))
    return outcomes
