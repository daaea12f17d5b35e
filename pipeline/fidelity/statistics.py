"""Statistics of figures over frames."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from pipeline.facts import facts_of
from pipeline.fidelity.figures import FrameFidelity

Statistics = dict[str, float | None]

_FUNCTIONS = {"mean": np.mean, "min": np.min, "median": np.median, "max": np.max, "std": np.std}


def statistics_of(values: Iterable[float | None]) -> Statistics:
    """Mean, minimum, median, maximum and standard deviation of one figure.

    Args:
        values: Its values; ``None`` and values that are not finite are left out.

    Returns:
        By "mean", "min", "median", "max" and "std"; ``None`` where no value is left.

    Example:
        >>> statistics_of([1.0, None, 4.0])["mean"]
        2.5
    """
    found = np.array([value for value in values if value is not None and math.isfinite(value)])
    return {
        name: float(function(found)) if len(found) else None
        for name, function in _FUNCTIONS.items()
    }


def summarise(frames: Iterable[FrameFidelity]) -> dict[str, Statistics]:
    """Statistics of every figure over frames; counts and sizes have a ``total`` as well."""
    rows = [asdict(frame) for frame in frames]
    summary: dict[str, Statistics] = {}
    for fact in facts_of(FrameFidelity):
        values = [row[fact.name] for row in rows]
        summary[fact.name] = statistics_of(values)
        if fact.kind in ("count", "bytes"):
            summary[fact.name]["total"] = float(sum(filter(math.isfinite, values)))
    return summary
