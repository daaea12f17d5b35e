"""A night's work on many drives: what became of each, a sample measured, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.datasets import Dataset
from pipeline.evaluate import evaluate_file
from pipeline.frames import RestoreJob
from pipeline.inbox import Drive
from pipeline.records import FrameRecord, frame_path
from pipeline.results import rounded
from pipeline.retention import Removal
from pipeline.verification import ArchiveRecord
from quinr_lidar.errors import QuinrError

REPORT = "nightly.md"
"""In the folder of archives: the report of the last night."""

Kind = Literal["archived", "complete", "busy", "arriving", "failed"]


@dataclass(frozen=True)
class DriveOutcome:
    """What became of a drive.

    Attributes:
        drive: It.
        kind: "archived" this time; "complete" before; "busy": another run is at it; "arriving":
            it is still being written; or "failed".
        message: How its flow ended, or why it did not begin.
        partial: Whether frames of it failed.
    """

    drive: Drive
    kind: Kind
    message: str = ""
    partial: bool = False
    # Of files that jobs write: drives are none.
    file_sha256: None = None
    profile: None = None
    software: None = None
    fidelity: dict[str, Any] | None = None

    @property
    def status(self) -> Literal["ok", "failed"]:
        """Whether nothing keeps it from being archived sooner or later."""
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
class MeasureJob(RestoreJob):
    """An archived frame to measure against its scan (the ``target``)."""

    drive: str = ""

    @property
    def name(self) -> str:
        """Drive and frame: jobs of several drives run together."""
        return f"{self.drive}/{self.frame_id}"


def sample_jobs(dataset: Dataset, folder: Path, count: int) -> list[MeasureJob]:
    """Frames spread evenly over a sequence, the first among them.

    Args:
        dataset: The originals.
        folder: Of the archived sequence; frames that are not there do not count.
        count: How many, at most.
    """
    there = [frame for frame in dataset.frame_ids if frame_path(folder, frame).is_file()]
    step = max(1.0, len(there) / max(1, count))
    chosen = [there[int(index * step)] for index in range(min(count, len(there)))]
    return [
        MeasureJob(frame, frame_path(folder, frame), dataset.path(frame), dataset.name)
        for frame in chosen
    ]


def measure_archived(job: MeasureJob) -> FrameRecord:
    """Figures of an archived frame, decoded now; never raises a QuinrError."""
    try:
        fidelity = evaluate_file(job.target, job.source)
    except QuinrError as error:
        return job.failed(str(error))
    return FrameRecord(job.name, "ok", source=str(job.source), fidelity=fidelity.as_dict())


def night_rows(
    outcomes: Sequence[DriveOutcome],
    verified: Mapping[str, ArchiveRecord],
    measured: Sequence[FrameRecord],
    removals: Mapping[str, Removal],
) -> list[dict[str, Any]]:
    """A row a drive, for people.

    Args:
        outcomes: All drives.
        verified: What was found of their archives, by the drives' names; so the last.
        measured: Frames of :func:`measure_archived`.
        removals: What became of the originals.
    """
    rows = []
    for outcome in outcomes:
        name = outcome.drive.name
        check, removal = verified.get(name), removals.get(name)
        row: dict[str, Any] = {"drive": name, "state": outcome.kind, "message": outcome.message}
        row["verified"] = None if check is None else check.status
        row["max error [m]"] = None if check is None else rounded(check.max_error_m, 5)
        row["bound [m]"] = None if check is None else rounded(check.bound_m, 5)
        row["PSNR of the sample [dB]"] = rounded(_mean_psnr(name, measured), 2)
        row["originals"] = "kept" if removal is None else _removal_text(removal)
        rows.append(row)
    return rows


def night_report(
    title: str, rows: Sequence[Mapping[str, Any]], problems: Sequence[str], limit: int = 50
) -> str:
    """A night as Markdown.

    Args:
        title: One line.
        rows: Of :func:`night_rows`.
        problems: A line each, ready to be read.
        limit: Of the problems shown.
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


def _mean_psnr(drive: str, measured: Sequence[FrameRecord]) -> float | None:
    values = [
        record.fidelity["psnr_db"]
        for record in measured
        if record.fidelity and record.frame_id.rpartition("/")[0] == drive
    ]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _removal_text(removal: Removal) -> str:
    what = "would be removed" if removal.dry_run else "removed"
    kept = f", {len(removal.kept)} kept" if removal.kept else ""
    return f"{len(removal.removed)} {what} ({removal.bytes / 1e6:.1f} MB){kept}"
