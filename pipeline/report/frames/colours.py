"""Colour scales: as bytes for images, as CSS for legends, as lists for charts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray

LEVELS = 64
"""Colours of a scale: people do not see more, and more cost bytes."""

_STOPS = 9


@dataclass(frozen=True)
class Scale:
    """Colours from 0 to a largest value.

    Attributes:
        map: Name of a colour map of matplotlib.
        start: Where in the map the scale begins, in [0, 1]; nothing may be as dark as the ground.
        end: Where it ends, in [0, 1].
    """

    map: str
    start: float = 0.0
    end: float = 1.0

    def paint(self, values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
        """Opaque colours of values: uint8 [..., 4]; beyond ``low`` and ``high`` they stay."""
        span = max(high - low, 1e-9)
        shares = np.clip((np.asarray(values, np.float64) - low) / span, 0.0, 1.0)
        return _table(self)[np.round(shares * (LEVELS - 1)).astype(np.intp)]

    def stops(self) -> list[str]:
        """Evenly spaced colours as ``#rrggbb``."""
        places = np.linspace(self.start, self.end, _STOPS)
        return [to_hex(colormaps[self.map](place)) for place in places]

    def gradient(self) -> str:
        """CSS of a legend's background."""
        return f"linear-gradient(to right, {', '.join(self.stops())})"


@lru_cache
def _table(scale: Scale) -> NDArray[np.uint8]:
    places = np.linspace(scale.start, scale.end, LEVELS)
    return np.round(255 * colormaps[scale.map](places)).astype(np.uint8)


RANGES = Scale("viridis", 0.05)
ERRORS = Scale("inferno", 0.22)
HEIGHTS = Scale("turbo", 0.08, 0.92)
