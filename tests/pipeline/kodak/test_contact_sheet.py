from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.kodak.contact_sheet import MAX_ROWS, PANEL, SheetRow, contact_sheet
from quinr_lidar.errors import GeometryError


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def flat(value: tuple[int, ...] | int, height: int = 30, width: int = 40) -> np.ndarray:
    shape = (height, width, 3) if isinstance(value, tuple) else (height, width)
    return np.full(shape, value, np.uint8)


def test_panels_are_original_decoded_and_four_times_the_error():
    row = SheetRow.of(flat((10, 100, 200)), flat((20, 90, 100)), "x")
    colours = [panel.getpixel((5, 5)) for panel in row.panels]
    assert colours == [(10, 100, 200), (20, 90, 100), (40, 40, 255)]
    assert {panel.size for panel in row.panels} == {(40, 30)}, "small pictures stay"


def test_grey_pictures_are_shown_too():
    row = SheetRow.of(flat(50), flat(47), "x")
    assert [panel.getpixel((0, 0)) for panel in row.panels] == [(v,) * 3 for v in (50, 47, 12)]


def test_errors_of_opposite_signs_do_not_cancel():
    original = flat(100, 2 * PANEL, 2 * PANEL)
    decoded = original.copy()
    decoded[::2], decoded[1::2] = 110, 90
    error = np.asarray(SheetRow.of(original, decoded, "x").panels[2])
    assert np.ptp(error) == 0
    assert error[0, 0, 0] == 40


def test_large_pictures_shrink_in_proportion():
    wide = SheetRow.of(flat(1, 2 * PANEL, 4 * PANEL), flat(2, 2 * PANEL, 4 * PANEL), "x")
    assert wide.panels[0].size == (PANEL, PANEL // 2)
    tall = SheetRow.of(flat(1, 4 * PANEL, 2 * PANEL), flat(2, 4 * PANEL, 2 * PANEL), "x")
    assert tall.panels[0].size == (PANEL // 2, PANEL)


def test_every_panel_is_on_the_sheet_in_its_place():
    colours = [(200, 0, 0), (0, 200, 0)]
    rows = [SheetRow.of(flat(c), flat((0, 0, 100)), f"picture {c}") for c in colours]
    sheet = opened(contact_sheet(rows, "title"))
    places = []
    for colour in colours:
        found = np.argwhere((sheet == colour).all(axis=-1))
        (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
        assert (bottom - top, right - left) == (30, 40)
        assert len(found) == 30 * 40
        places.append((top, left))
        # To its right, beginning in columns of equal width, the decoded panel and the error.
        assert tuple(sheet[top, left + (right - left) - 1]) == colour
    blue = np.argwhere((sheet == (0, 0, 100)).all(axis=-1))
    assert len(blue) == 2 * 30 * 40
    assert blue[:, 1].min() > PANEL
    assert places[0][0] + 30 < places[1][0]
    assert places[0][1] == places[1][1]


def test_captions_are_drawn():
    rows = [[SheetRow.of(flat(255), flat(255), text)] for text in ("", "143 bytes")]
    blank, captioned = (opened(contact_sheet(row)) for row in rows)
    assert (blank != captioned).any(axis=-1).sum() > 50


def test_the_number_of_rows_has_limits():
    row = SheetRow.of(flat(0), flat(0), "x")
    for rows in ([], [row] * (MAX_ROWS + 1)):
        with pytest.raises(GeometryError, match="expected 1 to"):
            contact_sheet(rows)


def test_pictures_of_two_shapes_are_refused():
    with pytest.raises(GeometryError, match="decoded: expected"):
        SheetRow.of(flat(0), flat(0, 31), "x")
