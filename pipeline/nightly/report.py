"""A nightly run's work on many drives: what became of each, and the report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pipeline.datasets.discovery import Drive
from pipeline.evaluation.archive.results import ArchiveEvaluation
from pipeline.jobs.results import rounded
from pipeline.nightly.retention import Removal
from pipeline.nightly.verification import ArchiveRecord

REPORT = "nightly.md"
"""In the folder of archives: the report of the last nightly run."""

Kind = Literal["archived", "complete", "busy", "arriving", "failed"]


@dataclass(frozen=True)
class DriveOutcome:
    """What became of a drive.

    Attributes:
        drive: The drive.
        kind: "archived" this time; "complete" before; "busy": another run is at it; "arriving":
            it is still being written; or "failed".
        message: How its flow ended, or why it did not begin.
        partial: Whether frames of it failed.
    """

    drive: Drive
    kind: Kind
    message: str = ""
    partial: bool = False

    @property
    def name(self) -> str:
        """The drive's name."""
        return self.drive.name

    @property
    def status(self) -> Literal["ok", "failed"]:
        """Whether the drive is archived or will be."""
        return "failed" if self.kind == "failed" else "ok"

    @property
    def error(self) -> str | None:
        """Why it failed."""
        return f"{self.drive.name}: {self.message}" if self.kind == "failed" else None

    @property
    def archived(self) -> bool:
        """Whether there is an archive of it that nobody writes to."""
        return self.kind in ("archived", "complete")


@dataclass(frozen=True)
class DriveReport:
    """What a drive's report says, for the nightly run's.

    Attributes:
        page: The report.
        psnr_db: Mean of the frames that were measured anew, dB; ``None`` if none was.
    """

    page: Path
    psnr_db: float | None = None


def report_of(page: Path, evaluation: ArchiveEvaluation | None) -> DriveReport:
    """The report of a drive of which a sample was measured, or none."""
    records = () if evaluation is None else evaluation.records
    values = [record.figures.get("psnr_db") for record in records]
    known = [value for value in values if value is not None]
    return DriveReport(page, sum(known) / len(known) if known else None)


def nightly_rows(
    outcomes: Sequence[DriveOutcome],
    verified: Mapping[str, ArchiveRecord],
    reports: Mapping[str, DriveReport],
    removals: Mapping[str, Removal],
    folder: Path,
) -> list[dict[str, Any]]:
    """A row a drive, for people.

    Args:
        outcomes: What became of all drives.
        verified: What was found of their archives, by the drives' names.
        reports: Reports of the drives, by the drives' names.
        removals: What became of the originals, by the drives' names.
        folder: Folder of the nightly run's report, which links to the drives' reports.
    """
    rows = []
    for outcome in outcomes:
        name = outcome.drive.name
        check, removal, report = verified.get(name), removals.get(name), reports.get(name)
        row: dict[str, Any] = {"drive": name, "state": outcome.kind, "message": outcome.message}
        row["verified"] = None if check is None else check.status
        row["largest error [m]"] = None if check is None else rounded(check.largest_error_m, 5)
        row["max error [m]"] = None if check is None else rounded(check.max_error_m, 5)
        row["PSNR of the sample [dB]"] = None if report is None else rounded(report.psnr_db, 2)
        row["report"] = None if report is None else _link(report.page, folder)
        row["originals"] = "kept" if removal is None else _removal_text(removal)
        rows.append(row)
    return rows


def nightly_report(
    title: str, rows: Sequence[Mapping[str, Any]], problems: Sequence[str], limit: int = 50
) -> str:
    """A nightly run as Markdown.

    Args:
        title: Title, one line.
        rows: What :func:`nightly_rows` returned.
        problems: What went wrong, a line each.
        limit: Largest number of problems shown.
    """
    lines = [f"# {title}", ""]
    if rows:
        lines.append("| " + " | ".join(rows[0]) + " |")
        lines.append("| " + " | ".join("---" for _ in rows[0]) + " |")
        lines += ["| " + " | ".join(map(_cell, row.values())) + " |" for row in rows]
        lines.append("")
    if problems:
        lines += ["## Problems", "", *(f"- {problem}" for problem in problems[:limit])]
        if len(problems) > limit:
            lines.append(f"- and {len(problems) - limit} more")
        lines.append("")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text.replace("\n", " ").replace("|", "\\|")


def _link(page: Path, folder: Path) -> str:
    relative = os.path.relpath(page, folder)
    return f"[{page.name}]({quote(Path(relative).as_posix())})"


def _removal_text(removal: Removal) -> str:
    what = "would be removed" if removal.dry_run else "removed"
    kept = f", {len(removal.kept)} kept" if removal.kept else ""
    return f"{len(removal.removed)} {what} ({removal.bytes / 1e6:.1f} MB){kept}"
