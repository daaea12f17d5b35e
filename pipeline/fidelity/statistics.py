"""Statistics of figures over frames."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from pipeline.facts import facts_of
from pipeline.fidelity.figures import FrameFidelity


def summarise(frames: Iterable[FrameFidelity]) -> dict[str, dict[str, float | None]]:
    """Mean, minimum, median, maximum and standard deviation of every figure over frames.

    Counts and sizes (points, pixels, bytes) have a ``total`` as well. Figures that are not
    finite are left out; ``None`` stands where none is left.
    """
    rows = [asdict(frame) for frame in frames]
    summary: dict[str, dict[str, float | None]] = {}
    for fact in facts_of(FrameFidelity):
        name = fact.name
        values = np.array([float(row[name]) for row in rows if math.isfinite(row[name])])
        summary[name] = {
            label: float(function(values)) if len(values) else None
            for label, function in _STATISTICS.items()
        }
        if fact.kind in ("count", "bytes"):
            summary[name]["total"] = float(np.sum(values))
    return summary


_STATISTICS = {"mean": np.mean, "min": np.min, "median": np.median, "max": np.max, "std": np.std}
