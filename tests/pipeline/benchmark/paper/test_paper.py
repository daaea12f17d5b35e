"""The comparison at equal bytes: its arithmetic, and the command end to end on tiny inputs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.benchmark.paper import run
from pipeline.benchmark.paper.baselines import BASELINES, PICTURE_SIZES, SCAN_SIZES
from pipeline.benchmark.paper.claims import judge
from pipeline.benchmark.paper.curves import delta, make_curves, mean_gain
from pipeline.benchmark.paper.figure import draw_curves
from pipeline.benchmark.paper.page import write_page
from pipeline.benchmark.paper.points import Point, PointJob, run_point
from pipeline.benchmark.paper.run import Plan, run_plan
from pipeline.cli.main import app
from pipeline.datasets.sources import picture_bytes
from pipeline.storage.journal import Journal
from quinr_lidar.errors import DatasetError
from quinr_lidar.fields.field import parameter_count


@pytest.fixture
def picture(tmp_path):
    y, x = np.mgrid[0:1:24j, 0:1:36j]
    values = np.stack((0.5 + 0.4 * np.sin(3 * x + y), x, 1 - 0.8 * y * x), -1)
    path = tmp_path / "picture.png"
    path.write_bytes(picture_bytes(np.rint(255 * values).astype(np.uint8)))
    return path


@pytest.fixture
def scan(tmp_path):
    azimuth = np.linspace(-np.pi, np.pi, 2000)
    rows = np.deg2rad(np.linspace(-20, 2, 30))[:, None]
    ranges = 15 + 5 * np.cos(azimuth) + 0 * rows
    points = np.stack(
        (
            ranges * np.cos(rows) * np.cos(azimuth),
            ranges * np.cos(rows) * np.sin(azimuth),
            ranges * np.sin(rows),
            0 * ranges,
        ),
        -1,
    )
    path = tmp_path / "scan.bin"
    points.reshape(-1, 4).astype("<f4").tofile(path)
    return path


def point(name: str, size: int, psnr: float, seed: int = 0, label: str = "a", **other) -> Point:
    key = f"{name}{size}{seed}{label}"
    made = Point(key, "scan.bin", name, label, size, seed, size, size / 8192, psnr, psnr + 0.1, 2.0)
    return replace(made, **other)


POINTS = [
    *(point("quinr", 100, 11.0 + 0.2 * seed, seed) for seed in range(3)),
    point("quinr", 200, 13.0),
    point("siren", 100, 10.0, label="shallow"),
    point("siren", 100, 10.5, label="deep"),
    point("siren", 200, 11.5, label="deep"),
    point("siren", 200, 9.0, label="shallow"),
    point("codec:jpeg2000-8", 100, 7.0, bytes=50, label=""),
    point("codec:jpeg2000-8", 200, 12.0, bytes=200, label=""),
    point("coin", 200, 1.0, psnr_db=None, bytes=None, error="does not fit"),
]


def test_curves_have_means_spreads_and_the_best_field():
    quinr, siren, codec = make_curves(POINTS)
    assert [curve.name for curve in (quinr, siren, codec)] == ["quinr", "siren", "codec:jpeg2000-8"]
    first = quinr.at(100)
    assert first is not None
    assert (first.psnr_db, first.low_db, first.high_db, first.seeds) == (11.2, 11.0, 11.4, 3)
    assert first.loss_db == pytest.approx(0.1)
    assert [(p.label, p.psnr_db) for p in siren.points] == [("deep", 10.5), ("deep", 11.5)]
    assert quinr.as_dict()["results"]["psnr"] == [11.2, 13.0]


def test_gains_at_equal_bytes():
    curves = make_curves(POINTS)
    assert mean_gain(curves, "quinr", "siren", 100) == pytest.approx(0.7)
    assert mean_gain(curves, "quinr", "siren", 200) == pytest.approx(1.5)
    # Interpolated in log bytes: 100 bytes lie half way between 50 and 200.
    assert mean_gain(curves, "quinr", "codec:jpeg2000-8", 100) == pytest.approx(11.2 - 9.5)
    assert mean_gain(curves, "quinr", "qiren", 100) is None
    assert delta(curves, "scan.bin", "siren", "quinr") == pytest.approx(-1.1, abs=0.01)
    assert delta(curves, "scan.bin", "coin", "quinr") is None


def test_claims_are_judged_by_the_figures():
    texts = {claim.claim: claim for claim in judge(make_curves(POINTS), {})}
    siren = texts["quINR is better than a tuned SIREN (scans); up to 1.2 dB"]
    assert siren.judgement == "holds at every size measured"
    assert "+0.70 dB at 100 B" in siren.measured
    worse = [replace(p, psnr_db=5.0) if p.name == "quinr" else p for p in POINTS]
    texts = {claim.claim: claim for claim in judge(make_curves(worse), {})}
    siren = texts["quINR is better than a tuned SIREN (scans); up to 1.2 dB"]
    assert siren.judgement == "does not hold"
    shots = {"growth": {"slope": 0.4, "standard_error": 0.1}}
    images = {"judgement": ["QIREN, fit: not reproduced: ...", "quINR, fit: ..."]}
    claims = judge(make_curves(POINTS), {"shots": shots, "small-images": images})
    assert claims[-1].judgement == "not reproduced"
    assert "0.40" in claims[-2].measured


def test_the_page_and_the_figure_show_them(tmp_path):
    curves = make_curves(POINTS)
    page = write_page(curves, judge(curves, {}), tmp_path / "x.svg", "quinr bench paper")
    assert "| quINR | 11.20 ± 0.20 | 13.00 |" in page
    assert "| SIREN, tuned | 10.50 | 11.50 | -1.10 dB |" in page
    assert "7.00 (50 B)" in page
    assert draw_curves(curves).startswith(b"<?xml")
    assert draw_curves(curves, "png")[1:4] == b"PNG"


@pytest.mark.parametrize("name", BASELINES)
def test_fields_about_fill_their_sizes(name):
    for channels, sizes in ((1, SCAN_SIZES), (3, PICTURE_SIZES)):
        for size in sizes:
            for entry in BASELINES[name].enter(size, channels):
                assert entry.field.outputs == channels
                bits = 8 * (size - 34) / parameter_count(entry.field)
                assert 4 < bits < 20, (name, size, entry.label)


@pytest.mark.parametrize(
    "name",
    ["quinr", "coin", *(pytest.param(name, marks=pytest.mark.slow) for name in ("siren", "qiren"))],
)
def test_a_point_of_a_picture(picture, name):
    found = run_point(PointJob(picture, name, 150, share=0.002))
    assert found.error is None
    assert found.bytes is not None
    assert found.bytes <= 165
    assert found.bpp == pytest.approx(8 * found.bytes / (24 * 36), rel=1e-4)
    assert found.psnr_db is not None
    assert found.psnr_db > 5


@pytest.mark.parametrize("name", ["quinr", "quinr-split", "quinr-depth", "codec:jpeg2000-8"])
def test_a_point_of_a_scan(scan, name):
    found = run_point(PointJob(scan, name, 350, share=0.002))
    assert found.error is None
    assert found.bytes is not None
    assert found.bytes <= 350
    assert found.psnr_db is not None
    assert 3 < found.psnr_db < 60


def test_what_is_known_is_not_run_again(picture, tmp_path, monkeypatch):
    plan = Plan((picture,), seeds=1, share=0.002, sizes=(150,), names=("quinr",), codecs=())
    journal = tmp_path / "points.jsonl"
    first = run_plan(plan, journal, workers=1)
    assert [one.name for one in first] == ["quinr"]
    with journal.open("a") as file:
        file.write('{"cut')
    monkeypatch.setattr(run, "new_pool", None)  # would fail if anything were to run
    assert run_plan(plan, journal, workers=1) == first
    assert list(Journal(journal, Point).entries) == [first[0].key]
    with pytest.raises(DatasetError, match="nobody"):
        run_plan(replace(plan, names=("nobody",)), journal, workers=1)


def test_further_pictures_have_only_the_main_contestants(picture, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes(picture.read_bytes())
    jobs = Plan((picture, other), seeds=2, codecs=()).jobs()
    assert {job.name for job in jobs if job.source == other} == {"quinr", "quinr-1", "siren"}
    assert {job.seed for job in jobs if job.name == "fourier-relu"} == {0}
    assert {job.seed for job in jobs if job.name == "siren"} == {0, 1}


def test_the_command_writes_page_figure_and_json(picture, tmp_path):
    out = tmp_path / "out"
    options = ["--sizes", "150", "--baselines", "quinr,siren", "--no-codecs", "--quick"]
    arguments = ["bench", "paper", str(picture), "-o", str(out), *options, "--workers", "1"]
    finished = CliRunner().invoke(app, [*arguments, "--json"])
    assert finished.exit_code == 0, finished.output
    assert {curve["name"] for curve in json.loads(finished.stdout)} == {"quinr", "siren"}
    assert "# Results" in (tmp_path / "out.md").read_text()
    assert (out / "rate-distortion.svg").read_bytes().startswith(b"<?xml")
    document = json.loads((out / "results.json").read_text())
    assert len(document["claims"]) == 9
    (tmp_path / "out.md").unlink()
    again = CliRunner().invoke(app, [*arguments, "--report"])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out.md").exists()
