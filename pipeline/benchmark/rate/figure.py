"""Bits a measured point against the bound, one line a baseline."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.benchmark.rate.baselines import Baseline
from pipeline.benchmark.rate.measure import Row
from pipeline.benchmark.rate.summary import mean_rows

_STYLES = {
    "quinr": ("#c0392b", "o-"),
    "quinr-unseen": ("#c0392b", "o--"),
    "quinr-field": ("#f1948a", "o:"),
    "mlp": ("#17202a", "s:"),
    "context-mixing": ("#17202a", "x:"),
    "jpeg-xl": ("#784212", "+-"),
    "jpeg-xl-10": ("#b9770e", "+--"),
    "png": ("#28b463", "v-"),
    "jpeg-ls": ("#117864", "v--"),
    "zstd": ("#707b7c", "x--"),
    "draco": ("#8e44ad", "D-"),
    "laszip": ("#2471a3", "s-"),
}
_OTHERS = ("#17202a", ".:")


def draw_bits(rows: Sequence[Row], baselines: Sequence[Baseline], kind: str = "svg") -> bytes:
    """The figure as a file of this kind: means over scans of those that keep a bound."""
    means = [row for row in mean_rows(rows) if row.goal == "max_error" and row.bits_per_point]
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for one in baselines:
        some = sorted((row for row in means if row.codec == one.name), key=lambda row: row.setting)
        if some:
            colour, style = _STYLES.get(one.name, _OTHERS)
            max_errors, bits = zip(*((r.setting, r.bits_per_point) for r in some), strict=True)
            axes.plot(
                max_errors, bits, style, color=colour, label=one.title, ms=5, lw=1.3, gid=one.name
            )
    max_errors = sorted({row.setting for row in means})
    axes.set_xscale("log")
    axes.set_xticks(max_errors)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda max_error, _: f"{100 * max_error:g}"))
    axes.set_xlabel("guaranteed maximum error, cm")
    axes.set_ylabel("bits a measured point (whole file)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if means:
        axes.legend(fontsize=8)
    buffer = io.BytesIO()
    # The same rows, the same file.
    with matplotlib.rc_context({"svg.hashsalt": "rate"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(buffer, format=kind, dpi=120, metadata=metadata)
    return buffer.getvalue()
