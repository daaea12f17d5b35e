"""Points to figures, against figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from pipeline.benchmark import summary
from pipeline.benchmark.paper import judge
from pipeline.benchmark.runner import Point
from pipeline.benchmark.summary import best_variants, curve_of

# A doubling of bytes gives 2 dB, at every point.
LINE = [(100.0 * 2**k, 10.0 + 2 * k) for k in range(5)]


def point(name: str, setting: float, source: str = "a.bin", **others: Any) -> Point:
    fields = {"variant", "seed", "label", "parts", "error"}
    figures = {key: value for key, value in others.items() if key not in fields}
    rest = {key: value for key, value in others.items() if key in fields}
    return replace(Point("k", source, "d", name, setting, figures=figures), **rest)


def sized(name: str, size: int, psnr: float, **others: Any) -> Point:
    return point(name, size, **({"bytes": size, "psnr_db": psnr} | others))


SIZED = [
    *(sized("quinr", 100, 11.0 + 0.2 * seed, seed=seed) for seed in range(3)),
    sized("quinr", 200, 13.0),
    sized("siren", 100, 10.0, variant=0, label="shallow"),
    sized("siren", 100, 10.5, variant=1, label="deep"),
    sized("siren", 200, 11.5, variant=1, label="deep"),
    sized("siren", 200, 9.0, variant=0, label="shallow"),
    sized("jpeg2000-8", 100, 7.0, bytes=50),
    sized("jpeg2000-8", 200, 12.0),
    point("coin", 200, error="does not fit"),
]


def ours(setting: float, source: str, bits: float, psnr: float, worst: float, **parts: float):
    figures = {"bits_per_point": bits, "psnr_db": psnr, "largest_error_m": worst}
    return point("quinr-bounded", setting, source, parts=parts, **figures)


BOUNDED = [
    ours(0.02, "a", 2.7, 78.0, 0.019, mask=90.0, ranges=180.0),
    ours(0.1, "a", 1.5, 64.0, 0.09),
    ours(0.02, "b", 3.2, 76.0, 0.02, mask=110.0),
    point("jpeg-xl", 0.02, "a", bits_per_point=3.0, psnr_db=77.0),
    point("jpeg-xl", 0.1, "a", bits_per_point=2.0, psnr_db=63.0),
    point("jpeg-xl", 0.02, "b", bits_per_point=4.0),
    point("draco", 0.02, "a", bits_per_point=9.0),
    point("draco", 0.02, "b", error="it broke"),
]


def test_the_best_variant_by_its_mean_over_seeds():
    best = best_variants(SIZED)
    names = ["quinr", "quinr", "siren", "siren", "jpeg2000-8", "jpeg2000-8"]
    assert [one.baseline for one in best] == names
    figures = best[0].figures
    assert figures["psnr_db"] == pytest.approx(11.2)
    assert (figures["psnr_low_db"], figures["psnr_high_db"], figures["seeds"]) == (11.0, 11.4, 3)
    assert [(p.label, p.figures["psnr_db"]) for p in best[2:4]] == [("deep", 10.5), ("deep", 11.5)]


def test_gains_at_equal_bytes():
    best = best_variants(SIZED)
    assert summary.mean_gain(best, "quinr", "siren", 100) == pytest.approx(0.7)
    assert summary.mean_gain(best, "quinr", "siren", 200) == pytest.approx(1.5)
    # Interpolated in log bytes: 100 bytes lie half way between 50 and 200.
    assert summary.mean_gain(best, "quinr", "jpeg2000-8", 100) == pytest.approx(11.2 - 9.5)
    assert summary.mean_gain(best, "quinr", "qiren", 100) is None
    curves = [curve_of(best, "a.bin", name) for name in ("quinr", "siren", "coin")]
    assert summary.bd_psnr(curves[0], curves[1]) == pytest.approx(-1.1, abs=0.01)
    assert summary.bd_psnr(curves[0], curves[2]) is None


def test_claims_are_judged_by_the_figures():
    name = "quINR is better than a tuned SIREN (scans); up to 1.2 dB"
    siren = {claim.claim: claim for claim in judge(best_variants(SIZED), {})}[name]
    assert siren.judgement == "holds at every size measured"
    assert "+0.70 dB at 100 B" in siren.measured
    worse = [
        replace(p, figures=p.figures | {"psnr_db": 5.0}) if p.baseline == "quinr" else p
        for p in SIZED
    ]
    siren = {claim.claim: claim for claim in judge(best_variants(worse), {})}[name]
    assert siren.judgement == "does not hold"
    shots = {"growth": {"slope": 0.4, "standard_error": 0.1}}
    images = {"judgement": ["QIREN, fit: not reproduced: ...", "quINR, fit: ..."]}
    claims = judge(best_variants(SIZED), {"shots": shots, "small-images": images})
    assert claims[-1].judgement == "not reproduced"
    assert "0.40" in claims[-2].measured


def test_bd_psnr_of_lines():
    assert summary.bd_psnr(LINE, [(size, psnr + 1) for size, psnr in LINE]) == pytest.approx(1)
    doubled = [(2 * size, psnr) for size, psnr in LINE]
    assert summary.bd_psnr(LINE, [doubled[i] for i in (0, 2, 4)]) == pytest.approx(-2)
    # On the common log bytes [2, 3] the gain runs from 0 to 1 dB: half a dB on the mean.
    assert summary.bd_psnr([(100, 10), (1000, 11)], [(100, 10), (1000, 12)]) == pytest.approx(0.5)


def test_bd_psnr_of_a_curve():
    reference = [(100, 10.0), (200, 13.0), (400, 14.0), (800, 14.2), (1600, 14.3)]
    log_sizes = np.log10([size for size, _ in reference])
    spline = PchipInterpolator(log_sizes, [quality for _, quality in reference])
    mean = float(spline.integrate(2, log_sizes[-1])) / (log_sizes[-1] - 2)
    assert summary.bd_psnr(reference, [(100, 10.0), (1600, 15.0)]) == pytest.approx(12.5 - mean)


@pytest.mark.parametrize(
    "other",
    [
        [(5000, 10.0), (9000, 18.0)],  # the same PSNR, other bytes
        [(100, 30.0), (400, 40.0)],  # the same bytes, other PSNR
        [(1600, 18.0), (3200, 20.0)],  # they only touch
        [(100, 10.0)],
    ],
)
def test_no_overlap(other: list[tuple[float, float]]):
    assert summary.bd_psnr(LINE, other) is None
    assert summary.bd_psnr(other, LINE) is None


def test_psnr_at_a_rate():
    assert summary.psnr_at(LINE, 200) == pytest.approx(12)
    assert summary.psnr_at(LINE, 100 * 2**0.5) == pytest.approx(11)
    assert summary.psnr_at(LINE, 1600) == pytest.approx(18)
    assert summary.psnr_at(LINE, 99) is None
    assert summary.psnr_at(LINE, 1601) is None
    assert summary.psnr_at([(100, 7.0)], 100) == 7
    assert summary.psnr_at([], 100) is None


def test_a_curve_has_no_points_that_cost_more_and_are_no_better():
    points = [sized("siren", size, psnr) for size, psnr in ((100, 10.0), (400, 9.5), (200, 12.0))]
    assert curve_of(points, "a.bin", "siren") == [(100, 10.0), (200, 12.0)]


def test_savings():
    fine, coarse = summary.savings(BOUNDED, "quinr-bounded", "jpeg-xl")
    assert (fine["max_error"], fine["scans"]) == (0.02, 2)
    assert (fine["mean"], fine["worst"]) == (pytest.approx(-15), pytest.approx(-10))
    assert (coarse["max_error"], coarse["scans"]) == (0.1, 1)
    assert coarse["mean"] == coarse["worst"] == pytest.approx(-25)
    (against,) = summary.savings(BOUNDED, "quinr-bounded", "draco")
    assert against["scans"] == 1
    assert summary.savings(BOUNDED, "quinr-bounded", "png") == []


def test_means_are_of_all_scans_or_none():
    means = {(one.baseline, one.setting): one for one in summary.means_over_sources(BOUNDED)}
    assert set(means) == {("quinr-bounded", 0.02), ("jpeg-xl", 0.02)}
    mean = means["quinr-bounded", 0.02]
    assert mean.figures["bits_per_point"] == pytest.approx(2.95)
    assert (mean.figures["psnr_db"], mean.figures["largest_error_m"]) == (77, 0.02)
    assert mean.parts == {"mask": 100, "ranges": 90}
    assert "psnr_db" not in means["jpeg-xl", 0.02].figures  # one scan has none


def test_our_points_that_count():
    unseen = [point("quinr-unseen", 0.02, scan, bits_per_point=3.3) for scan in "ab"]
    fair = summary.fair_points([*BOUNDED, *unseen], {"a"})
    counting = {
        (one.source, one.setting): one.figures["bits_per_point"]
        for one in fair
        if one.baseline == "quinr-bounded"
    }
    # Of the scan that was seen only what another model made of it.
    assert counting == {("a", 0.02): 3.3, ("b", 0.02): 3.2}
    assert not any(one.baseline == "quinr-unseen" for one in fair)
    assert len(fair) == len(BOUNDED) - 1
