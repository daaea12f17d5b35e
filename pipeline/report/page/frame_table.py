"""A table with one row per frame: all columns as CSV, the most important ones on the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.archive.manifest import COLUMNS, FrameRow
from pipeline.evaluation.figures import PAIRS
from pipeline.evaluation.tasks import EvaluationRecord
from pipeline.facts import Kind, columns_of
from pipeline.facts.units import unit_for
from pipeline.report.document import Failure
from pipeline.report.findings.summary import value_of
from pipeline.report.page.charts import sample

MAX_ROWS = 500
"""Largest number of rows on the page; the CSV has all."""

PREFIX = "evaluation_"
"""Put before an evaluation's columns in the CSV: some are named like columns of the manifest."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Characters that start a formula in a spreadsheet."""

Records = Mapping[str, EvaluationRecord]


@dataclass(frozen=True)
class Cell:
    """The text shown, and the value to sort by (the text if that is ``None``)."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Column:
    """A heading: numbers are right-aligned and sorted as numbers."""

    label: str
    unit: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class FrameTable:
    """The page's table.

    Attributes:
        columns: Headings.
        rows: Cells and whether the frame failed.
        total: Frames of the drive.
    """

    columns: list[Column]
    rows: list[tuple[list[Cell], bool]]
    total: int


def frame_table(
    rows: Sequence[FrameRow], records: Records, failures: Sequence[Failure]
) -> FrameTable:
    """Frames with their most important figures.

    Of more than :data:`MAX_ROWS` frames it shows those that failed (as many as fit), those with
    the smallest and largest figures, and others evenly spread.
    """
    why = {failure.frame: f"{failure.stage}: {failure.error}" for failure in failures}
    times = [row.time_ns / 1e9 for row in rows]
    numbers = [(Column("Time", "s"), [Cell(f"{time:,.3f}", time) for time in times])]
    numbers += [
        made
        for label, kind, read in _figures(records)
        if (made := _column(label, kind, [read(row) for row in rows]))
    ]
    status = [Cell("failed" if row.frame_id in why else row.status) for row in rows]
    columns = [
        (Column("Frame", numeric=False), [Cell(row.frame_id) for row in rows]),
        *numbers,
        (Column("Status", numeric=False), status),
    ]
    if why:
        reasons = [Cell(why.get(row.frame_id, "")) for row in rows]
        columns.append((Column("Reason", numeric=False), reasons))
    shown = _shown(rows, why, [[cell.value for cell in cells] for _, cells in numbers[1:]])
    return FrameTable(
        [column for column, _ in columns],
        [([cells[place] for _, cells in columns], rows[place].frame_id in why) for place in shown],
        len(rows),
    )


Reader = Callable[[FrameRow], float | None]


def _figures(records: Records) -> list[tuple[str, Kind | None, Reader]]:
    found: list[tuple[str, Kind | None, Reader]] = [
        (fact.label, fact.kind, _archived(fact.name))
        for fact in columns_of("report", COLUMNS.values())
        if fact.kind
    ]
    for name in ("d1_psnr_db", "d2_psnr_db", "ground_iou", "occupancy_iou"):
        figure = PAIRS[name]
        found.append((figure.label, figure.kind, _evaluated(f"codec_{name}", records)))
    return found


def _archived(name: str) -> Reader:
    return lambda row: value_of(row, name) if row.ok else None


def _evaluated(name: str, records: Records) -> Reader:
    def read(row: FrameRow) -> float | None:
        record = records.get(row.frame_id)
        return None if record is None else record.figures.get(name)

    return read


def _column(
    label: str, kind: Kind | None, values: Sequence[float | None]
) -> tuple[Column, list[Cell]] | None:
    """A column of figures; ``None`` if no frame has the figure."""
    if all(value is None for value in values):
        return None
    unit = unit_for(kind, values)
    cells = [Cell(unit.number(value), value) for value in values]
    return Column(label, unit.symbol), cells


def _shown(
    rows: Sequence[FrameRow], why: Mapping[str, str], columns: Sequence[Sequence[float | None]]
) -> list[int]:
    if len(rows) <= MAX_ROWS:
        return list(range(len(rows)))
    failed = [place for place, row in enumerate(rows) if row.frame_id in why][: MAX_ROWS // 2]
    chosen = {*failed, *sample(len(rows), columns, MAX_ROWS // 5)}
    step = -(-len(rows) // max(MAX_ROWS - len(chosen), 1))
    return sorted(chosen | set(range(0, len(rows), step)))


def frames_csv(rows: Sequence[FrameRow], records: Records, failures: Sequence[Failure]) -> bytes:
    """All frames with everything known about each: UTF-8, with a line of column names.

    The manifest's columns, then ``failure`` (stage and reason), then those of an evaluation by
    :data:`PREFIX`. Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    why = {failure.frame: f"{failure.stage}: {failure.error}" for failure in failures}
    names = list(dict.fromkeys(name for one in records.values() for name in one.figures))
    heads = [*(rows[0].as_dict() if rows else ("frame_id",)), "failure"]
    heads += [f"{PREFIX}{name}" for name in names]
    if records:
        heads.append(f"{PREFIX}error")
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, heads, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values: dict[str, Any] = row.as_dict() | {"failure": why.get(row.frame_id)}
        if record := records.get(row.frame_id):
            values |= {f"{PREFIX}{name}": value for name, value in record.figures.items()}
            values[f"{PREFIX}error"] = record.error
        writer.writerow({name: _safe(value) for name, value in values.items()})
    return buffer.getvalue().encode()


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
