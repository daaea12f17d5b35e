"""Clouds in Open3D's viewer, where there is a display."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.libraries.open3d import import_open3d
from pipeline.viewing.colours import Cloud
from pipeline.viewing.rendering import BACKGROUND, Camera, camera_for

_SIZE = (1600, 900)
_PAUSE = 1 / 60
"""Seconds between two looks at mouse and keyboard."""
_POINT_SIZE = 2.0
_ZOOM = 0.2
_GAP = 1.1
"""Distance of clouds side by side, in widths of a cloud."""


def missing_display() -> str | None:
    """Why no window can be opened here; ``None`` where one can.

    Without a display Open3D would draw into memory and wait for ever for a window to be closed.
    """
    if sys.platform in ("darwin", "win32"):
        return None
    wayland, x11 = os.environ.get("WAYLAND_DISPLAY"), os.environ.get("DISPLAY")
    if not wayland and not x11:
        return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    if (wayland and _wayland_answers(wayland)) or (x11 and _x11_answers()):
        return None
    named = " ".join(
        f"{name}={value}"
        for name, value in (("DISPLAY", x11), ("WAYLAND_DISPLAY", wayland))
        if value
    )
    return f"the display does not answer ({named})"


def show_clouds(clouds: Sequence[Cloud], title: str, *, overlay: bool = False) -> bool:
    """Show clouds until the window is closed.

    Args:
        clouds: Beside each other in this order, from left to right, or in one place.
        title: Title of the window.
        overlay: Whether to show all clouds in one place.

    Returns:
        Whether a window could be opened.

    Raises:
        BackendError: Open3D cannot be imported.
    """
    open3d = import_open3d()
    viewer = open3d.visualization.Visualizer()
    if not viewer.create_window(title, *_SIZE):
        return False
    try:
        step = 0.0 if overlay else _GAP * _width_of(clouds)
        middle = (len(clouds) - 1) / 2
        for number, cloud in enumerate(clouds):
            # y is to the left.
            shift = np.array([0.0, (middle - number) * step, 0.0])
            drawn = open3d.geometry.PointCloud(
                open3d.utility.Vector3dVector(cloud.points.astype(np.float64) + shift)
            )
            drawn.colors = open3d.utility.Vector3dVector(cloud.colours / 255)
            viewer.add_geometry(drawn)
        options = viewer.get_render_option()
        options.background_color = np.array(BACKGROUND) / 255
        options.point_size = _POINT_SIZE
        _look(viewer.get_view_control(), camera_for(clouds[0].points))
        # Its own run() would not let Ctrl-C through.
        while viewer.poll_events():
            viewer.update_renderer()
            time.sleep(_PAUSE)
    finally:
        viewer.destroy_window()
    return True


def _look(control: Any, camera: Camera) -> None:
    control.set_lookat(camera.target)
    control.set_front(camera.eye - camera.target)
    control.set_up(np.array([0.0, 0.0, 1.0]))
    control.set_zoom(_ZOOM)


def _width_of(clouds: Sequence[Cloud]) -> float:
    """From right to left, metres, without the farthest points."""
    sides = [np.percentile(cloud.points[:, 1], (2, 98)) for cloud in clouds if len(cloud.points)]
    return max((float(right - left) for left, right in sides), default=1.0)


def _x11_answers() -> bool:
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        # Open3D could not open a window either.
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(None)
    if not display:
        return False
    x11.XCloseDisplay(display)
    return True


def _wayland_answers(name: str) -> bool:
    # An absolute path stands for itself.
    path = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere")) / name
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
