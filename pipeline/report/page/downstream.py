"""Tables of what decoded clouds are still good for, with the loss of the projection beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.evaluation.figures import ALONE, COMPARISONS, PAIRS, TRAJECTORY
from pipeline.evaluation.tasks.records import CLOUDS, TRUTH
from pipeline.facts import Fact
from pipeline.facts.units import unit_for
from pipeline.fidelity.statistics import Statistics
from pipeline.report.document import EvaluationPart


@dataclass(frozen=True)
class Row:
    """A figure of several clouds or pairs of clouds.

    Attributes:
        figure: What it is.
        unit: Unit of all cells.
        cells: Means as text.
    """

    figure: Fact
    unit: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of figures.

    Attributes:
        caption: What is compared.
        heads: For each column of cells a heading and its meaning.
        rows: The figures that are known.
    """

    caption: str
    heads: tuple[tuple[str, str], ...]
    rows: list[Row]


_PAIR_HEADS = (
    ("Codec", "range image to decoded"),
    ("Both", "scan to decoded"),
    ("Projection alone", "scan to range image: no codec can regain it"),
)
_CLOUD_HEADS = (
    ("Scans", "the original points"),
    ("Range images", "projected, not compressed"),
    ("Decoded", "what the archive gives back"),
)
_TRAJECTORY_PAIRS = ("decoded to image", "decoded to scan", "image to scan")


def downstream_tables(evaluation: EvaluationPart) -> list[Table]:
    """Tables of an evaluation: clouds against each other, and against ground truth."""
    figures, odometry = evaluation.figures, evaluation.odometry
    pairs = [
        _row(figure, [_mean(figures, f"{prefix}_{figure.name}") for prefix in COMPARISONS])
        for figure in PAIRS.values()
    ]
    paths = [
        _row(figure, [_error(odometry, name, figure) for name in _TRAJECTORY_PAIRS])
        for figure in TRAJECTORY.values()
    ]
    alone = [
        _row(figure, [_error(odometry, f"{cloud} to {TRUTH}", figure) for cloud in CLOUDS])
        for figure in TRAJECTORY.values()
    ] + [
        _row(figure, [_mean(figures, f"{cloud}_{figure.name}") for cloud in CLOUDS])
        for figure in ALONE.values()
    ]
    tables = [
        Table(
            "Clouds of a frame against each other; means over frames", _PAIR_HEADS, _known(pairs)
        ),
        Table("Odometry against odometry on the other clouds", _PAIR_HEADS, _known(paths)),
        Table(
            "Each kind of cloud by itself; errors against ground truth", _CLOUD_HEADS, _known(alone)
        ),
    ]
    return [table for table in tables if table.rows]


def _row(figure: Fact, values: Sequence[float | None]) -> Row | None:
    if all(value is None for value in values):
        return None
    unit = unit_for(figure.kind, values, smallest=True)
    return Row(figure, unit.symbol, tuple(unit.number(value) for value in values))


def _known(rows: Sequence[Row | None]) -> list[Row]:
    return [row for row in rows if row is not None]


def _mean(figures: Mapping[str, Statistics], name: str) -> float | None:
    return figures.get(name, {}).get("mean")


def _error(odometry: Mapping[str, Any], name: str, figure: Fact) -> float | None:
    return (odometry.get(name) or {}).get(figure.name)
