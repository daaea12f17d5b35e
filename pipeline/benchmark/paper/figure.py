"""PSNR against bits a pixel, a panel for each source."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.benchmark.paper.curves import Curve

_STYLES = {
    "quinr": ("#c0392b", "o-"),
    "quinr-1": ("#e59866", "o--"),
    "quinr-split": ("#c0392b", "s:"),
    "siren": ("#2471a3", "^-"),
    "siren-split": ("#2471a3", "s:"),
    "coin": ("#7fb3d5", "^--"),
    "fourier-relu": ("#28b463", "v-"),
    "fourier-tanh": ("#82e0aa", "v--"),
    "qiren": ("#8e44ad", "D-"),
    "codec:jpeg2000-8": ("#17202a", "x-"),
    "codec:jpeg2000-16": ("#707b7c", "x--"),
    "codec:jpeg": ("#b7950b", "+-"),
    "codec:jpeg-xl": ("#784212", "+--"),
    "codec:webp": ("#117864", "+:"),
}


def draw_curves(curves: Sequence[Curve], kind: str = "svg") -> bytes:
    """The figure as a file of this kind; the paper's letter is left to the tables."""
    sources = sorted({curve.source for curve in curves})
    columns = min(2, len(sources))
    rows = -(-len(sources) // columns)
    figure = Figure(figsize=(7.5 * columns, 5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, source in enumerate(sources, 1):
        _panel(figure.add_subplot(rows, columns, number), source, curves)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _panel(axes: Axes, source: str, curves: Sequence[Curve]) -> None:
    shown = [one for one in curves if one.source == source and one.name in _STYLES]
    widest = max((p.bpp for one in shown for p in one.points if one.name == "quinr"), default=None)
    for curve in shown:
        colour, style = _STYLES[curve.name]
        points = [p for p in curve.points if widest is None or p.bpp <= 1.6 * widest]
        if not points:
            continue
        axes.errorbar(
            [p.bpp for p in points],
            [p.psnr_db for p in points],
            yerr=[
                [p.psnr_db - p.low_db for p in points],
                [p.high_db - p.psnr_db for p in points],
            ],
            fmt=style,
            color=colour,
            label=curve.title,
            markersize=4,
            linewidth=1.2,
            capsize=2,
        )
    axes.set_xscale("log")
    axes.set_xlabel("bits a pixel (whole file)")
    axes.set_ylabel("PSNR, dB")
    axes.set_title(source)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7)
