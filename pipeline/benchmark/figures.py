"""All figures of the benchmark, as bytes of an SVG or PNG file; the same points, the same file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.benchmark.baseline import Baseline
from pipeline.benchmark.registry import BASELINES, PAPER, RATE
from pipeline.benchmark.runner import Point
from pipeline.benchmark.summary import means_over_sources, sources_of

_MARKERS = "o^vDsx+"


def _style(name: str, among: Sequence[Baseline]) -> dict[str, Any]:
    """A colour and a marker of its own for each baseline, the same in every figure."""
    rank = [one.name for one in among].index(name)
    style = {"marker": _MARKERS[rank % len(_MARKERS)], "ls": "-" if rank % 2 else "--"}
    return style | {"color": f"C{rank}", "label": BASELINES[name].title, "gid": name, "ms": 4}


def draw_curves(points: Sequence[Point], kind: str = "svg") -> bytes:
    """PSNR against bits a pixel, a panel for each source; bars from the worst to the best seed."""
    sources = sorted(sources_of(points))
    columns = min(2, len(sources)) or 1
    rows = -(-len(sources) // columns)
    figure = Figure(figsize=(7.5 * columns, 5 * (rows or 1)), layout="constrained")
    for number, source in enumerate(sources, 1):
        axes = figure.add_subplot(rows, columns, number)
        _curves_panel(axes, [one for one in points if one.source == source])
        _finish(axes, ("bits a pixel (whole file)", "PSNR, dB"), source, fontsize=7)
        axes.grid(alpha=0.3, which="both")
    return _saved(figure, kind)


def _curves_panel(axes: Axes, points: Sequence[Point]) -> None:
    widest = max((p.figures["bpp"] for p in points if p.baseline == "quinr"), default=np.inf)
    axes.set_xscale("log")
    # Far below and far above the others, these are left to the tables.
    for name in (one.name for one in PAPER if not one.name.endswith(("literal", "depth"))):
        some = [
            p.figures for p in points if p.baseline == name and p.figures["bpp"] <= 1.6 * widest
        ]
        if not some:
            continue
        psnr, low, high = (
            np.array([one[key] for one in some])
            for key in ("psnr_db", "psnr_low_db", "psnr_high_db")
        )
        bars = {"yerr": [psnr - low, high - psnr], "capsize": 2, **_style(name, PAPER)}
        axes.errorbar([one["bpp"] for one in some], psnr, **bars)


def draw_bits(points: Sequence[Point], kind: str = "svg") -> bytes:
    """Bits a valid point against the largest error, means over scans."""
    bounded = [one.name for one in RATE if one.goal == "max_error" and not one.unseen_only]
    means = [one for one in means_over_sources(points) if one.baseline in bounded]
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.add_subplot()
    for name in bounded:
        some = sorted((one for one in means if one.baseline == name), key=lambda one: one.setting)
        if some:
            bits = [one.figures["bits_per_point"] for one in some]
            axes.plot([one.setting for one in some], bits, **_style(name, RATE))
    axes.set_xscale("log")
    axes.set_xticks(sorted({one.setting for one in means}))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda metres, _: f"{100 * metres:g}"))
    axes.set_ylim(bottom=0)
    _finish(axes, ("guaranteed largest error, cm", "bits a valid point (whole file)"))
    return _saved(figure, kind)


def draw_shots(result: dict[str, Any], kind: str = "svg") -> bytes:
    """PSNR by shots for every number of qubits, and PSNR by noise, of the document of a run."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for qubits in sorted({row["qubits"] for row in result["files"]}):
        rows = [row for row in result["files"] if row["qubits"] == qubits]
        psnr_db = np.mean([row["psnr_db"] for row in rows], axis=0)
        (line,) = left.plot(result["shots"], psnr_db, marker=".", label=f"{qubits} qubits")
        needed = [row["shots_needed"] for row in rows if row["shots_needed"]]
        if needed:
            enough = np.mean([row["exact_db"] for row in rows]) - result["tolerance_db"]
            typical = np.exp(np.mean(np.log(needed)))
            left.plot(typical, enough, "o", color=line.get_color(), fillstyle="none", ms=9)
    left.set_xscale("log", base=2)
    title = f"rings: {result['tolerance_db']:g} dB below exact probabilities"
    _finish(left, ("shots for a pixel", "PSNR [dB]"), title)
    noise = result["noise"]
    for name, label in (
        ("depolarizing", "depolarising, after every gate"),
        ("readout_error", "reading a bit wrongly"),
    ):
        runs = [row for row in noise["runs"] if row[name]]
        psnr = [row["psnr_db"] for row in runs]
        right.plot([row[name] for row in runs], psnr, marker="o", label=label)
    right.axhline(noise["runs"][0]["psnr_db"], color="grey", linestyle="--", label="no noise")
    right.set_xscale("log")
    title = f"{noise['qubits']} qubits, {noise['pixels']:,} pixels, infinitely many shots"
    _finish(right, ("probability of an error", "PSNR [dB]"), title)
    return _saved(figure, kind)


def _finish(axes: Axes, labels: tuple[str, str], title: str = "", fontsize: int = 8) -> None:
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=fontsize)


def _saved(figure: Figure, kind: str) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "quinr"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(buffer, format=kind, dpi=120, metadata=metadata)
    return buffer.getvalue()
