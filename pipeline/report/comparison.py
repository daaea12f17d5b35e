"""Several reports of one drive side by side, and which of them is best in each figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.archive.manifest import COLUMNS as ARCHIVED
from pipeline.evaluation.figures import PAIRS, TRAJECTORY
from pipeline.facts import Fact
from pipeline.facts.units import plain_length, unit_for
from pipeline.report.document import Report, Summary
from quinr_lidar.errors import ArchiveError

FORMAT = 1
KIND = "quinr report comparison"

FAILURES = Fact("failures", "count", "Frames with a failure of any stage.", better="lower")


@dataclass(frozen=True)
class Column:
    """A figure that reports are compared by.

    Attributes:
        key: Its name in :class:`~pipeline.report.document.Summary`.
        figure: What it is.
    """

    key: str
    figure: Fact

    def read(self, summary: Summary) -> float | None:
        """The figure of a report."""
        return getattr(summary, self.key)


COLUMNS = (
    Column("max_error_m", ARCHIVED["max_error_m"]),
    Column("failed", FAILURES),
    Column("mean_frame_bytes", ARCHIVED["bytes"]),
    Column("bpp", ARCHIVED["bpp"]),
    Column("psnr_db", ARCHIVED["psnr_db"]),
    Column("chamfer_m", ARCHIVED["chamfer_m"]),
    Column("d1_psnr_db", PAIRS["d1_psnr_db"]),
    Column("d2_psnr_db", PAIRS["d2_psnr_db"]),
    Column("drift_per_m", TRAJECTORY["translation_per_m"]),
    Column("registration_m", PAIRS["registration_m"]),
    Column("ground_iou", PAIRS["ground_iou"]),
    Column("occupancy_iou", PAIRS["occupancy_iou"]),
)

PLOTS = ("chamfer_m", "psnr_db", "d1_psnr_db", "drift_per_m")
"""Figures drawn over bits per pixel."""


@dataclass(frozen=True)
class Comparison:
    """Reports of one drive, in the order of their sizes.

    Attributes:
        labels: Name of each report.
        reports: The reports.
        differences: Why they are not of the same drive; empty if they are.
        notes: What a reader must know.
        best: Labels of the best reports by column; empty where neither way is better.
    """

    labels: list[str]
    reports: list[Report]
    differences: list[str]
    notes: list[str]
    best: dict[str, list[str]]

    def as_dict(self, command: str | None) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "format": FORMAT,
            "kind": KIND,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
            "differences": self.differences,
            "notes": self.notes,
            "columns": [column.key for column in COLUMNS],
            "best": self.best,
            "reports": [
                {
                    "label": label,
                    "archive": report.archive.model_dump(mode="json"),
                    "summary": report.summary.model_dump(mode="json"),
                    "versions": report.versions.model_dump(mode="json"),
                }
                for label, report in zip(self.labels, self.reports, strict=True)
            ],
        }


def compare(reports: Sequence[Report], *, anyway: bool = False) -> Comparison:
    """Put reports side by side.

    Args:
        reports: Two or more.
        anyway: Whether to compare reports of different drives.

    Raises:
        ArchiveError: fewer than two, or of different drives.
    """
    if len(reports) < 2:
        raise ArchiveError(f"compare: expected two reports or more, got {len(reports)}")
    differences = differences_of(reports)
    if differences and not anyway:
        raise ArchiveError(f"{differences[0]}; with --anyway they are compared all the same")
    ordered = sorted(reports, key=lambda report: report.summary.mean_frame_bytes or 0.0)
    labels = labels_of(ordered)
    references = {report.summary.drift_reference for report in ordered} - {None}
    notes = []
    if len(references) > 1:
        notes.append(f"Odometry drift is against {' or '.join(sorted(map(str, references)))}.")
    best = {column.key: _best(column, labels, ordered) for column in COLUMNS}
    if notes:
        best["drift_per_m"] = []
    return Comparison(labels, ordered, differences, notes, best)


def differences_of(reports: Sequence[Report]) -> list[str]:
    """Sentences that say why reports are not of the same drive; they name the archives."""
    first, found = reports[0].archive, []
    checks: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("sequence", lambda archive: archive.sequence),
        ("frames", lambda archive: archive.frames_sha256),
        ("scans", lambda archive: archive.scans_sha256),
    )
    for report in reports[1:]:
        other = report.archive
        for what, read in checks:
            values = (read(first), read(other))
            if None not in values and values[0] != values[1]:
                detail = f": {values[0]} and {values[1]}" if what == "sequence" else ""
                found.append(f"{first.name} and {other.name} differ in their {what}{detail}")
                break
    return found


def labels_of(reports: Sequence[Report]) -> list[str]:
    """Profile and max error of each report, with the archive's name if these are not unique."""
    plain = [_label(report.summary) for report in reports]
    twice = {label for label, count in Counter(plain).items() if count > 1}
    return [
        f"{label} ({report.archive.name})" if label in twice else label
        for label, report in zip(plain, reports, strict=True)
    ]


def _label(summary: Summary) -> str:
    name = ", ".join(summary.profiles) or "unknown profile"
    return name if summary.max_error_m is None else f"{name}, {plain_length(summary.max_error_m)}"


def _best(column: Column, labels: Sequence[str], reports: Sequence[Report]) -> list[str]:
    values = [column.read(report.summary) for report in reports]
    known = [value for value in values if value is not None]
    if column.figure.better is None or len(set(known)) < 2:
        return []
    best = min(known) if column.figure.better == "lower" else max(known)
    return [label for label, value in zip(labels, values, strict=True) if value == best]


def cells(column: Column, reports: Sequence[Report]) -> tuple[str, list[str]]:
    """A column's unit, and its figures as text."""
    values = [column.read(report.summary) for report in reports]
    unit = unit_for(column.figure.kind, values, smallest=True)
    if column.key == "max_error_m":
        return "", ["" if value is None else plain_length(value) for value in values]
    return unit.symbol, [unit.number(value) for value in values]
