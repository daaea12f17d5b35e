"""The page of ``quinr bench rate``: what each codec needs to keep a largest error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.benchmark import training_sets
from pipeline.benchmark.baselines.code_length import ENTROPY_MODELS
from pipeline.benchmark.figures import draw_bits
from pipeline.benchmark.rate import MODELS
from pipeline.benchmark.registry import BASELINES, RATE
from pipeline.benchmark.results import (
    Comparison,
    asked_for,
    by_source,
    centimetres,
    grid_table,
)
from pipeline.benchmark.runner import Point
from pipeline.benchmark.summary import (
    OURS,
    curve_of,
    fair_points,
    mean_point,
    means_over_sources,
    measured,
    psnr_at,
    savings,
    sources_of,
)
from pipeline.evaluation.markdown import markdown_table, number
from pipeline.facts.units import format_value

OTHERS = ("jpeg-xl", "jpeg-xl-10")
"""What quINR is held against: the field's yardstick, and its slower setting."""
RATE_SHOWN, EQUAL_SIZE = 0.8, 1638

_COLUMNS = {
    "bytes": ("bytes", "{:.0f}"),
    "bits_per_point": ("bits a point", "{:.3f}"),
    "bpp": ("bpp", "{:.3f}"),
    "largest_error_m": ("max error, m", "{:.4f}"),
    "d1_rmse_m": ("D1 RMSE, m", "{:.4f}"),
    "chamfer_m": ("Chamfer, m", "{:.4f}"),
    "psnr_db": ("PSNR, dB", "{:.2f}"),
    "encode_seconds": ("encode, s", "{:.3f}"),
    "decode_seconds": ("decode, s", "{:.4f}"),
}


def _values(points: Sequence[Point], _out: Path) -> dict[str, Any]:
    """What the template of the page shows; tables that would have no rows are empty."""
    rest = [one for one in points if one.baseline not in MODELS]
    done, seen = measured(rest), _seen(rest)
    means, names = means_over_sources(done), sources_of(rest)
    ours = [one for one in means if one.baseline == OURS]
    of_scan = {name: [one for one in done if one.source == name] for name in names}
    alone = len(names) == 1
    return {
        "seen": seen,
        "against": _against(done, seen),
        "seconds": [
            [asked_for(one)]
            + [f"{1e3 * one.figures[name]:.0f}" for name in ("encode_seconds", "decode_seconds")]
            for one in sorted(ours, key=lambda one: one.setting)
        ],
        "training_seconds": fmean(one.figures["training_seconds"] for one in ours) if ours else 0,
        "ranges": _ranges(means),
        "rate_shown": RATE_SHOWN,
        "at_rate": _at_rate(done, names),
        "size_shown": EQUAL_SIZE,
        "at_size": _at_size(done, names),
        "models": _models([one for one in measured(points) if one.baseline in MODELS]),
        "mean": [_overview(means), _table(means)] if len(names) > 1 else [],
        "scans": {
            name: [_overview(some), _table(some) if alone else ""] for name, some in of_scan.items()
        },
        "failures": [one for one in points if one.error],
        "asked_for": asked_for,
    }


def _seen(points: Sequence[Point]) -> list[str]:
    """Scans from which the built-in entropy model was made."""
    learnt = training_sets.provenance().learnt
    return sorted({one.source for one in points if one.digest in learnt})


def _bound_heads(points: Sequence[Point]) -> dict[float, str]:
    """Columns for the largest errors of some points."""
    bounded = {one.setting for one in points if BASELINES[one.baseline].goal == "max_error"}
    return {max_error: centimetres(max_error) for max_error in sorted(bounded)}


def _against(points: Sequence[Point], seen: Sequence[str]) -> list[str]:
    """What quINR saves, a table for each of the others."""
    fair = fair_points(points, seen)
    tables = []
    for other in OTHERS:
        total = savings(fair, OURS, other)
        body = []
        for scan, some in by_source(fair).items():
            found = {one["max_error"]: one["mean"] for one in savings(some, OURS, other)}
            cells = [number(found.get(one["max_error"]), "{:+.1f}") for one in total]
            body += [[scan + " *" * (scan in seen), *cells]] if found else []
        body += [[name, *(f"{one[name]:+.1f}" for one in total)] for name in ("mean", "worst")]
        head = [BASELINES[other].title, *(centimetres(one["max_error"]) for one in total)]
        tables += [markdown_table(head, body)] if total else []
    return tables


def _ranges(means: Sequence[Point]) -> str:
    """Bits of the ranges layer, where several baselines have one."""
    layered = [
        one
        for one in means
        if "ranges" in one.parts and BASELINES[one.baseline].goal == "max_error"
    ]
    bits = {
        (one.baseline, one.setting): 8 * one.parts["ranges"] / one.figures["points"]
        for one in layered
    }
    several = len({name for name, _ in bits}) > 1
    return grid_table("bits a point", _bound_heads(layered), bits, "{:.3f}") if several else ""


def _at_rate(points: Sequence[Point], scans: Sequence[str]) -> str:
    """PSNR of all baselines at :data:`RATE_SHOWN`."""
    found = {
        (one.name, scan): psnr
        for one in RATE
        for scan in scans
        if (psnr := psnr_at(curve_of(points, scan, one.name, "bpp"), RATE_SHOWN)) is not None
    }
    return grid_table("", {name: name for name in scans}, found, "{:.2f}", mean=True)


def _at_size(points: Sequence[Point], scans: Sequence[str]) -> str:
    """PSNR of files of :data:`EQUAL_SIZE` bytes."""
    found = {
        (one.baseline, one.source): one.figures["psnr_db"]
        for one in points
        if BASELINES[one.baseline].goal == "size" and one.setting == EQUAL_SIZE
    }
    return grid_table("", {name: name for name in scans}, found, "{:.2f}", mean=True)


def _models(points: Sequence[Point]) -> str:
    """What one entropy model for all largest errors and its rounding cost."""
    heads, body = _bound_heads(points), []
    for one in ENTROPY_MODELS:
        own = [point for point in points if point.baseline == one.name]
        at = {
            setting: mean_point([point for point in own if point.setting == setting]).figures
            for setting in {point.setting for point in own}
        }
        if at:
            size = number(next(iter(at.values())).get("model_bytes"), "{:.0f}")
            bits = [
                number(at.get(setting, {}).get(name), "{:.4f}")
                for name in ("field_bits", "layer_bits")
                for setting in heads
            ]
            body.append([one.title, size, *bits])
    head = ["entropy model", "bytes"]
    head += [f"{what}, {title}" for what in ("field", "layer") for title in heads.values()]
    return markdown_table(head, body) if body else ""


def _overview(points: Sequence[Point]) -> str:
    heads = _bound_heads(points)
    bits = {(one.baseline, one.setting): one.figures["bits_per_point"] for one in points}
    return grid_table("bits a point", heads, bits, "{:.3f}")


def _table(points: Sequence[Point]) -> str:
    """All figures, a row for each point."""
    order, body = [one.name for one in RATE], []
    for one in sorted(points, key=lambda one: (order.index(one.baseline), one.setting)):
        layers = [f"{name} {format_value(round(size))}" for name, size in one.parts.items()]
        settings = "; ".join(filter(None, [one.label, ", ".join(layers)]))
        figures = [number(one.figures.get(name), form) for name, (_, form) in _COLUMNS.items()]
        body.append([BASELINES[one.baseline].title, asked_for(one), *figures, settings])
    head = ["codec", "asked for", *(title for title, _ in _COLUMNS.values()), "setting, layers"]
    return markdown_table(head, body, left=(0, len(head) - 1))


def _facts(points: Sequence[Point], _out: Path) -> dict[str, Any]:
    seen = _seen(points)
    fair = fair_points(points, seen)
    return {
        "savings_percent": {other: savings(fair, OURS, other) for other in OTHERS},
        "scans_of_the_model": seen,
        "failures": [one.as_dict() for one in points if one.error],
    }


COMPARISON = Comparison("rate", "rate.json", "rate.svg", _values, _facts, draw_bits)
