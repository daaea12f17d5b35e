"""The report of a packed archive: a page for people, JSON and CSV for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.archive import PackedSequence
from pipeline.archive.layout import Description
from pipeline.archive.manifest import FrameRow
from pipeline.datasets import Dataset
from pipeline.evaluation.archive.results import ArchiveEvaluation
from pipeline.evaluation.tasks import EvaluationRecord, summarise_evaluation
from pipeline.report.document import DOCUMENT, EvaluationPart, Failure, Report
from pipeline.report.findings.files import Progress, known_rows, read_files
from pipeline.report.findings.promises import PromiseCheck, check_promises
from pipeline.report.findings.summary import archive_part, figure_statistics, summary_of_archive
from pipeline.report.findings.verdicts import verdicts_of
from pipeline.report.findings.versions import settings_of, versions_of
from pipeline.report.frames.chosen import show_frames
from pipeline.report.page.cards import cards_of, summary_markdown
from pipeline.report.page.charts import charts_of
from pipeline.report.page.frame_table import frame_table, frames_csv
from pipeline.report.page.report_page import report_page
from pipeline.storage.files import write_atomically
from quinr_lidar.errors import ArchiveError

PAGE, TABLE = "index.html", "frames.csv"


@dataclass(frozen=True)
class ReportFiles:
    """What was written.

    Attributes:
        html: The page.
        json: The document, see :class:`~pipeline.report.document.Report`.
        csv: A row a frame.
        summary_markdown: The cards and the verdicts.
        report: What is in ``json``.
    """

    html: Path
    json: Path
    csv: Path
    summary_markdown: str
    report: Report


def write_report(
    archive: PackedSequence,
    out: Path,
    *,
    evaluation: ArchiveEvaluation | None = None,
    originals: Dataset | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> ReportFiles:
    """Write ``index.html``, ``report.json`` and ``frames.csv``; each whole or not at all.

    Every file of the archive is read and its checksum compared. Frames that failed, or whose file
    is damaged or does not decode, are listed; the report is made all the same.

    Args:
        archive: The archive to report.
        out: Folder, made if it is missing.
        evaluation: An evaluation of this archive; without one, figures are those of the manifest.
        originals: The data set that was archived, to show original frames; only scans whose SHA-256
            was archived are shown.
        command: The command that makes the report, to be named in it.
        progress: Called with the number of frames read and of all frames.

    Raises:
        ArchiveError: the evaluation is of another archive.
        StorageError: the archive cannot be read, or the folder cannot be written.
    """
    if evaluation is not None:
        _check_same_archive(archive, evaluation)
    records = {} if evaluation is None else {one.frame: one for one in evaluation.records}
    files = read_files(archive, progress)
    rows = known_rows(archive, files, records)
    promises = check_promises(rows, files, records)
    shown, broken = show_frames(archive, rows, files, originals)
    found = [*files.failures, *broken, *promises.broken, *_not_evaluated(records)]
    failures = _in_order(rows, found)
    report = Report(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        archive=archive_part(archive),
        failures=failures,
        chosen=[frame.chosen for frame in shown],
        **_figures(archive, rows, promises, failures, evaluation, originals),
    )
    cards = cards_of(report)
    page = report_page(
        report, cards, charts_of(rows, records), shown, frame_table(rows, records, failures)
    )
    written = ReportFiles(
        html=out / PAGE,
        json=out / DOCUMENT,
        csv=out / TABLE,
        summary_markdown=summary_markdown(report, cards),
        report=report,
    )
    write_atomically(written.csv, frames_csv(archive.rows, records, failures))
    write_atomically(written.json, f"{report.model_dump_json(indent=2)}\n".encode())
    write_atomically(written.html, page)
    return written


def _check_same_archive(archive: PackedSequence, evaluation: ArchiveEvaluation) -> None:
    found, expected = evaluation.mcap_sha256, archive.manifest.mcap_sha256
    if found != expected:
        raise ArchiveError(
            f"{archive.name}: mcap_sha256: the evaluation is of another archive "
            f"({found[:16]}...), expected {expected[:16]}..."
        )


def _figures(
    archive: PackedSequence,
    rows: Sequence[FrameRow],
    promises: PromiseCheck,
    failures: Sequence[Failure],
    evaluation: ArchiveEvaluation | None,
    originals: Dataset | None,
) -> dict[str, Any]:
    """The parts of a report that say how good the archive is, and how it was made."""
    description, problems = _description(archive)
    settings = settings_of(description)
    figures = figure_statistics(rows)
    measured = None if evaluation is None else _evaluation_part(evaluation)
    summary = summary_of_archive(
        archive,
        rows,
        figures,
        promises,
        len({failure.frame for failure in failures}),
        [str(profile.get("name", "?")) for profile in settings.profiles.values()],
        measured,
    )
    has_originals = originals is not None
    return {
        "summary": summary,
        "verdicts": verdicts_of(summary, failures, problems, measured, originals=has_originals),
        "figures": figures,
        "evaluation": measured,
        "problems": problems,
        "settings": settings,
        "versions": versions_of(description, rows),
    }


def _description(archive: PackedSequence) -> tuple[Description | None, list[str]]:
    """How the archive says it was made, and why it cannot say so."""
    try:
        return archive.description, []
    except ArchiveError as error:
        return None, [str(error)]


def _evaluation_part(evaluation: ArchiveEvaluation) -> EvaluationPart:
    return EvaluationPart(
        originals=evaluation.originals,
        settings=evaluation.settings.as_dict(),
        **summarise_evaluation(evaluation.records),
    )


def _not_evaluated(records: Mapping[str, EvaluationRecord]) -> list[Failure]:
    return [
        Failure(frame=one.frame, stage="evaluation", error=" ".join(one.error.split()))
        for one in records.values()
        if one.error is not None
    ]


def _in_order(rows: Sequence[FrameRow], failures: Sequence[Failure]) -> list[Failure]:
    """By frame, each once: the first that was noticed explains the others."""
    first: dict[str, Failure] = {}
    for failure in failures:
        first.setdefault(failure.frame, failure)
    place = {row.frame_id: row.number for row in rows}
    return sorted(first.values(), key=lambda failure: place.get(failure.frame, len(place)))
