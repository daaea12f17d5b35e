"""The HTML page of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.archive.manifest import COLUMNS
from pipeline.evaluation.figures import ALONE, PAIRS, TRAJECTORY
from pipeline.facts import columns_of
from pipeline.facts.units import format_value, plain_length, text_of
from pipeline.report.document import Chosen, Report
from pipeline.report.findings.summary import ARCHIVED, value_of
from pipeline.report.frames.chosen import NO_ORIGINALS, ShownFrame
from pipeline.report.frames.clouds import cloud_view
from pipeline.report.frames.panels import (
    EXTENT_M,
    RINGS,
    Panel,
    limits_of,
    map_panels,
    range_panels,
)
from pipeline.report.page.cards import Card
from pipeline.report.page.charts import Charts
from pipeline.report.page.downstream import downstream_tables
from pipeline.report.page.frame_table import FrameTable
from pipeline.report.page.html import render

SCRIPTS = ("tables.js", "plots.js", "charts.js", "cloud.js", "start.js")

MAX_FAILURES = 2_000
MAX_REASON = 300
"""Most characters of a reason on the page; report.json and frames.csv have all."""


@dataclass(frozen=True)
class FrameView:
    """A frame's panels and figures."""

    chosen: Chosen
    note: str | None
    facts: list[tuple[str, str]]
    strips: list[Panel]
    maps: list[Panel]


def report_page(
    report: Report,
    cards: Sequence[Card],
    charts: Charts,
    frames: Sequence[ShownFrame],
    table: FrameTable,
) -> bytes:
    """The whole page, UTF-8."""
    shown = list(frames)
    limits = limits_of(shown)
    views = [
        FrameView(
            frame.chosen,
            # Said once, on top.
            None if frame.chosen.note == NO_ORIGINALS else frame.chosen.note,
            _facts(frame),
            range_panels(frame, limits),
            map_panels(frame, limits),
        )
        for frame in shown
    ]
    tables = [] if report.evaluation is None else downstream_tables(report.evaluation)
    values = {
        "report": report,
        "lede": _lede(report),
        "made": report.made.replace("T", " ").replace("+00:00", " UTC"),
        "cards": cards,
        "charts": charts,
        "frames": views,
        "shown_title": _shown_title(shown),
        "rings": RINGS,
        "half": EXTENT_M,
        "cloud": cloud_view(shown, limits),
        "tables": tables,
        "failures": report.failures[:MAX_FAILURES],
        "longest": MAX_REASON,
        "table": table,
        "settings": _settings(report),
        "definitions": _definitions(),
    }
    values["contents"] = _contents(values)
    return render("report.html.j2", values, SCRIPTS, charts=bool(charts.charts or shown))


def _lede(report: Report) -> str:
    summary, archive = report.summary, report.archive
    parts = ["1 frame" if summary.frames == 1 else f"{summary.frames:,} frames"]
    if summary.profiles:
        parts.append(f"profile {', '.join(summary.profiles)}")
    if summary.max_error_m is not None:
        parts.append(f"every range within {plain_length(summary.max_error_m)}")
    if archive.seconds and archive.assumed_times < summary.frames:
        parts.append(f"{archive.seconds:,.1f} s")
    return " · ".join(parts)


def _shown_title(frames: Sequence[ShownFrame]) -> str:
    roles = [frame.chosen.role for frame in frames]
    if len(roles) < 2:
        return "The frame"
    return f"{', '.join(roles[:-1])} and {roles[-1]} frame".capitalize()


def _facts(frame: ShownFrame) -> list[tuple[str, str]]:
    shown = columns_of("report", COLUMNS.values())
    found = [(ARCHIVED[fact.name], value_of(frame.row, fact.name)) for fact in shown]
    return [
        (figure.label, text_of(figure.kind, value)) for figure, value in found if value is not None
    ]


def _contents(values: dict[str, Any]) -> list[tuple[str, str]]:
    entries = [
        ("summary", "Summary", True),
        ("drive", "Along the drive", values["charts"].charts),
        ("frames-shown", "Images", values["frames"]),
        ("space", "3D view", values["frames"]),
        ("downstream", "Tasks", values["tables"]),
        ("failures", "Failures", True),
        ("frames", "Frames", True),
        ("settings", "Settings", True),
        ("definitions", "Definitions", True),
    ]
    return [(name, label) for name, label, there in entries if there]


def _settings(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    settings, versions, archive = report.settings, report.versions, report.archive
    projection = ", ".join(f"{name} {value}" for name, value in settings.projection.items())
    made = [
        ("Archive", archive.name),
        ("MCAP SHA-256", archive.mcap_sha256),
        ("Profiles", ", ".join(report.summary.profiles)),
        (
            "Max error",
            "" if report.summary.max_error_m is None else plain_length(report.summary.max_error_m),
        ),
        ("Entropy models", ", ".join(settings.entropy_models)),
        ("Projection", projection),
        ("Made by", report.command or ""),
    ]
    if report.evaluation is not None:
        made.append(("Originals", report.evaluation.originals))
        asked = report.evaluation.settings.items()
        said = (f"{name} {format_value(value)}" for name, value in asked if value is not None)
        made.append(("Evaluation", ", ".join(said)))
    software = [
        ("Frames encoded by", ", ".join(f"quinr-lidar {one}" for one in versions.encoded)),
        ("Packed by", f"quinr-lidar {versions.packed}" if versions.packed else ""),
        *((f"Report: {name}", text) for name, text in versions.report.items()),
    ]
    return [
        (title, [(name, value) for name, value in rows if value])
        for title, rows in (("Settings", made), ("Software", software))
    ]


def _definitions() -> list[tuple[str, Any]]:
    return [
        ("Measured when archived (manifest, frames.csv)", ARCHIVED.values()),
        ("Clouds against each other (evaluation: codec_, scan_, projection_)", PAIRS.values()),
        ("Trajectories (evaluation: odometry)", TRAJECTORY.values()),
        ("One cloud by itself (evaluation: scan_, image_, decoded_)", ALONE.values()),
    ]
