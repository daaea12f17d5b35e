"""One frame as a figure: range images and the two clouds from above."""

from __future__ import annotations

import io

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry import RangeImage

UNMEASURED = "#d0d0d0"
EXTENT_M = 50.0
"""Half the side of the bird's-eye views."""


def frame_figure(image: RangeImage, decoded: RangeImage, title: str = "") -> Figure:
    """Original, decoded and error range images over the two clouds from above.

    Args:
        image: The original range image.
        decoded: The decoded one, of the same projection; it may hold no valid pixel.
        title: Shown on top, for instance frame, size and PSNR.

    Returns:
        A figure that no window manager knows of; see :func:`figure_png`. Ranges and errors are
        in metres; the error's colours end at its 98th percentile, so that a few outliers do not
        hide the rest.

    Raises:
        GeometryError: the images are of different projections.
    """
    if decoded.projection != image.projection:
        raise GeometryError(f"decoded: expected {image.projection}, got {decoded.projection}")
    figure = Figure(figsize=(13, 11.5), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.add_gridspec(4, 2, height_ratios=(1, 1, 1, 5))
    peak = float(np.ceil(image.no_return / 10) * 10)
    error = np.abs(decoded.ranges - image.ranges)
    both = image.valid & decoded.valid
    top = float(np.percentile(error[both], 98)) if both.any() else 1.0
    panels = [figure.add_subplot(rows[row, :]) for row in range(3)]
    _range_panel(panels[0], "original range image", image, image.ranges, image.valid, peak)
    _range_panel(panels[1], "decoded range image", image, decoded.ranges, decoded.valid, peak)
    _range_panel(
        panels[2], "absolute error where both are measured", image, error, both, top, "error [m]"
    )
    panels[-1].set_xlabel("azimuth to the right [deg]", fontsize=8)
    views = [figure.add_subplot(rows[3, column]) for column in range(2)]
    _bird_eye(views[0], "original cloud from above", image.projection.back_project(image))
    dots = _bird_eye(views[1], "decoded cloud from above", image.projection.back_project(decoded))
    figure.colorbar(dots, ax=views, label="height [m]", pad=0.01, fraction=0.015, extend="both")
    if title:
        figure.suptitle(title)
    return figure


def figure_png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _range_panel(
    axes: Axes,
    title: str,
    image: RangeImage,
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    limit: float,
    label: str = "range [m]",
) -> None:
    """Values where the mask holds, neutral grey elsewhere, with a colour bar in metres."""
    limit = max(limit, 1e-6)  # An image without any error still needs a scale.
    shown = axes.imshow(
        np.where(mask, values, np.nan),
        cmap=_colours("magma" if label.startswith("error") else "viridis"),
        vmin=0,
        vmax=limit,
        aspect="auto",
        interpolation="nearest",
        extent=(-180, 180, image.projection.fov_down, image.projection.fov_up),
    )
    count = f"{np.count_nonzero(mask):,} of {mask.size:,} pixels, the others are grey"
    axes.set_title(f"{title} ({count})", loc="left", fontsize=10)
    axes.set_xticks(range(-180, 181, 45))
    axes.set_ylabel("elevation [deg]", fontsize=8)
    axes.tick_params(labelsize=8)
    # The arrow at the end of the bar says that larger values are cut off.
    extend = "max" if (values[mask] > limit).any() else "neither"
    axes.figure.colorbar(shown, ax=axes, label=label, pad=0.01, fraction=0.03, extend=extend)


def _bird_eye(axes: Axes, title: str, cloud: NDArray[np.float32]) -> PathCollection:
    """Forward (x) is up and left (y) is left, as a driver would see a map."""
    dots = axes.scatter(
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
    shown = np.count_nonzero(np.abs(cloud[:, :2]).max(axis=1) <= EXTENT_M)
    count = f"{shown:,} of {len(cloud):,} points lie in this square"
    axes.set_title(f"{title} ({count})", loc="left", fontsize=10)
    axes.set_xlabel("to the right [m]", fontsize=8)
    axes.set_ylabel("forward [m]", fontsize=8)
    axes.tick_params(labelsize=8)
    return dots


def _colours(name: str) -> Colormap:
    return colormaps[name].with_extremes(bad=UNMEASURED)
