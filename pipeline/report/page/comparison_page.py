"""The page of a comparison, and writing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import quinr_lidar
from pipeline.facts.units import unit_for
from pipeline.report.comparison import COLUMNS, PLOTS, Comparison, cells
from pipeline.report.page.html import render
from pipeline.storage.files import write_atomically, write_json_atomically

SCRIPTS = ("tables.js", "plots.js", "compare.js", "start.js")
PAGE, DOCUMENT = "index.html", "compare.json"


@dataclass(frozen=True)
class ComparisonFiles:
    """What was written."""

    html: Path
    json: Path


def write_comparison(
    comparison: Comparison, out: Path, command: str | None = None
) -> ComparisonFiles:
    """Write ``index.html`` and ``compare.json``; each whole or not at all.

    Raises:
        StorageError: the folder cannot be written.
    """
    files = ComparisonFiles(out / PAGE, out / DOCUMENT)
    document = comparison.as_dict(command)
    write_json_atomically(files.json, document)
    write_atomically(files.html, comparison_page(comparison, document))
    return files


def comparison_page(comparison: Comparison, document: dict[str, Any]) -> bytes:
    """The whole page, UTF-8.

    Args:
        comparison: What is shown.
        document: The result of :meth:`~pipeline.report.comparison.Comparison.as_dict`.
    """
    plots = _plots(comparison)
    first = comparison.reports[0].archive
    values = {
        "title": first.sequence if not comparison.differences else "Several drives",
        "frames": comparison.reports[0].summary.frames,
        "comparison": comparison,
        "columns": _columns(comparison),
        "rows": list(zip(comparison.labels, comparison.reports, strict=True)),
        "plots": plots,
        "made": document["made"].replace("T", " ").replace("+00:00", " UTC"),
        "command": document["command"],
        "software": quinr_lidar.__version__,
    }
    return render("compare.html.j2", values, SCRIPTS, charts=bool(plots))


def _columns(comparison: Comparison) -> list[dict[str, Any]]:
    columns = []
    for column in COLUMNS:
        values = [column.read(report.summary) for report in comparison.reports]
        if all(value is None for value in values):
            continue
        unit, texts = cells(column, comparison.reports)
        best = [label in comparison.best[column.key] for label in comparison.labels]
        columns.append(
            {
                "label": column.figure.label,
                "unit": unit,
                "better": column.figure.better,
                "cells": list(zip(texts, values, best, strict=True)),
            }
        )
    return columns


def _plots(comparison: Comparison) -> list[dict[str, Any]]:
    """Charts over bits per pixel, for each figure that at least two reports have."""
    by_key = {column.key: column for column in COLUMNS}
    rates = [report.summary.bpp for report in comparison.reports]
    plots = []
    for key in PLOTS:
        column = by_key[key]
        values = [column.read(report.summary) for report in comparison.reports]
        both = [
            (label, rate, value)
            for label, rate, value in zip(comparison.labels, rates, values, strict=True)
            if rate is not None and value is not None
        ]
        if len(both) < 2:
            continue
        unit = unit_for(column.figure.kind, [value for *_, value in both])
        plots.append(
            {
                "key": f"plot-{key}",
                "title": column.figure.label,
                "unit": unit.symbol,
                "better": column.figure.better,
                "points": [
                    {"label": label, "x": rate, "y": value * unit.factor}
                    for label, rate, value in both
                ],
            }
        )
    return plots
