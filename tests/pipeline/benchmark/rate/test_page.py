"""Rows become figures, a page and a plot."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline.benchmark.rate import registry, summary
from pipeline.benchmark.rate.figure import draw_bits
from pipeline.benchmark.rate.measure import Row
from pipeline.benchmark.rate.page import write_page

ALL = list(registry.BASELINES.values())


ASKED = ("quinr-paper", "quinr-preview", "jpeg-2000")


def row(codec: str, setting: float, bits: float, scan: str = "a", **others) -> Row:
    goal = registry.BASELINES[codec].goal
    base = Row("k", scan, codec, goal, setting, 800, bits * 100, bits, bits / 2)
    return replace(base, **others)


ROWS = [
    row(
        "quinr",
        0.02,
        2.7,
        psnr_db=78.0,
        largest_error_m=0.019,
        parts={"mask": 90.0, "ranges": 180.0},
    ),
    row("quinr", 0.1, 1.5, psnr_db=64.0, largest_error_m=0.09),
    row("quinr", 0.02, 3.2, "b", psnr_db=76.0, largest_error_m=0.02, parts={"mask": 110.0}),
    row("jpeg-xl", 0.02, 3.0, psnr_db=77.0),
    row("jpeg-xl", 0.1, 2.0, psnr_db=63.0),
    row("jpeg-xl", 0.02, 4.0, "b"),
    row("draco", 0.02, 9.0),
    replace(row("draco", 0.02, 0, "b"), bytes=None, bits_per_point=None, error="it broke"),
]


def test_savings():
    fine, coarse = summary.savings(ROWS, "quinr", "jpeg-xl")
    assert (fine.max_error, coarse.max_error) == (0.02, 0.1)
    assert (fine.mean, fine.worst, fine.scans) == (pytest.approx(-15), pytest.approx(-10), 2)
    assert (coarse.mean, coarse.worst, coarse.scans) == (pytest.approx(-25),) * 2 + (1,)
    line = summary.saving_line(ROWS, "quinr", "jpeg-xl")
    assert "2 cm -15.0 % (worst -10.0 %), 10 cm -25.0 % (worst -25.0 %)" in line
    (against,) = summary.savings(ROWS, "quinr", "draco")
    assert against.scans == 1
    assert "not measured" in summary.saving_line(ROWS, "quinr", "png")


def test_means_are_of_all_scans_or_none():
    means = {(one.codec, one.setting): one for one in summary.mean_rows(ROWS)}
    assert set(means) == {("quinr", 0.02), ("jpeg-xl", 0.02)}
    ours = means["quinr", 0.02]
    assert ours.bits_per_point == pytest.approx(2.95)
    assert (ours.psnr_db, ours.largest_error_m) == (77, 0.02)
    assert ours.parts == {"mask": 100, "ranges": 90}
    assert means["jpeg-xl", 0.02].psnr_db is None  # one scan has none


def test_psnr_at_a_rate():
    some = [one for one in ROWS if one.scan == "a"]
    middle = (2.7 * 1.5) ** 0.5 / 2  # of log bits
    assert summary.psnr_at(some, "quinr", middle) == pytest.approx(71)
    assert summary.psnr_at(some, "quinr", 1.35) == pytest.approx(78)
    assert summary.psnr_at(some, "quinr", 1.4) is None
    assert summary.psnr_at(some, "quinr", 0.7) is None
    assert summary.psnr_at(some, "png", 1.0) is None
    # Dearer and no better: no part of the curve.
    worse = [*some, row("quinr", 0.05, 2.0, psnr_db=60.0)]
    assert summary.psnr_at(worse, "quinr", middle) == pytest.approx(71)


def test_curves_in_the_usual_form():
    found = summary.curves(ROWS, ALL)
    assert [(one["source"], one["name"]) for one in found] == [
        *(("a", name) for name in ("quinr", "jpeg-xl", "draco")),
        *(("b", name) for name in ("quinr", "jpeg-xl", "draco")),
        *(("mean", name) for name in ("quinr", "jpeg-xl")),
    ]
    first = found[0]
    assert set(first) == {"name", "description", "source", "results"}
    assert first["results"]["parts"] == [{"mask": 90.0, "ranges": 180.0}, {}]
    assert first["results"]["psnr"] == [78.0, 64.0]
    assert first["results"]["bpp"] == [1.35, 0.75]
    assert first["results"]["max_error"] == [0.02, 0.1]
    failed = found[5]
    assert failed["results"]["bpp"] == []
    json.dumps(found, allow_nan=False)


def test_page():
    page = write_page(ROWS, ALL, "rate.svg", "quinr bench rate x")
    assert "![Bits a point against the bound](rate.svg)" in page
    assert "| quINR, bounded | 2.700 | 1.500 |\n" in page
    assert "| quINR, bounded | 2 cm | 295 | 2.950 | 1.475 | 0.0200 |" in page
    assert "mask 100, ranges 90" in page
    assert "## Mean of 2 scans" in page
    assert "| quINR, bounded | 2.950 |\n" in page
    assert "- b, draco, 2 cm: it broke" in page
    # 64 dB at 0.75 bpp, 78 at 1.35: 64 + 14 log(0.8 / 0.75) / log(1.35 / 0.75).
    assert "| quINR, bounded | 65.54 |  |  |\n" in page
    alone = write_page([one for one in ROWS if one.scan == "a"], ALL, "rate.svg", "x")
    assert "Mean of" not in alone
    assert "| quINR, bounded | 2 cm | 270 | 2.700 | 1.350 | 0.0190 |" in alone
    assert "mask 90, ranges 180" in alone
    assert "Not measured" not in alone


def test_figure_has_a_line_for_each_codec_with_a_bound():
    rows = [one for one in ROWS if one.scan == "a"] + [row("jpeg-2000", 0.8, 1.6)]
    drawn = draw_bits(rows, ALL)
    assert drawn.startswith(b"<?xml")
    for name in ("quinr", "jpeg-xl", "draco"):
        assert f'id="{name}"'.encode() in drawn
    assert b'id="jpeg-2000"' not in drawn
    assert b'id="png"' not in drawn
    assert draw_bits(rows, ALL) == drawn
    assert draw_bits([], ALL, "png")[1:4] == b"PNG"


def test_our_rows_that_count():
    rows = [*ROWS, row("quinr-unseen", 0.02, 2.9), row("quinr-unseen", 0.02, 3.3, "b")]
    fair = summary.fair_rows(rows, {"a"})
    ours = {(one.scan, one.setting): one.bits_per_point for one in fair if one.codec == "quinr"}
    # Of the scan that was seen only what an unseeing entropy model made of it.
    assert ours == {("a", 0.02): 2.9, ("b", 0.02): 3.2}
    assert not any(one.codec == "quinr-unseen" for one in fair)
    assert [one for one in fair if one.codec != "quinr"] == [
        one for one in ROWS if one.codec != "quinr"
    ]
    assert not [one for one in summary.fair_rows(ROWS, {"a", "b"}) if one.codec == "quinr"]


def test_page_tells_what_the_prior_has_seen():
    rows = [*ROWS, row("quinr-unseen", 0.02, 2.85)]
    page = write_page(rows, ALL, "rate.svg", "x", {"a"})
    assert "made from a.\n" in page
    assert "| JPEG XL lossless, effort 9 | 2 cm |\n" in page
    assert "| a * | -5.0 |\n| b | -20.0 |\n| mean | -12.5 |\n| worst | -5.0 |\n" in page
    naive = write_page(rows, ALL, "rate.svg", "x")
    assert "| a | -10.0 | -25.0 |\n| b | -20.0 |  |\n| mean | -15.0 | -25.0 |" in naive


def test_page_compares_models_on_ranges_alone():
    rows = [
        row("quinr", 0.02, 2.7, parts={"mask": 90.0, "ranges": 200.0}, encode_seconds=0.081),
        row("mlp", 0.02, 2.7, parts={"mask": 90.0, "ranges": 210.0}),
    ]
    rows[0] = replace(rows[0], decode_seconds=0.0904, training_seconds=2.0)
    page = write_page(rows, ALL, "rate.svg", "x")
    assert "| quINR, bounded | 2.000 |\n" in page
    assert "| MLP instead of quINR's field, code length | 2.100 |\n" in page
    assert "| 2 cm | 81 | 90 |\n" in page
    assert "takes 2.0 s on top" in page
    assert "ranges layer alone" not in write_page(rows[:1], ALL, "rate.svg", "x")


def test_page_has_psnr_of_equal_files():
    rows = [row(name, 0.2, 0.4, psnr_db=20.0 + at) for at, name in enumerate(ASKED)]
    rows.append(row(ASKED[0], 0.4, 0.8, psnr_db=99.0))
    page = write_page(rows, ALL, "rate.svg", "x")
    assert "## PSNR of files of 0.2 bpp" in page
    for at, name in enumerate(ASKED):
        title = registry.BASELINES[name].title
        assert f"| {title} | {20 + at}.00 | {20 + at}.00 |\n" in page
