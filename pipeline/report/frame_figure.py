"""One frame as a picture: range images and the two clouds from above."""

from __future__ import annotations

import io

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from quinr_lidar.geometry import RangeImage

UNMEASURED = "#d0d0d0"
EXTENT_M = 50.0
"""Half the side of the bird's-eye views."""


def frame_figure(image: RangeImage, decoded: RangeImage, title: str = "") -> Figure:
    """Original, decoded and error range images over the two clouds from above.

    Args:
        image: The original range image.
        decoded: The decoded one.
        title: Shown on top, for instance frame, size and PSNR.

    Returns:
        A figure that no window manager knows of; see :func:`figure_png`.
    """
    figure = Figure(figsize=(13, 11.5), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.add_gridspec(4, 2, height_ratios=(1, 1, 1, 5))
    peak = float(np.ceil(image.fill / 10) * 10) or 1.0
    error = np.abs(decoded.ranges - image.ranges)
    both = image.measured & decoded.measured
    top = float(np.percentile(error[both], 98)) if both.any() else 1.0
    panels = (
        ("original range image", image.ranges, image.measured, "viridis", peak, "range [m]"),
        ("decoded range image", decoded.ranges, decoded.measured, "viridis", peak, "range [m]"),
        ("absolute range error where both are measured", error, both, "magma", top, "error [m]"),
    )
    for row, (name, values, mask, colours, limit, label) in enumerate(panels):
        axes = figure.add_subplot(rows[row, :])
        shown = np.where(mask, values, np.nan)
        picture = axes.imshow(
            shown,
            cmap=_colours(colours),
            vmin=0,
            vmax=max(limit, 1e-6),
            aspect="auto",
            interpolation="nearest",
            extent=(-180, 180, image.projection.fov_down, image.projection.fov_up),
        )
        axes.set_title(f"{name} ({np.count_nonzero(mask):,} pixels)", loc="left", fontsize=10)
        axes.set_ylabel("elevation [deg]", fontsize=8)
        axes.tick_params(labelsize=8)
        figure.colorbar(picture, ax=axes, label=label, pad=0.01, fraction=0.03)
        if row == len(panels) - 1:
            axes.set_xlabel("azimuth to the right [deg]", fontsize=8)
    for column, (name, source) in enumerate((("original", image), ("decoded", decoded))):
        axes = figure.add_subplot(rows[3, column])
        _bird_eye(axes, f"{name} cloud from above", source.projection.back_project(source))
    if title:
        figure.suptitle(title)
    return figure


def figure_png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _bird_eye(axes: Axes, title: str, cloud: NDArray[np.float32]) -> None:
    """Forward (x) is up and left (y) is left, as a driver would see a map."""
    axes.scatter(
        -cloud[:, 1],
        cloud[:, 0],
        c=cloud[:, 2],
        s=0.4,
        cmap="turbo",
        vmin=-2.5,
        vmax=2.0,
        linewidths=0,
        rasterized=True,
    )
    axes.set_facecolor("#111418")
    axes.set_xlim(-EXTENT_M, EXTENT_M)
    axes.set_ylim(-EXTENT_M, EXTENT_M)
    axes.set_aspect("equal")
    axes.set_title(f"{title} ({len(cloud):,} points, colour: height)", loc="left", fontsize=10)
    axes.set_xlabel("to the right [m]", fontsize=8)
    axes.set_ylabel("forward [m]", fontsize=8)
    axes.tick_params(labelsize=8)


def _colours(name: str) -> Colormap:
    return colormaps[name].with_extremes(bad=UNMEASURED)
