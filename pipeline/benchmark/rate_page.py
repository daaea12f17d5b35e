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
    failures,
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
)
from pipeline.evaluation.markdown import markdown_table, number
from pipeline.facts.units import format_value

OTHERS = ("jpeg-xl", "jpeg-xl-10")
"""What quINR is held against: the field's yardstick, and its slower setting."""
RATE_SHOWN, EQUAL_SIZE = 0.8, 1638

HEAD = """# Rate at a guaranteed error

What each codec needs for a range image so that no range, or no point, is off by more than the
largest error allowed, as `quinr bench rate` measures it. Bytes are whole streams, mask or geometry
included; no codec pays for projection and maximum range, which every decoder is told. Several
settings of each are tried, the smallest file counts. Every file is decoded, and every error is that
of the decoded scan: one above the largest error allowed would be no row but a failure.

- *Image codecs* store `round(range / (2 max_error)) + 1` without loss, 0 for invalid pixels; bytes
  of containers do not count. Where that needs more than 16 bits there is no row.
- *Point codecs* store the points re-created at the pixels' centres, on a grid of cells whose half
  diagonal is the largest error; their error is the distance of a point from its decoded self.
  PSNR is of the decoded points projected again, which puts some into another pixel, or behind
  another point: a decoder is not told the pixels. Draco does not keep the order of points; the
  benchmark, not a decoder, knows which is which.
- *JPEG 2000* knows no largest error: it is given sizes, and the best PSNR of all its settings
  counts.
- D1 RMSE is the root mean squared distance to the nearest point, of the worse direction; Chamfer is
  the mean distance, mean of both directions, not squared. PSNR is the paper's: whole image,
  invalid pixels at the maximum range, which is the peak.
- Seconds are of the winning setting on one thread; the search for it is not counted. Those of
  quINR are of mask and ranges: its preview does not depend on the largest error and is trained
  apart.
- quINR's built-in entropy model was made from some scans. Where such a scan is measured, it is
  named below, and "no entropy model has seen the scan" is quINR with an entropy model that was
  trained on the other ones only.
"""

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


def _page(points: Sequence[Point], _out: Path) -> str:
    rest = [one for one in points if one.baseline not in MODELS]
    done, seen = measured(rest), _seen(rest)
    scans, means = by_source(rest), means_over_sources(measured(rest))
    parts = [f"The built-in entropy model was made from {', '.join(seen)}.\n"] if seen else []
    parts += [_against_section(done, seen), _seconds_section(means), _ranges_section(means)]
    heads = {name: name for name in scans}
    between = {
        (one.name, scan): psnr
        for one in RATE
        for scan in scans
        if (psnr := psnr_at(curve_of(done, scan, one.name, "bpp"), RATE_SHOWN)) is not None
    }
    equal = {
        (one.baseline, one.source): one.figures["psnr_db"]
        for one in done
        if BASELINES[one.baseline].goal == "size" and one.setting == EQUAL_SIZE
    }
    parts += [
        _section(
            f"PSNR at {RATE_SHOWN:g} bpp",
            "Interpolated in log bits between the rows below; dB.",
            grid_table("", heads, between, "{:.2f}", mean=True),
        ),
        _section(
            f"PSNR of files of {EQUAL_SIZE:,} bytes",
            "Whole image, dB; whole files, a mask that is sent apart included.",
            grid_table("", heads, equal, "{:.2f}", mean=True),
        ),
        _models_section([one for one in measured(points) if one.baseline in MODELS]),
    ]
    if len(scans) > 1:
        text = "Maximum errors are the largest. All figures of each scan are in the JSON next to "
        tables = f"{_overview(means)}\n{_table(means)}"
        parts.append(_section(f"Mean of {len(scans)} scans", f"{text}the plot.", tables))
    for scan, some in scans.items():
        whole = f"\n{_table(measured(some))}" if len(scans) == 1 else ""
        parts.append(_section(scan, "", (_overview(measured(some)) or "\n") + whole))
    return "".join(parts) + failures(points)


def _section(title: str, text: str, table: str) -> str:
    paragraph = f"{text}\n\n" if text else ""
    return f"\n## {title}\n\n{paragraph}{table}" if table else ""


def _seen(points: Sequence[Point]) -> list[str]:
    """Scans from which the built-in entropy model was made."""
    learnt = training_sets.provenance().learnt
    return sorted({one.source for one in points if one.digest in learnt})


def _bound_heads(points: Sequence[Point]) -> dict[float, str]:
    """Columns for the largest errors of some points."""
    bounded = {one.setting for one in points if BASELINES[one.baseline].goal == "max_error"}
    return {max_error: centimetres(max_error) for max_error in sorted(bounded)}


def _against_section(points: Sequence[Point], seen: Sequence[str]) -> str:
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
    text = (
        "Bits of quINR's files less those of the other's, percent of the latter. Of scans marked "
        "with a star, from which the built-in entropy model was made, the figures are those of "
        "entropy models that were trained on the other ones; where there are none, the scan has "
        "no row."
    )
    return _section("quINR against JPEG XL", text, "\n".join(tables))


def _seconds_section(means: Sequence[Point]) -> str:
    ours = [one for one in means if one.baseline == OURS]
    names = ("encode_seconds", "decode_seconds")
    body = [
        [asked_for(one), *(f"{1e3 * one.figures[name]:.0f}" for name in names)]
        for one in sorted(ours, key=lambda one: one.setting)
    ]
    text = "Of mask and ranges on one core, medians of several runs, mean over scans."
    if ours:
        seconds = fmean(one.figures["training_seconds"] for one in ours)
        text += f" Training a preview takes {seconds:.1f} s on top, once a scan."
    table = markdown_table(["", "encode, ms", "decode, ms"], body)
    return _section("quINR's seconds", text, table if body else "")


def _ranges_section(means: Sequence[Point]) -> str:
    layered = [
        one
        for one in means
        if "ranges" in one.parts and BASELINES[one.baseline].goal == "max_error"
    ]
    bits = {
        (one.baseline, one.setting): 8 * one.parts["ranges"] / one.figures["points"]
        for one in layered
    }
    text = (
        "Mean bytes over mean points, without mask and preview. What is called a code length is "
        "what an ideal coder would write by the model's probabilities; in all other tables the "
        "bytes of quINR's mask layer are added to it. The MLP has as many parameters as quINR's "
        "field and the same inputs, mixture, scans and training; both without the adaptation "
        "that quINR's files have on top. Neither has seen the scan it codes."
    )
    table = grid_table("bits a point", _bound_heads(layered), bits, "{:.3f}")
    several = len({name for name, _ in bits}) > 1
    return _section("The ranges layer alone", text, table if several else "")


def _models_section(points: Sequence[Point]) -> str:
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
    text = (
        "Bits a point on the scans that the built-in entropy model has not seen: by the field's "
        "probabilities alone, and of the ranges layer, which adapts to the scan as well. These "
        "entropy models learnt from the scans of the built-in one, in fewer steps."
    )
    return _section("Entropy models", text, markdown_table(head, body) if body else "")


def _overview(points: Sequence[Point]) -> str:
    heads = _bound_heads(points)
    bits = {(one.baseline, one.setting): one.figures["bits_per_point"] for one in points}
    return grid_table("bits a point", heads, bits, "{:.3f}")


def _table(points: Sequence[Point]) -> str:
    order = [one.name for one in RATE]
    body = [
        [
            BASELINES[one.baseline].title,
            asked_for(one),
            *(number(one.figures.get(name), form) for name, (_, form) in _COLUMNS.items()),
            "; ".join(filter(None, [one.label, layers_of(one)])),
        ]
        for one in sorted(points, key=lambda one: (order.index(one.baseline), one.setting))
    ]
    head = ["codec", "asked for", *(title for title, _ in _COLUMNS.values()), "setting, layers"]
    return markdown_table(head, body, left=(0, len(head) - 1))


def layers_of(point: Point) -> str:
    """Bytes of a point's layers for people."""
    return ", ".join(f"{name} {format_value(round(size))}" for name, size in point.parts.items())


def _facts(points: Sequence[Point], _out: Path) -> dict[str, Any]:
    seen = _seen(points)
    fair = fair_points(points, seen)
    return {
        "savings_percent": {other: savings(fair, OURS, other) for other in OTHERS},
        "scans_of_the_model": seen,
        "failures": [one.as_dict() for one in points if one.error],
    }


COMPARISON = Comparison("rate", "rate.json", "rate.svg", HEAD, _page, _facts, draw_bits)
