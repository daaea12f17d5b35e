"""Points to figures: the best variant, means over seeds and scans, gains and savings, curves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np

from pipeline.benchmark.registry import BASELINES
from pipeline.benchmark.runner import Point

MEAN = "mean"
OURS, UNSEEN = "quinr-bounded", "quinr-unseen"
SAME_SIZE = 0.02
"""Sizes that differ by at most this share count as equal."""

Curve = list[tuple[float, float]]
"""Bytes (or bits a pixel) and PSNR in dB, both rising."""


def measured(points: Iterable[Point]) -> list[Point]:
    """Points without those that failed."""
    return [one for one in points if one.error is None]


def sources_of(points: Iterable[Point]) -> list[str]:
    """Names of the sources, in the order of the points."""
    return list(dict.fromkeys(one.source for one in points))


def best_variants(points: Iterable[Point]) -> list[Point]:
    """A point for each source, baseline and setting: the mean over seeds of the best variant.

    The figures have ``seeds`` as well, and ``psnr_low_db`` and ``psnr_high_db`` of those. They are
    in the order of sources, baselines and settings.
    """
    order = {name: rank for rank, name in enumerate(BASELINES)}
    found = []
    for some in _groups(measured(points), lambda one: (one.source, one.baseline, one.setting)):
        means = [mean_point(seeds) for seeds in _groups(some, lambda one: one.variant)]
        found.append(max(means, key=lambda one: one.figures.get("psnr_db", 0.0)))
    return sorted(found, key=lambda one: (order[one.baseline], one.setting))


def means_over_sources(points: Sequence[Point]) -> list[Point]:
    """A point for each baseline and setting: the mean over all sources.

    Only settings that succeeded on every source count: a mean over fewer would be one over other,
    perhaps easier, scans.
    """
    count = len(sources_of(points))
    groups = _groups(measured(points), lambda one: (one.baseline, one.setting))
    return [
        replace(mean_point(some), source=MEAN, label="")
        for some in groups
        if len(sources_of(some)) == count
    ]


def mean_point(points: Sequence[Point]) -> Point:
    """The mean of all figures that every point has; the largest error is the largest of all."""
    names = [name for name in points[0].figures if all(name in one.figures for one in points)]
    figures = {name: fmean(one.figures[name] for one in points) for name in names}
    if "largest_error_m" in figures:
        figures["largest_error_m"] = max(one.figures["largest_error_m"] for one in points)
    if psnr := [one.figures["psnr_db"] for one in points if "psnr_db" in names]:
        figures |= {"psnr_low_db": min(psnr), "psnr_high_db": max(psnr)}
    layers = dict.fromkeys(name for one in points for name in one.parts)
    parts = {name: fmean(one.parts.get(name, 0) for one in points) for name in layers}
    return replace(points[0], parts=parts, figures=figures | {"seeds": len(points)})


def curve_of(points: Iterable[Point], source: str, baseline: str, rate: str = "bytes") -> Curve:
    """Rates and PSNR of a baseline, without points that cost more and are no better."""
    chosen = [
        (one.figures[rate], one.figures["psnr_db"])
        for one in measured(points)
        if (one.source, one.baseline) == (source, baseline) and "psnr_db" in one.figures
    ]
    rising: Curve = []
    for point in sorted(chosen):
        if not rising or (point[0] > rising[-1][0] and point[1] > rising[-1][1]):
            rising.append(point)
    return rising


def psnr_at(curve: Curve, rate: float) -> float | None:
    """PSNR in dB of a curve at a rate, linear in the logarithm; ``None`` outside of its rates.

    Example:
        >>> psnr_at([(100, 10.0), (400, 14.0)], 200)
        12.0
    """
    if not curve or not curve[0][0] <= rate <= curve[-1][0]:
        return None
    rates, quality = np.array(curve, np.float64).T
    return float(np.interp(np.log(rate), np.log(rates), quality))


def bd_psnr(reference: Curve, curve: Curve) -> float | None:
    """Bjontegaard's mean PSNR difference of a curve from a reference, dB.

    Both are piecewise cubic and monotonic (pchip): with the four to six points usual here a single
    cubic misses points or swings between them, and Akima splines may fall where the points rise.

    Returns:
        The difference; ``None`` if a curve has a single point, or they share no range of rates or
        of PSNR.
    """
    # It imports matplotlib, which takes a while.
    import bjontegaard

    if min(len(reference), len(curve)) < 2:
        return None
    (rates, quality), (others, theirs) = (np.array(one, np.float64).T for one in (reference, curve))
    for one, other in ((rates, others), (quality, theirs)):
        if min(one[-1], other[-1]) <= max(one[0], other[0]):
            return None
    # Without these, curves of unequal length are refused and short overlaps warned of.
    options: Any = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    found: Any = bjontegaard.bd_psnr(rates, quality, others, theirs, **options)
    return float(found)


def mean_gain(points: Sequence[Point], name: str, other: str, size: int) -> float | None:
    """By how much one is better than another at equal bytes, mean over sources, dB.

    The other's PSNR is interpolated at the bytes of the first one; sources where that is not
    possible do not count.
    """
    gains = []
    at = {(one.source, one.baseline): one for one in points if one.setting == size}
    for source in sources_of(points):
        ours, same = at.get((source, name)), at.get((source, other))
        if ours is None:
            continue
        amount = ours.figures["bytes"]
        if same is not None and abs(same.figures["bytes"] - amount) <= SAME_SIZE * amount:
            theirs = same.figures["psnr_db"]
        else:
            curve = curve_of(points, source, other)
            theirs = psnr_at(curve, amount) if len(curve) > 1 else None
        if theirs is not None:
            gains.append(ours.figures["psnr_db"] - theirs)
    return fmean(gains) if gains else None


def savings(points: Iterable[Point], name: str, other: str) -> list[dict[str, float]]:
    """How a baseline's bits a point compare with another's, by rising largest error.

    Returns:
        ``max_error`` in metres; ``mean`` and ``worst`` over scans, percent, negative is fewer;
        ``scans``, the number of scans that have both.
    """
    bits = {
        (one.baseline, one.setting, one.source): one.figures["bits_per_point"]
        for one in measured(points)
        if one.baseline in (name, other)
    }
    found = []
    for max_error in sorted({setting for baseline, setting, _ in bits if baseline == name}):
        percents = [
            100 * (own / bits[other, max_error, source] - 1)
            for (baseline, setting, source), own in bits.items()
            if (baseline, setting) == (name, max_error) and (other, max_error, source) in bits
        ]
        if percents:
            row = {"max_error": max_error, "mean": fmean(percents), "worst": max(percents)}
            found.append(row | {"scans": len(percents)})
    return found


def fair_points(points: Iterable[Point], seen: Collection[str]) -> list[Point]:
    """Points of which ours are those that count.

    For a scan that the built-in model has seen, that is the file made with another model.
    """
    return [
        replace(one, baseline=OURS) if one.baseline == UNSEEN else one
        for one in points
        if one.baseline not in (OURS, UNSEEN)
        or one.baseline == (UNSEEN if one.source in seen else OURS)
    ]


def _groups(points: Iterable[Point], key: Callable[[Point], Hashable]) -> list[list[Point]]:
    groups: dict[Hashable, list[Point]] = {}
    for one in points:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())
