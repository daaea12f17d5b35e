"""A frame's clouds as an image with a legend, drawn without a display."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.viewing.colours import EXTRA, Cloud, Scale, joined
from pipeline.viewing.rendering import BACKGROUND, Camera, camera_for, render

_WIDTH, _HEIGHT = 960, 640
"""Pixels of a cloud's panel."""
_MARGIN = 75
"""Pixels above for the title, and below for the legend."""
_DPI = 100
_TEXT = "#d8dce2"
_GROUND = "#{:02x}{:02x}{:02x}".format(*BACKGROUND)


def screenshot_png(
    clouds: Sequence[Cloud], scale: Scale, title: str, *, overlay: bool = False
) -> bytes:
    """Clouds side by side, or one over the other, as the bytes of a PNG file.

    Args:
        clouds: One or two.
        scale: Scale of their colours, for the legend.
        title: Shown on top.
        overlay: Whether to draw all clouds in one panel.
    """
    camera = camera_for(clouds[0].points)
    panels = [joined(clouds)] if overlay and len(clouds) > 1 else list(clouds)
    width, height = _WIDTH * len(panels), _HEIGHT + 2 * _MARGIN
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_GROUND)
    FigureCanvasAgg(figure)
    for number, cloud in enumerate(panels):
        place = (number / len(panels), _MARGIN / height, 1 / len(panels), _HEIGHT / height)
        _panel(figure.add_axes(place), cloud, camera)
    figure.suptitle(title, color=_TEXT, fontsize=13, y=0.985, va="top")
    _legend(figure, scale, clouds)
    if len(panels) < len(clouds):
        figure.text(0.01, 0.03, "grey: the original", color=_TEXT, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor=_GROUND)
    return buffer.getvalue()


def _panel(axes: Axes, cloud: Cloud, camera: Camera) -> None:
    axes.imshow(render(cloud.points, cloud.colours, camera, _WIDTH, _HEIGHT))
    axes.set_axis_off()
    name = f"{cloud.title}: {len(cloud.points):,} points"
    axes.set_title(name, color=_TEXT, fontsize=11, pad=6)


def _legend(figure: Figure, scale: Scale, clouds: Sequence[Cloud]) -> None:
    axes = figure.add_axes((0.3, 0.055, 0.4, 0.018))
    below, above = scale.beyond
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    shown = ScalarMappable(Normalize(scale.low, scale.high), scale.map_name)
    bar = figure.colorbar(shown, cax=axes, orientation="horizontal", extend=extend)
    bar.set_label(scale.label, color=_TEXT, fontsize=9)
    bar.outline.set_edgecolor(_TEXT)  # pyright: ignore[reportAttributeAccessIssue]
    axes.tick_params(colors=_TEXT, labelsize=8)
    extra = (clouds[-1].colours == EXTRA).all(axis=1).sum()
    if extra:
        colour = "#{:02x}{:02x}{:02x}".format(*EXTRA)
        text = f"{extra:,} points where the original has none"
        figure.text(0.99, 0.03, text, color=colour, fontsize=9, ha="right")
