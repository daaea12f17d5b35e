"""Many pictures on one sheet: original, decoded and error side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from quinr_lidar.errors import GeometryError

PANEL = 192
"""Longest side of a panel, pixels; larger pictures are scaled down, smaller ones stay."""

MAX_ROWS = 96
"""Most rows of a sheet: with more it is no overview, and has many megabytes."""

ERROR_GAIN = 4

_GAP = 8
_LINE = 18
_PAPER, _INK = (255, 255, 255), (20, 20, 20)


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One picture of a sheet: three panels of equal size and a line of text.

    Attributes:
        panels: Original, decoded and error, RGB, at most :data:`PANEL` wide and high.
        caption: Shown above.
    """

    panels: tuple[Image.Image, Image.Image, Image.Image]
    caption: str

    @classmethod
    def of(cls, original: NDArray[np.uint8], decoded: NDArray[np.uint8], caption: str) -> SheetRow:
        """Scale a picture, its decoded form and their difference down to panels.

        The error is ``4 |decoded - original|``, cut off at 255, of every pixel and channel; it
        is scaled down last, so that errors of opposite signs do not cancel.

        Args:
            original: uint8 [H, W] grey, or [H, W, 3] RGB.
            decoded: The same shape.
            caption: One line.

        Raises:
            GeometryError: the shapes differ.
        """
        if original.shape != decoded.shape:
            raise GeometryError(
                f"decoded: expected {list(original.shape)}, got {list(decoded.shape)}"
            )
        difference = np.abs(decoded.astype(np.int16) - original.astype(np.int16))
        error = np.minimum(difference * ERROR_GAIN, 255).astype(np.uint8)
        return cls((_panel(original), _panel(decoded), _panel(error)), caption)


def contact_sheet(rows: Sequence[SheetRow], title: str = "") -> bytes:
    """A PNG of all rows, below a heading for each of the three columns.

    Args:
        rows: 1 to :data:`MAX_ROWS`.
        title: Shown on top.

    Raises:
        GeometryError: no row, or too many.
    """
    if not 1 <= len(rows) <= MAX_ROWS:
        raise GeometryError(f"contact sheet: expected 1 to {MAX_ROWS} rows, got {len(rows)}")
    step = PANEL + _GAP
    top = 2 * _LINE + 2 * _GAP
    heights = [_LINE + row.panels[0].height + _GAP for row in rows]
    sheet = Image.new("RGB", (3 * step + _GAP, top + sum(heights)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = _font()
    draw.text((_GAP, _GAP), title, _INK, font)
    for column, head in enumerate(("original", "decoded", f"error x {ERROR_GAIN}")):
        draw.text((_GAP + column * step, _GAP + _LINE), head, _INK, font)
    for row, height in zip(rows, heights, strict=True):
        draw.text((_GAP, top), row.caption, _INK, font)
        for column, panel in enumerate(row.panels):
            sheet.paste(panel, (_GAP + column * step, top + _LINE))
        top += height
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _panel(image: NDArray[np.uint8]) -> Image.Image:
    panel = Image.fromarray(image).convert("RGB")
    # Shrinks only, and keeps the proportions.
    panel.thumbnail((PANEL, PANEL), Image.Resampling.LANCZOS)
    return panel


def _font() -> ImageFont.FreeTypeFont:
    """Matplotlib's, since Pillow brings none that may be scaled to any size in all versions."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), 12)
