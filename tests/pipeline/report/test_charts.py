from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.facts.units import NONE, Unit, plain_length, text_of, unit_for
from pipeline.report.page.charts import MAX_FRAMES, charts_of, histogram, sample
from tests.support.reports import FRAMES, evaluation_of


def test_every_chart_holds_the_figures_of_its_frames(archive):
    evaluation = evaluation_of(archive)
    records = {one.frame: one for one in evaluation.records}
    made = charts_of(archive.rows, records)
    data = {chart["key"]: chart for chart in made.data["charts"]}
    psnr = data["chart-psnr_db"]
    expected = [row.figures["psnr_db"] for row in archive.rows]
    np.testing.assert_allclose(psnr["lines"][0]["y"], expected, rtol=1e-5)
    assert psnr["unit"] == "dB"
    error = data["chart-largest_error_m"]
    assert error["unit"] == "cm"
    assert error["limit"]["y"] == [2.0] * FRAMES
    both = data["chart-codec-psnr"]
    assert [line["y"] for line in both["lines"]] == [
        [80, 81, 82, 83, 84],
        [85, 86, 87, 88, 89],
    ]
    assert data["chart-registration"]["lines"][0]["y"] == [None, 2, 2, 2, 2]
    assert made.data["frames"] == [row.frame_id for row in archive.rows]
    names = [path["name"] for path in made.data["path"]]
    assert names[0] == "ground truth"
    assert len(names) == 4
    assert made.data["path"][3]["x"] == pytest.approx([1.04 * index for index in range(FRAMES)])


def test_without_an_evaluation_there_are_no_charts_of_one(archive):
    made = charts_of(archive.rows, {})
    assert made.path == {}
    assert [chart.key for chart in made.charts] == [
        f"chart-{name}"
        for name in (
            "bytes",
            "bpp",
            "psnr_db",
            "chamfer_m",
            "largest_error_m",
            "encode_seconds",
        )
    ]
    assert charts_of([], {}).charts == []


def test_long_drives_keep_every_extreme():
    generator = np.random.default_rng(0)
    columns = generator.normal(size=(3, 50_000))
    columns[0, 31_415], columns[1, 27_182] = 100, -100
    shown = sample(50_000, columns.tolist(), MAX_FRAMES)
    assert len(shown) <= MAX_FRAMES + 2
    assert shown == sorted(set(shown))
    assert {0, 49_999, 31_415, 27_182} <= set(shown)
    for column in columns:
        assert column[shown].max() == column.max()
        assert column[shown].min() == column.min()
    assert np.diff(shown).max() < 50_000 / 100


def test_sampling_copes_with_figures_that_are_missing():
    column = [None] * 5000
    assert {0, 4999} <= set(sample(5000, [column], 100))
    column[4321] = 1.0
    assert 4321 in sample(5000, [column], 100)


@settings(deadline=None)
@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=60))
def test_histograms_count_every_value(values):
    found = histogram(values, Unit("cm", 100.0))
    known = np.array([value for value in values if value is not None]) * 100
    assert sum(found["counts"]) == len(known)
    if len(known):
        edges = found["edges"]
        assert len(edges) == len(found["counts"]) + 1
        assert edges[0] <= known.min() + abs(known.min()) * 1e-5
        assert edges[-1] >= known.max() - abs(known.max()) * 1e-5


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("length", 0.0199909, "1.999 cm"),
        ("length", 0.001, "1.000 mm"),
        ("length", 2.4536, "2.454 m"),
        ("bytes", 212.0, "212 B"),
        ("bytes", 14608.0, "14.61 kB"),
        ("bytes", 1.8e9, "1.800 GB"),
        ("psnr", 77.7917, "77.79 dB"),
        ("rate", 0.00481, "0.481 %"),
        ("share", 0.9427, "0.943"),
        ("angle", 0.0046, "4.600 mdeg"),
        ("length", None, NONE),
        ("length", math.nan, NONE),
    ],
)
def test_figures_are_written_as_people_read_them(kind, value, text):
    assert text_of(kind, value).replace("\u00a0", " ") == text


def test_a_column_has_one_unit():
    unit = unit_for("length", [0.02, 15.1])
    assert [unit.text(value) for value in (0.02, 15.1)] == ["0.02\u00a0m", "15.10\u00a0m"]
    small = unit_for("length", [0.02, 15.1, None], smallest=True)
    assert [small.number(value) for value in (0.02, 15.1, None)] == ["2.00", "1,510.00", NONE]
    assert unit_for("length", []).number(None) == NONE
    assert plain_length(0.02) == "2\u00a0cm"
