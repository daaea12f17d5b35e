"""Charts of figures over the frames of a drive, with histograms, as data for the page's script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.archive.manifest import FrameRow
from pipeline.evaluation.figures import PAIRS
from pipeline.evaluation.tasks import EvaluationRecord
from pipeline.evaluation.tasks.records import CLOUDS, TRUTH
from pipeline.facts import Fact
from pipeline.facts.units import Unit, unit_for
from pipeline.fidelity.statistics import statistics_of
from pipeline.report.findings.summary import ARCHIVED, value_of

MAX_FRAMES = 2_000
"""Most frames that a chart draws; of longer drives it keeps the smallest and largest values."""

BINS = 24

_CHARTED = (
    "bytes",
    "bpp",
    "psnr_db",
    "chamfer_m",
    "largest_error_m",
    "encode_seconds",
)

Values = Sequence[float | None]
Records = Mapping[str, EvaluationRecord]


@dataclass(frozen=True)
class Line:
    """One figure over all frames of the drive; ``None`` where it is unknown."""

    name: str
    values: Values


@dataclass(frozen=True)
class Chart:
    """Lines of one unit.

    Attributes:
        key: HTML id of the chart.
        title: Title for people.
        unit: Unit of the axis.
        lines: The lines, in stored units (metres, bytes ...).
        meaning: What is shown.
        limit: A line that the others should not exceed, drawn without a histogram.
    """

    key: str
    title: str
    unit: Unit
    lines: tuple[Line, ...]
    meaning: str
    limit: Line | None = None

    @property
    def summary(self) -> str:
        """The lines in words."""
        parts = []
        for line in self.lines:
            found = statistics_of(line.values)
            low, mean, high = (self.unit.number(found[name]) for name in ("min", "mean", "max"))
            name = f"{line.name}: " if len(self.lines) > 1 else ""
            parts.append(f"{name}mean {mean}, from {low} to {high}")
        unit = f"\u00a0{self.unit.symbol}" if self.unit.symbol else ""
        return "; ".join(parts) + unit


@dataclass(frozen=True)
class Charts:
    """All charts of a page.

    Attributes:
        charts: The charts, in the order of the page.
        path: Each trajectory from above by its name: lists of x and y, metres.
        data: The same for the page's script, of JSON's types.
        sampled: Whether some frames are left out of the lines.
    """

    charts: list[Chart] = field(default_factory=list)
    path: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    sampled: bool = False


def charts_of(rows: Sequence[FrameRow], records: Records) -> Charts:
    """Charts of all figures that are known.

    Args:
        rows: Rows of the manifest.
        records: Records of an evaluation by frame id; empty without one.
    """
    charts = [chart for chart in (*_archived(rows), *_evaluated(rows, records)) if chart]
    lines = [line for chart in charts for line in _lines(chart)]
    shown = sample(len(rows), [line.values for line in lines], MAX_FRAMES)
    path = paths_of(records)
    data = {
        "numbers": [rows[place].number for place in shown],
        "frames": [rows[place].frame_id for place in shown],
        "charts": [_data(chart, shown) for chart in charts],
        "path": [{"name": name, "x": x, "y": y} for name, (x, y) in path.items()],
    }
    return Charts(charts, path, data, len(shown) < len(rows))


def sample(count: int, columns: Iterable[Values], most: int) -> list[int]:
    """Choose frames to draw: from equal stretches those where a column is smallest or largest.

    Returns:
        All places if there are no more than ``most``; otherwise about as many, the first, the last
        and every column's extremes among them.
    """
    if count <= most:
        return list(range(count))
    chosen = {0, count - 1}
    arrays = [np.array(column, float) for column in columns]
    stretches = max(most // max(2 * len(arrays), 1), 1)
    edges = np.linspace(0, count, stretches + 1).astype(int)
    for array in arrays:
        for start, end in pairwise(edges):
            part = array[start:end]
            if not np.isnan(part).all():
                chosen |= {start + int(np.nanargmin(part)), start + int(np.nanargmax(part))}
    return sorted(int(place) for place in chosen)


def histogram(values: Values, unit: Unit) -> dict[str, list[float]]:
    """Counts of finite values in equal bins: ``edges`` in the unit shown, and ``counts``."""
    found = np.array([value for value in values if value is not None], float) * unit.factor
    if not len(found):
        return {"edges": [], "counts": []}
    spread = float(np.ptp(found)) > 1e-9 * max(float(np.abs(found).max()), 1e-30)
    counts, edges = np.histogram(found, min(BINS, max(len(found) // 2, 4)) if spread else 1)
    return {"edges": [_short(edge) for edge in edges], "counts": counts.tolist()}


def _lines(chart: Chart) -> list[Line]:
    return [*chart.lines, *([] if chart.limit is None else [chart.limit])]


def _data(chart: Chart, shown: Sequence[int]) -> dict[str, Any]:
    def values(line: Line) -> list[float | None]:
        found = [line.values[place] for place in shown]
        return [None if one is None else _short(one * chart.unit.factor) for one in found]

    return {
        "key": chart.key,
        "unit": chart.unit.symbol,
        "digits": chart.unit.digits,
        "lines": [
            {
                "name": line.name,
                "y": values(line),
                "histogram": histogram(line.values, chart.unit),
            }
            for line in chart.lines
        ],
        "limit": None
        if chart.limit is None
        else {"name": chart.limit.name, "y": values(chart.limit)},
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _archived(rows: Sequence[FrameRow]) -> list[Chart | None]:
    def line(name: str) -> Line:
        values = [value_of(row, name) if row.ok else None for row in rows]
        return Line(ARCHIVED[name].label, values)

    max_errors = line("max_error_m")
    return [
        _chart(
            ARCHIVED[name],
            f"chart-{name}",
            [line(name)],
            limit=max_errors if name == "largest_error_m" else None,
        )
        for name in _CHARTED
    ]


def _evaluated(rows: Sequence[FrameRow], records: Records) -> list[Chart | None]:
    def line(name: str, label: str) -> Line:
        found = [records.get(row.frame_id) for row in rows]
        return Line(label, [one.figures.get(name) if one else None for one in found])

    def pair(name: str, key: str, title: str, *others: tuple[str, str]) -> Chart | None:
        lines = [line(prefix, label) for prefix, label in others]
        return _chart(PAIRS[name], key, lines, title=title)

    if not any(record.figures for record in records.values()):
        return []
    return [
        pair(
            "d1_psnr_db",
            "chart-codec-psnr",
            "D1 and D2 PSNR, range image to decoded",
            ("codec_d1_psnr_db", "D1"),
            ("codec_d2_psnr_db", "D2"),
        ),
        pair(
            "d1_psnr_db",
            "chart-scan-psnr",
            "D1 PSNR to the scan",
            ("scan_d1_psnr_db", "decoded"),
            ("projection_d1_psnr_db", "range image"),
        ),
        pair(
            "ground_iou",
            "chart-iou",
            "Ground and occupancy IoU, range image to decoded",
            ("codec_ground_iou", "ground"),
            ("codec_occupancy_iou", "occupancy"),
            ("codec_obstacle_iou", "obstacles"),
        ),
        pair(
            "registration_m",
            "chart-registration",
            "Registration: shift against that of range images",
            ("codec_registration_m", "shift"),
        ),
    ]


def _chart(
    figure: Fact,
    key: str,
    lines: Sequence[Line],
    *,
    title: str | None = None,
    limit: Line | None = None,
) -> Chart | None:
    """A chart of the lines that have values; ``None`` without any."""
    known = tuple(line for line in lines if any(value is not None for value in line.values))
    if not known:
        return None
    if limit is not None and not any(value is not None for value in limit.values):
        limit = None
    values = [value for line in known for value in line.values]
    unit = unit_for(figure.kind, [*values, *(limit.values if limit else ())])
    return Chart(key, title or figure.label, unit, known, figure.meaning, limit)


_TRAJECTORY_NAMES = {
    TRUTH: "ground truth",
    "scan": "odometry on scans",
    "image": "odometry on range images",
    "decoded": "odometry on decoded clouds",
}


def paths_of(records: Records) -> dict[str, tuple[list[float], list[float]]]:
    """Trajectories from above by their names: x and y of the sensor, metres."""
    found = {}
    for cloud in (TRUTH, *CLOUDS):
        poses = [one.poses[cloud] for one in records.values() if cloud in one.poses]
        if len(poses) > 1:
            thinned = poses[:: -(-len(poses) // MAX_FRAMES)]
            x, y = ([_short(pose[place]) for pose in thinned] for place in (3, 7))
            found[_TRAJECTORY_NAMES[cloud]] = (x, y)
    return found
