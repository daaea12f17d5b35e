"""The comparisons as a whole: planned, measured, resumable, two commands."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.benchmark import registry
from pipeline.benchmark.baseline import Baseline, Encoded, Request
from pipeline.benchmark.baselines.fields import FIELDS, PICTURE_SIZES, SCAN_SIZES
from pipeline.benchmark.figures import draw_bits, draw_curves
from pipeline.benchmark.paper import plan_paper
from pipeline.benchmark.rate import SIZES, plan_rate
from pipeline.benchmark.runner import Job, Point, find_sources, run_job, run_jobs
from pipeline.cli.main import app
from pipeline.datasets.pictures import picture_bytes
from quinr_lidar.errors import DatasetError, GeometryError, StorageError
from quinr_lidar.fields.field import parameter_count


@pytest.fixture
def picture(tmp_path) -> Path:
    y, x = np.mgrid[0:1:24j, 0:1:36j]
    values = np.stack((0.5 + 0.4 * np.sin(3 * x + y), x, 1 - 0.8 * y * x), -1)
    path = tmp_path / "picture.png"
    path.write_bytes(picture_bytes(np.rint(255 * values).astype(np.uint8)))
    return path


@pytest.fixture
def asked(monkeypatch) -> list[float]:
    """The settings that a baseline named "counted" was asked for."""
    settings: list[float] = []

    def encode(image, request: Request) -> Encoded:
        settings.append(request.setting)
        if request.setting > 1:
            raise GeometryError("too far")
        if request.setting == 0.25:
            raise ZeroDivisionError("a bug")
        return Encoded(100 / request.setting)

    one = Baseline("counted", "Counted", "max_error", {"": encode}, None, lambda _: "1")
    monkeypatch.setitem(registry.BASELINES, "counted", one)
    return settings


def jobs_of(scans: list[Path], *settings: float) -> list[Job]:
    return [
        Job(one, "counted", Request(setting)) for one in find_sources(scans) for setting in settings
    ]


def test_a_second_run_goes_on(tmp_path, asked, monkeypatch, write_scan):
    scan, journal = write_scan(tmp_path / "a.bin"), tmp_path / "out" / "points.jsonl"
    first = run_jobs(jobs_of([scan], 0.5), journal)
    jobs = jobs_of([scan], 0.1, 0.5)
    said: list[Point] = []
    points = run_jobs(jobs, journal, progress=said.append)
    assert asked == [0.5, 0.1]
    assert [point.setting for point in points] == [0.1, 0.5]
    assert points[1] == first[0]
    assert sorted(point.setting for point in said) == [0.1, 0.5]
    # A line cut short by a crash costs that point alone, and no line after it.
    journal.write_bytes(journal.read_bytes()[:-20])
    assert run_jobs(jobs, journal) == points
    assert run_jobs(jobs, journal) == points
    assert asked == [0.5, 0.1, 0.1]
    # Another scan of that name, another version of the codec: measured again.
    write_scan(scan, seed=1)
    run_jobs(jobs_of([scan], 0.5), journal)
    newer = replace(registry.BASELINES["counted"], version=lambda _: "2")
    monkeypatch.setitem(registry.BASELINES, "counted", newer)
    run_jobs(jobs_of([scan], 0.5), journal)
    assert asked == [0.5, 0.1, 0.1, 0.5, 0.5]


def test_equal_scans_keep_their_names(tmp_path, asked, write_scan):
    scans = [write_scan(tmp_path / name / "scan.bin") for name in "ab"]
    (alone,) = run_jobs(jobs_of(scans[:1], 0.5), tmp_path / "points.jsonl")
    both = run_jobs(jobs_of(scans, 0.5), tmp_path / "points.jsonl")
    assert alone.source == "scan.bin"
    assert [one.source for one in both] == [str(path) for path in scans]
    assert both[0].figures == both[1].figures == alone.figures
    assert asked == [0.5]


def test_failures_are_told_and_tried_again(tmp_path, asked, write_scan):
    jobs = jobs_of([write_scan(tmp_path / "a.bin")], 0.25, 0.5, 2.0)
    for _ in range(2):
        bug, fine, far = run_jobs(jobs, tmp_path / "points.jsonl")
        assert (bug.error, fine.error, far.error) == ("ZeroDivisionError: a bug", None, "too far")
        assert fine.figures["bytes"] == 200
    assert asked == [0.25, 0.5, 2.0, 0.25, 2.0]


def test_a_journal_that_cannot_be_written(tmp_path, asked, write_scan):
    jobs = jobs_of([write_scan(tmp_path / "a.bin")], 0.5)
    with pytest.raises(StorageError, match=f"{tmp_path}: Is a directory"):
        run_jobs(jobs, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="points"):
        run_jobs(jobs, tmp_path / "file" / "points.jsonl")
    assert asked == []


def test_plan_of_rates(tmp_path, write_scan):
    first = write_scan(tmp_path / "00" / "velodyne" / "000000.bin")
    second = write_scan(tmp_path / "training" / "velodyne" / "000000.bin")
    third, fourth = (write_scan(tmp_path / name / "scan.bin") for name in "ab")
    sources = find_sources([first, second, third, fourth, first])
    labels = ["00/000000.bin", "training/000000.bin", str(third), str(fourth)]
    assert [one.label for one in sources] == labels
    jobs = plan_rate(sources, ["png", "jpeg2000-16"], (0.1, 0.02, 0.1))
    per_scan = [("png", 0.02), ("png", 0.1), *(("jpeg2000-16", size) for size in SIZES)]
    assert [(job.baseline, job.request.setting) for job in jobs] == 4 * per_scan
    assert len({job.key for job in jobs[: len(per_scan)]}) == len(per_scan)
    usual = {job.baseline for job in plan_rate(sources[:1])}
    assert usual == {one.name for one in registry.RATE if not one.optional}
    assert {"quinr-bounded", "jpeg-xl"} < usual
    (alone,) = plan_rate(sources[:1], ["quinr-paper"])
    assert alone.request.setting == 1638
    with pytest.raises(DatasetError, match=r"expected some of .*jpeg-xl, .*got jpeg-xxl"):
        plan_rate(sources, ["jpeg-xxl"])
    for max_error in (0, -0.1, float("nan"), float("inf")):
        with pytest.raises(DatasetError, match="max_errors"):
            plan_rate(sources, ["png"], (0.1, max_error))
    with pytest.raises(StorageError, match=r"missing\.bin"):
        find_sources([tmp_path / "missing.bin"])


def test_jobs_of_those_that_learn_depend_on_what_they_learn_from(scans, tmp_path, monkeypatch):
    sources = find_sources(list(scans.values()))
    keys = [job.key for job in plan_rate(sources, ["quinr-field"], (0.1,), tmp_path)]
    assert len(set(keys)) == 3
    assert keys == [job.key for job in plan_rate(sources, ["quinr-field"], (0.1,), Path("other"))]
    monkeypatch.setattr("pipeline.benchmark.training_sets.QUICK_COPIES", 3)
    again = [job.key for job in plan_rate(sources, ["quinr-field"], (0.1,), tmp_path)]
    assert [one == other for one, other in zip(keys, again, strict=True)] == [False, False, True]
    with pytest.raises(DatasetError, match=r"old/b\.bin"):
        plan_rate(sources[:1], ["mlp"], (0.1,), tmp_path)
    # Models' own tables are of scans that were not learnt from.
    models = plan_rate(sources, ["model-all-8"], (), tmp_path)
    assert {job.source.label for job in models} == {"c.bin"}


@pytest.mark.parametrize("one", FIELDS, ids=lambda one: one.name)
def test_fields_about_fill_their_sizes(one):
    from pipeline.benchmark.baselines import fields

    enter = one.ways[""].args[0]
    for channels, sizes in ((1, SCAN_SIZES), (3, PICTURE_SIZES)):
        for size in sizes:
            entries = enter(size, channels)
            assert [fields.label_of(field) for field, _ in entries] == one.variants(size, channels)
            for field, _ in entries:
                assert field.outputs == channels
                assert 4 < 8 * (size - 34) / parameter_count(field) < 20, (one.name, size)


@pytest.mark.parametrize(
    "name",
    ["quinr", "coin", *(pytest.param(name, marks=pytest.mark.slow) for name in ("siren", "qiren"))],
)
def test_a_point_of_a_picture(picture, name):
    (source,) = find_sources([picture])
    found = run_job(Job(source, name, Request(150, 3, share=0.002)))
    assert found.error is None
    assert found.figures["bytes"] <= 165
    assert found.figures["bpp"] == pytest.approx(8 * found.figures["bytes"] / (24 * 36), rel=1e-4)
    assert found.figures["psnr_db"] > 5
    assert found.label


@pytest.mark.parametrize("name", ["quinr", "quinr-split", "quinr-depth", "jpeg2000-8"])
def test_a_point_of_a_scan(tmp_path, write_scan, name):
    (source,) = find_sources([write_scan(tmp_path / "a.bin")])
    found = run_job(Job(source, name, Request(350, share=0.002)))
    assert found.error is None
    assert found.figures["bytes"] <= 350
    assert 3 < found.figures["psnr_db"] < 60


def test_plan_of_the_paper(picture, tmp_path, write_scan):
    other = tmp_path / "other.png"
    other.write_bytes(picture.read_bytes() + b"\0")
    sources = find_sources([picture, other, write_scan(tmp_path / "a.bin")])
    jobs = plan_paper(sources, seeds=2)
    fields = {one.name for one in FIELDS}
    further = {job.baseline for job in jobs if job.source == sources[1]} & fields
    assert further == {"quinr", "quinr-1", "siren"}
    assert {job.request.seed for job in jobs if job.baseline == "fourier-relu"} == {0}
    assert {job.request.seed for job in jobs if job.baseline == "siren"} == {0, 1}
    assert {job.request.channels for job in jobs if job.source == sources[2]} == {1}
    assert not [job for job in jobs if job.source != sources[2] and job.baseline == "quinr-split"]
    assert [job.request.setting for job in jobs] == sorted(job.request.setting for job in jobs)
    with pytest.raises(DatasetError, match="nobody"):
        plan_paper(sources, ["nobody"])


def test_bench_paper(picture, tmp_path):
    out = tmp_path / "out"
    options = ["--size", "150", "--baseline", "quinr", "--baseline", "jpeg2000-8", "--quick"]
    arguments = ["bench", "paper", str(picture), "-o", str(out), *options, "--workers", "1"]
    finished = CliRunner().invoke(app, [*arguments, "--json"])
    assert finished.exit_code == 0, finished.output
    document = json.loads(finished.stdout)
    assert document == json.loads((out / "results.json").read_text())
    assert {curve["name"] for curve in document["curves"]} == {"quinr", "jpeg2000-8"}
    assert len(document["claims"]) == 9
    page = (tmp_path / "out.md").read_text()
    assert "## picture.png" in page
    assert "quINR" in page
    assert 'id="quinr"' in (out / "rate-distortion.svg").read_text()
    (tmp_path / "out.md").unlink()
    again = CliRunner().invoke(app, ["bench", "paper", "-o", str(out), "--report", "--json"])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out.md").read_text() == page
    assert json.loads(again.stdout) == document


def test_bench_rate(tmp_path, write_scan):
    scans = [str(write_scan(tmp_path / f"{name}.bin", seed)) for seed, name in enumerate("ab")]
    out, names = tmp_path / "out", ("png", "laszip", "zstd-points")
    chosen = [part for name in names for part in ("--baseline", name)]
    arguments = ["bench", "rate", *scans, "-o", str(out), *chosen, "--workers", "2"]
    arguments += ["--max-error", "0.02", "--max-error", "0.1"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == json.loads((out / "rate.json").read_text())
    assert (document["name"], document["machine"]["cores"] > 0) == ("rate", True)
    sources = [(one["source"], one["name"]) for one in document["curves"]]
    assert sources == [(source, name) for source in ("a.bin", "b.bin") for name in names]
    for one in document["curves"]:
        settings, errors = one["results"]["setting"], one["results"]["largest_error_m"]
        assert settings in ([0.02, 0.1], [0.0])
        assert all(error <= allowed for error, allowed in zip(errors, settings, strict=True))
    assert len((out / "points.jsonl").read_text().splitlines()) == 2 * 5
    assert "## Mean of 2 scans" in (tmp_path / "out.md").read_text()
    assert 'id="laszip"' in (out / "rate.svg").read_text()
    before = (out / "points.jsonl").read_bytes()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0, again.output
    assert (out / "points.jsonl").read_bytes() == before


def test_bench_rate_says_what_failed(tmp_path, write_scan):
    scan = write_scan(tmp_path / "a.bin")
    arguments = ["bench", "rate", str(scan), "-o", str(tmp_path / "out"), "--baseline", "png"]
    result = CliRunner().invoke(app, [*arguments, "--max-error", "0.00005", "--max-error", "0.1"])
    assert result.exit_code == 1
    assert "16 bits" in result.stderr
    assert "16 bits" in (tmp_path / "out.md").read_text()
    wrong = CliRunner().invoke(app, [*arguments, "--max-error", "-1"])
    assert isinstance(wrong.exception, DatasetError)
    none = CliRunner().invoke(app, ["bench", "rate", "-o", str(tmp_path / "out")])
    assert "expected velodyne scans" in str(none.exception)
    drawn = CliRunner().invoke(app, ["bench", "rate", str(tmp_path / "a.png"), "--baseline", "png"])
    assert isinstance(drawn.exception, StorageError)


def test_commands_without_the_extra():
    code = (
        "import sys; sys.modules['DracoPy'] = None; sys.argv = ['quinr', 'bench', 'rate'];"
        "from pipeline.cli.main import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "needs DracoPy: pip install 'quinr-lidar[bench]'" in ended.stderr


def test_bench_rate_with_those_that_learn(scans, tmp_path):
    out = tmp_path / "out"
    arguments = ["bench", "rate", *map(str, scans.values()), "-o", str(out), "--max-error", "0.1"]
    chosen = ["--baseline", "jpeg-xl", "--baseline", "quinr-field", "--baseline", "mlp"]
    result = CliRunner().invoke(app, [*arguments, *chosen, "--entropy-models", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["scans_of_the_model"] == ["a.bin", "b.bin"]
    assert document["failures"] == []
    page = (tmp_path / "out.md").read_text()
    assert "made from a.bin, b.bin.\n" in page
    for title in ("MLP instead of quINR's field, code length", "all bounds, 6 bits"):
        assert f"| {title} |" in page
    # Two entropy models and two MLPs without a scan, an MLP of both, and two of the table.
    assert len(list((out / "models").iterdir())) == 7
    few = CliRunner().invoke(app, [*arguments[:2], *arguments[3:], "--baseline", "mlp"])
    assert isinstance(few.exception, DatasetError)
    seen = [*arguments[:4], *arguments[5:], "--baseline", "png", "--entropy-models"]
    assert isinstance(CliRunner().invoke(app, seen).exception, DatasetError)


def test_figures_of_nothing_are_figures():
    assert draw_bits([], "png")[1:4] == b"PNG"
    assert draw_curves([], "png")[1:4] == b"PNG"
