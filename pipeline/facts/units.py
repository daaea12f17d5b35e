"""Figures as people read them: a unit that suits their size, and digits that mean something."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.facts import Kind

NONE = "\u2013"
"""Stands where there is no figure."""

_SPACE = "\u00a0"
"""Keeps number and unit on one line."""


@dataclass(frozen=True)
class Unit:
    """How figures of a column, or a chart, are written.

    Attributes:
        symbol: Empty for a plain number.
        factor: From the stored figure to the shown one.
        digits: Behind the point.
    """

    symbol: str
    factor: float = 1.0
    digits: int = 0

    def number(self, value: float | None) -> str:
        """Without the unit; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return NONE
        return f"{value * self.factor:,.{self.digits}f}"

    def text(self, value: float | None) -> str:
        """With the unit."""
        shown = self.number(value)
        return shown if shown == NONE or not self.symbol else f"{shown}{_SPACE}{self.symbol}"


_SCALES: dict[Kind, tuple[tuple[float, str, float], ...]] = {
    "length": ((0.005, "mm", 1e3), (1.0, "cm", 1e2), (math.inf, "m", 1.0)),
    "bytes": ((1e4, "B", 1.0), (1e6, "kB", 1e-3), (1e9, "MB", 1e-6), (math.inf, "GB", 1e-9)),
    "angle": ((0.1, "mdeg", 1e3), (math.inf, "deg", 1.0)),
    "rate": ((math.inf, "%", 100.0),),
    "turn": ((math.inf, "deg/m", 1.0),),
    "seconds": ((1e4, "s", 1.0), (math.inf, "h", 1 / 3600)),
    "psnr": ((math.inf, "dB", 1.0),),
    "bpp": ((math.inf, "bpp", 1.0),),
    "share": ((math.inf, "", 1.0),),
    "count": ((math.inf, "", 1.0),),
    "ratio": ((math.inf, "", 1.0),),
}
"""Up to which size (of the stored figure) which unit is used."""

_FIXED: dict[Kind, int] = {"psnr": 2, "share": 3, "count": 0}
_SIGNIFICANT = 4
_MOST_DIGITS = 4


def unit_for(kind: Kind | None, values: Iterable[float | None], *, smallest: bool = False) -> Unit:
    """The unit that suits all of some figures.

    Args:
        kind: What the figures are; ``None`` for plain numbers.
        values: As they are stored (metres, bytes, seconds, degrees); ``None`` is left out.
        smallest: Whether the smallest of them decides (where they are to be compared), not the
            largest.
    """
    found = [abs(value) for value in values if value is not None and math.isfinite(value)]
    decides = max(found, default=0.0)
    if smallest:
        decides = min((value for value in found if value > 0), default=0.0)
    _, symbol, factor = next(scale for scale in _SCALES[kind or "ratio"] if decides < scale[0])
    digits = _FIXED.get(kind or "ratio")
    if digits is None:
        shown = decides * factor
        before = math.floor(math.log10(shown)) + 1 if shown > 0 else 1
        # A smallest one may be well below 1, and is to be told from the others.
        wanted = _SIGNIFICANT - 1 - before if smallest else _SIGNIFICANT - max(before, 1)
        digits = min(max(wanted, 0), _MOST_DIGITS)
    return Unit(symbol, factor, 0 if symbol == "B" else digits)


def text_of(kind: Kind | None, value: float | None) -> str:
    """One figure with the unit that suits it."""
    return unit_for(kind, [value]).text(value)


def plain_length(metres: float) -> str:
    """A length that somebody chose, such as a max error: ``2 cm``, not ``2.000 cm``."""
    unit = unit_for("length", [metres])
    return f"{metres * unit.factor:g}{_SPACE}{unit.symbol}"


def format_value(value: Any) -> str:
    """A number with as many digits as a person reads."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
