"""Notes in the MCAP itself, before each chunk: the most important facts of its frames.

So a manifest can be made again from the MCAP alone: ids, checksums of the originals and the
figures by which these were deleted. What follows from a file's bytes is left out, and so is what
differs between two runs over the same scans (times of encoding, paths): the MCAP of an
interrupted run is that of an uninterrupted one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.archive.layout import check_frame_id
from pipeline.archive.manifest import FIGURES, ROW_FACTS, FrameRow
from quinr_lidar.errors import ArchiveError

_FACTS = tuple(name for name, fact in ROW_FACTS.items() if fact.in_notes)
_FIGURES = tuple(name for name, fact in FIGURES.items() if fact.in_notes)
_TIME = "time_ns"
"""Kept for failed frames only: the others have it in their message."""

MAX_ROWS = 1 << 16
"""Largest number of rows in one note."""


def pack_notes(rows: Sequence[FrameRow]) -> dict[str, str]:
    """Rows as a metadata record: a list for every column in which anything is known.

    A column that has the same value in all rows holds it once.
    """
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in _FACTS}
    columns[_TIME] = [None if row.ok else row.time_ns for row in rows]
    columns |= {name: [row.figures.get(name) for row in rows] for name in _FIGURES}
    notes = {"first": str(rows[0].number), "rows": str(len(rows))}
    for name, values in columns.items():
        if any(value is not None for value in values):
            same = name != "frame_id" and all(value == values[0] for value in values)
            notes[name] = json.dumps(values[0] if same else values, separators=(",", ":"))
    return notes


def unpack_notes(notes: Mapping[str, str], name: str) -> list[FrameRow]:
    """Rows of a metadata record, without what follows from the files.

    Args:
        notes: What :func:`pack_notes` made.
        name: Name of the MCAP, for errors.

    Raises:
        ArchiveError: the record is no such note.
    """
    try:
        first, count = int(notes["first"]), int(notes["rows"])
        if not (0 <= first < 1 << 32 and 0 < count <= MAX_ROWS):
            raise ValueError(f"rows {first} to {first + count}")
        columns = {
            key: _column(key, notes[key], count)
            for key in (*_FACTS, _TIME, *_FIGURES)
            if key in notes
        }
        rows = [{key: values[row] for key, values in columns.items()} for row in range(count)]
        return [_row(row, first + index, name) for index, row in enumerate(rows)]
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, ArchiveError):
            raise
        raise ArchiveError(f"{name}: frame notes cannot be understood: {error}") from error


def _column(key: str, text: str, count: int) -> list[Any]:
    parsed = json.loads(text)
    values = parsed if isinstance(parsed, list) else [parsed] * count
    if len(values) != count:
        raise ValueError(f"{key}: expected {count} values, got {len(values)}")
    for value in values:
        if value is not None and not isinstance(value, _wanted(key)):
            raise ValueError(f"{key}: got {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key}: got {value!r}")
    return values


def _wanted(key: str) -> tuple[type, ...]:
    """What JSON may hold for a fact; a figure's exact type is checked with its row."""
    return (int, float) if key in FIGURES else (ROW_FACTS[key].type,)


def _row(values: dict[str, Any], number: int, name: str) -> FrameRow:
    facts: dict[str, Any] = {key: values.get(key) for key in _FACTS}
    if facts["status"] not in ("ok", "failed") or facts["time_assumed"] is None:
        raise ArchiveError(f"{name}: frame notes: row {number}: no status, or no kind of time")
    check_frame_id(facts["frame_id"], name)
    time_ns = values.get(_TIME)
    if time_ns is not None and not 0 <= time_ns < 1 << 63:
        raise ArchiveError(f"{name}: frame notes: row {number}: time_ns: got {time_ns}")
    figures = {key: _typed(key, values[key]) for key in _FIGURES if values.get(key) is not None}
    return FrameRow(**facts, number=number, time_ns=time_ns or 0, figures=figures)


def _typed(key: str, value: Any) -> float | int | bool:
    """The value in the type of the manifest's column."""
    kind = FIGURES[key].type
    if kind is not float and not isinstance(value, kind):
        raise ValueError(f"{key}: got {value!r}")
    if kind is int and not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{key}: got {value!r}")
    return kind(value)
