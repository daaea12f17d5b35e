"""A comparison's results on disk: one JSON document, one figure and one page of Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.benchmark.machine import describe_machine
from pipeline.benchmark.pages import render_page
from pipeline.benchmark.registry import BASELINES
from pipeline.benchmark.runner import Point
from pipeline.benchmark.summary import sources_of
from pipeline.evaluation.markdown import markdown_table, number
from pipeline.storage.files import write_atomically, write_json_atomically

JOURNAL = "points.jsonl"


@dataclass(frozen=True)
class Comparison:
    """What a comparison makes of its points, and of the folder of its results.

    Attributes:
        name: Name of the command, and of the page's template.
        document: Name of the JSON file.
        figure: Name of the plot.
        values: What the page's template shows.
        facts: Further entries of the document.
        draw: The plot as SVG.
    """

    name: str
    document: str
    figure: str
    values: Callable[[Sequence[Point], Path], dict[str, Any]]
    facts: Callable[[Sequence[Point], Path], dict[str, Any]]
    draw: Callable[[Sequence[Point]], bytes]


def page_of(out: Path) -> Path:
    """The page of a folder of results, beside it."""
    return out.with_name(out.name + ".md")


def write_results(
    comparison: Comparison, out: Path, points: Sequence[Point], command: str | None
) -> dict[str, Any]:
    """Write everything into a folder and its page beside it, and return the document.

    If nothing was measured there is no command: command and machine stay those of the document
    before.
    """
    path = out / comparison.document
    before = json.loads(path.read_bytes()) if command is None and path.exists() else {}
    machine = before.get("machine") or describe_machine()
    made_by = command or before.get("command") or f"quinr bench {comparison.name}"
    document = {
        "name": comparison.name,
        "curves": curves(points),
        **comparison.facts(points, out),
        "command": made_by,
        "machine": machine,
    }
    values = {"command": made_by, "figure": f"{out.name}/{comparison.figure}"}
    values |= comparison.values(points, out)
    page = render_page(f"{comparison.name}.md.j2", **values)
    write_atomically(out / comparison.figure, comparison.draw(points))
    write_atomically(page_of(out), page.encode())
    write_json_atomically(path, document)
    return document


def curves(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Points in the form that plotters of rate-distortion results read, a curve for each source."""
    found: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for one in points:
        results = found.setdefault((one.source, one.baseline), {})
        row = {"setting": one.setting, "label": one.label, "parts": one.parts, "error": one.error}
        names = {name for p in points if p.baseline == one.baseline for name in p.figures}
        row |= {name.removesuffix("_db"): one.figures.get(name) for name in sorted(names)}
        for name, value in row.items():
            results.setdefault(name, []).append(value)
    return [
        {"name": name, "description": BASELINES[name].title, "source": source, "results": results}
        for (source, name), results in found.items()
    ]


def grid_table(
    corner: str,
    columns: Mapping[Any, str],
    cells: Mapping[tuple[str, Any], float],
    form: str,
    *,
    mean: bool = False,
) -> str:
    """A table of a figure by baseline and column, with a row for each baseline that has any.

    Empty without rows; on demand each complete row ends with its mean.
    """
    body = []
    for name, baseline in BASELINES.items():
        row = [cells.get((name, column)) for column in columns]
        known = [value for value in row if value is not None]
        if known:
            row += [sum(known) / len(row) if len(known) == len(row) else None] if mean else []
            body.append([baseline.title, *(number(value, form) for value in row)])
    head = [corner, *columns.values(), *(["mean"] if mean else [])]
    return markdown_table(head, body) if body else ""


def asked_for(point: Point) -> str:
    """A point's setting for people."""
    goal = BASELINES[point.baseline].goal
    return {"max_error": centimetres(point.setting), "size": f"{point.setting:g} B"}.get(goal, goal)


def centimetres(max_error: float) -> str:
    """A largest error for people."""
    return f"{100 * max_error:g} cm"


def by_source(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Points of each source."""
    return {name: [one for one in points if one.source == name] for name in sources_of(points)}
