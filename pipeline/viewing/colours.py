"""Colours of clouds, and the scale that a legend shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from pipeline.viewing.frame import ViewedFrame

Colouring = Literal["height", "range", "error"]

_DARKEST, _LIGHTEST = 80, 215
"""Range of greys in which an original is drawn beside or below coloured points."""
EXTRA = (0, 230, 255)
"""Colour of decoded points where the original has none: no error has this colour."""

_MAPS = {"height": "turbo", "range": "viridis", "error": "plasma"}
_LABELS = {"height": "height above the sensor", "range": "range", "error": "range error"}
_SHARES = {"height": (1.0, 99.0), "range": (0.0, 98.0), "error": (0.0, 98.0)}
"""Percentiles between which colours change: a few outliers must not hide the rest."""

_LEAST = 1e-6
"""Metres: a scale without any extent has no colours."""


@dataclass(frozen=True)
class Scale:
    """Which colour stands for which value.

    Attributes:
        kind: What is shown.
        low: Value of the first colour, metres; lower values have it too.
        high: Value of the last colour, metres; higher values have it too.
        beyond: Whether values lie below and above.
    """

    kind: Colouring
    low: float
    high: float
    beyond: tuple[bool, bool] = (False, False)

    @property
    def label(self) -> str:
        """For a legend."""
        return f"{_LABELS[self.kind]} [m]"

    @property
    def map_name(self) -> str:
        """What matplotlib calls the colours."""
        return _MAPS[self.kind]

    @property
    def text(self) -> str:
        """The legend in a line."""
        ends = {"turbo": "blue to red", "viridis": "violet to yellow", "plasma": "blue to yellow"}
        low, high = (f"{value:.3g}" for value in (self.low, self.high))
        return f"colours: {_LABELS[self.kind]}, {low} to {high} m from {ends[self.map_name]}"

    def colours(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """uint8 [N, 3] for values [N]; NaN becomes :data:`EXTRA`."""
        share = (values.astype(np.float64) - self.low) / (self.high - self.low)
        colours = colormaps[self.map_name](np.nan_to_num(share, nan=0.0), bytes=True)[:, :3]
        colours[np.isnan(values)] = EXTRA
        return np.ascontiguousarray(colours)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points with colours.

    Attributes:
        title: For people.
        points: float32 [N, 3], metres.
        colours: uint8 [N, 3].
    """

    title: str
    points: NDArray[np.float32]
    colours: NDArray[np.uint8]


def scale_of(frame: ViewedFrame, kind: Colouring) -> Scale:
    """The scale that shows a frame and its original well.

    Raises:
        DatasetError: errors are wanted and there is no original.
    """
    values = [values_of(frame, kind)]
    if frame.scan is not None and kind != "error":
        values.append(_coordinate(frame.scan.points, kind))
    known = np.concatenate(values)
    known = known[np.isfinite(known)]
    if not len(known):
        return Scale(kind, 0.0, 1.0)
    low, high = (float(value) for value in np.percentile(known, _SHARES[kind]))
    if kind == "error" and frame.promise.max_error is not None and not frame.promise.relative_error:
        # So that frames with the same max error compare at a glance.
        high = frame.promise.max_error
    high = max(high, low + _LEAST)
    return Scale(kind, low, high, (bool(known.min() < low), bool(known.max() > high)))


def clouds_of(frame: ViewedFrame, scale: Scale, *, overlay: bool = False) -> list[Cloud]:
    """The clouds of a frame, the original first.

    It is grey where colours say something of the decoded cloud alone: with errors, and in an
    overlay.
    """
    decoded = Cloud("decoded", frame.points, scale.colours(values_of(frame, scale.kind)))
    if frame.scan is None:
        return [decoded]
    points = frame.scan.points
    if overlay or scale.kind == "error":
        colours = _greys(points)
    else:
        colours = scale.colours(_coordinate(points, scale.kind))
    return [Cloud("original", points, colours), decoded]


def joined(clouds: Sequence[Cloud]) -> Cloud:
    """All points in one cloud."""
    return Cloud(
        " and ".join(cloud.title for cloud in clouds),
        np.concatenate([cloud.points for cloud in clouds]),
        np.concatenate([cloud.colours for cloud in clouds]),
    )


def values_of(frame: ViewedFrame, kind: Colouring) -> NDArray[np.float32]:
    """What colours the decoded points, float32 [N], metres.

    Raises:
        DatasetError: errors are wanted and there is no original.
    """
    return frame.errors if kind == "error" else _coordinate(frame.points, kind)


def _coordinate(points: NDArray[np.float32], kind: Colouring) -> NDArray[np.float32]:
    return points[:, 2] if kind == "height" else np.linalg.norm(points, axis=1).astype(np.float32)


def _greys(points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The higher, the lighter: shapes show without colours, uint8 [N, 3]."""
    if not len(points):
        return np.zeros((0, 3), np.uint8)
    height = points[:, 2].astype(np.float64)
    low, high = np.percentile(height, _SHARES["height"])
    share = np.clip((height - low) / max(high - low, _LEAST), 0, 1)
    grey = (_DARKEST + (_LIGHTEST - _DARKEST) * share).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)
