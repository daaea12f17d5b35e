"""The comparison as a whole: planned, resumable, a command."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from pipeline.benchmark.rate import registry, run
from pipeline.benchmark.rate.baselines import Baseline, Encoded
from pipeline.benchmark.rate.measure import Row
from pipeline.cli.bench import rate as rate_cli
from pipeline.cli.main import app
from quinr_lidar.errors import BackendError, DatasetError, GeometryError, StorageError

ALL = list(registry.BASELINES.values())


@pytest.fixture
def counted(monkeypatch):
    """A baseline that says what it was asked, instead of all others."""
    asked: list[float] = []

    def encode(image, setting: float) -> Encoded:
        asked.append(setting)
        if setting > 1:
            raise GeometryError("too far")
        if setting == 0.25:
            raise ZeroDivisionError("a bug")
        return Encoded(100 / setting)

    one = Baseline("counted", "Counted", "max_error", {"": encode}, None, lambda: "1")
    monkeypatch.setitem(registry.BASELINES, "counted", one)
    return asked


def test_a_second_run_goes_on(tmp_path, counted, monkeypatch, write_scan):
    scan, journal = write_scan(tmp_path / "a.bin"), tmp_path / "out" / "rate.jsonl"
    first = run.run_jobs(run.plan([scan], ["counted"], (0.5,)), journal)
    jobs = run.plan([scan], ["counted"], (0.1, 0.5))
    said: list[Row] = []
    rows = run.run_jobs(jobs, journal, progress=said.append)
    assert counted == [0.5, 0.1]
    assert [row.setting for row in rows] == [0.1, 0.5]
    assert rows[1] == first[0]
    assert sorted(row.setting for row in said) == [0.1, 0.5]
    # A line cut short by a crash costs that row alone, and no line after it.
    journal.write_bytes(journal.read_bytes()[:-20])
    assert run.run_jobs(jobs, journal) == rows
    assert run.run_jobs(jobs, journal) == rows
    assert counted == [0.5, 0.1, 0.1]
    # Another scan of that name, another version of the codec: measured again.
    write_scan(scan, seed=1)
    run.run_jobs(run.plan([scan], ["counted"], (0.5,)), journal)
    newer = replace(registry.BASELINES["counted"], version=lambda: "2")
    monkeypatch.setitem(registry.BASELINES, "counted", newer)
    run.run_jobs(run.plan([scan], ["counted"], (0.5,)), journal)
    assert counted == [0.5, 0.1, 0.1, 0.5, 0.5]


def test_equal_scans_keep_their_names(tmp_path, counted, write_scan):
    scans = [write_scan(tmp_path / name / "scan.bin") for name in "ab"]
    journal = tmp_path / "rate.jsonl"
    (alone,) = run.run_jobs(run.plan(scans[:1], ["counted"], (0.5,)), journal)
    both = run.run_jobs(run.plan(scans, ["counted"], (0.5,)), journal)
    assert alone.scan == "scan.bin"
    assert [one.scan for one in both] == [str(path) for path in scans]
    assert both[0].bytes == both[1].bytes == alone.bytes
    assert counted == [0.5]


def test_failures_are_told_and_tried_again(tmp_path, counted, write_scan):
    scan, journal = write_scan(tmp_path / "a.bin"), tmp_path / "rate.jsonl"
    jobs = run.plan([scan], ["counted"], (0.25, 0.5, 2.0))
    for _ in range(2):
        bug, fine, far = run.run_jobs(jobs, journal)
        assert (bug.error, fine.error, far.error) == (
            "ZeroDivisionError: a bug",
            None,
            "too far",
        )
        assert fine.bytes == 200
    assert counted == [0.25, 0.5, 2.0, 0.25, 2.0]


def test_a_journal_that_cannot_be_written(tmp_path, counted, write_scan):
    jobs = run.plan([write_scan(tmp_path / "a.bin")], ["counted"], (0.5,))
    with pytest.raises(StorageError, match=f"{tmp_path}: Is a directory"):
        run.run_jobs(jobs, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="rate"):
        run.run_jobs(jobs, tmp_path / "file" / "rate.jsonl")


def test_plan(tmp_path, write_scan):
    first = write_scan(tmp_path / "00" / "velodyne" / "000000.bin")
    second = write_scan(tmp_path / "training" / "velodyne" / "000000.bin")
    third, fourth = (write_scan(tmp_path / name / "scan.bin") for name in "ab")
    jobs = run.plan([first, second, third, fourth, first], ["png", "jpeg-2000"], (0.1, 0.02, 0.1))
    per_scan = [("png", 0.02), ("png", 0.1), *(("jpeg-2000", rate) for rate in run.RATES)]
    assert [(job.codec, job.setting) for job in jobs] == 4 * per_scan
    labels = list(dict.fromkeys(job.scan for job in jobs))
    assert labels == ["00/000000.bin", "training/000000.bin", str(third), str(fourth)]
    assert len({job.key for job in jobs if job.path == first}) == len(per_scan)
    usual = {one.name for one in ALL if not one.optional}
    assert {job.codec for job in run.plan([first], [], (0.1,))} == usual
    assert {"quinr", "jpeg-xl"} < usual < set(registry.BASELINES)
    (asked,) = run.plan([first], ["quinr-paper"], (0.1,))
    assert asked.setting == 0.2
    with pytest.raises(DatasetError, match=r"expected some of quinr, .*jpeg-xl, .*got jpeg-xxl"):
        run.plan([first], ["jpeg-xxl"], (0.1,))
    for max_error in (0, -0.1, float("nan"), float("inf")):
        with pytest.raises(DatasetError, match="max_errors"):
            run.plan([first], ["png"], (0.1, max_error))
    with pytest.raises(DatasetError, match="picture"):
        run.plan([tmp_path / "kodim02.png"], ["png"], (0.1,))
    with pytest.raises(StorageError, match=r"missing\.bin"):
        run.plan([tmp_path / "missing.bin"], ["png"], (0.1,))


def test_command(tmp_path, write_scan):
    scans = [str(write_scan(tmp_path / f"{name}.bin", seed)) for seed, name in enumerate("ab")]
    out = tmp_path / "out"
    codecs = ["--codec", "png", "--codec", "jpeg-ls", "--codec", "laszip", "--codec", "zstd-points"]
    arguments = ["bench", "rate", *scans, "-o", str(out), *codecs, "--max-error", "0.02"]
    result = CliRunner().invoke(app, [*arguments, "--max-error", "0.1", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == json.loads((out / "rate.json").read_text())
    assert (document["name"], document["machine"]["cores"] > 0) == ("rate", True)
    sources = [(one["source"], one["name"]) for one in document["curves"]]
    names = ("png", "jpeg-ls", "laszip", "zstd-points")
    assert sources == [(source, name) for source in ("a.bin", "b.bin", "mean") for name in names]
    for one in document["curves"]:
        max_errors = one["results"].get("max_error", [0.0])
        assert max_errors in ([0.02, 0.1], [0.0])
        assert all(
            e <= b for e, b in zip(one["results"]["largest_error_m"], max_errors, strict=True)
        )
    assert len((out / "rate.jsonl").read_text().splitlines()) == 2 * 7
    assert "| PNG, level 9 | 2 cm |" in (tmp_path / "out.md").read_text()
    assert 'id="laszip"' in (out / "rate.svg").read_text()
    before = (out / "rate.jsonl").read_bytes()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0, again.output
    assert "means over scans" in again.stdout
    assert "bits of quinr against jpeg-xl: not measured" in again.stdout
    assert (out / "rate.jsonl").read_bytes() == before


def test_command_in_worker_processes(tmp_path, write_scan):
    scan, out = write_scan(tmp_path / "a.bin"), tmp_path / "out"
    arguments = ["bench", "rate", str(scan), "-o", str(out), "--codec", "zstd", "--workers", "2"]
    result = CliRunner().invoke(app, [*arguments, "--max-error", "0.1", "--max-error", "0.2"])
    assert result.exit_code == 0, result.output
    assert "zstd" in result.stdout
    assert len((out / "rate.jsonl").read_text().splitlines()) == 2


def test_command_says_what_failed(tmp_path, write_scan):
    scan = write_scan(tmp_path / "a.bin")
    arguments = ["bench", "rate", str(scan), "-o", str(tmp_path / "out"), "--codec", "png"]
    result = CliRunner().invoke(app, [*arguments, "--max-error", "0.00005", "--max-error", "0.1"])
    assert result.exit_code == 1
    assert "16 bits" in result.stderr
    assert "16 bits" in (tmp_path / "out.md").read_text()
    wrong = CliRunner().invoke(app, [*arguments, "--max-error", "-1"])
    assert isinstance(wrong.exception, DatasetError)
    shown = CliRunner().invoke(app, ["bench", "rate", "--help"])
    assert shown.exit_code == 0
    assert "quinr bench rate 000000.bin" in " ".join(shown.stdout.split())


def test_command_without_the_extra(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *others):
        if name.startswith("pipeline.benchmark.rate"):
            raise ModuleNotFoundError("no", name="DracoPy")
        return real(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BackendError, match=r"DracoPy.*quinr-lidar\[bench\]"):
        rate_cli._import_run()


def test_command_with_those_that_learn(scans, tmp_path):
    out = tmp_path / "out"
    arguments = ["bench", "rate", *map(str, scans.values()), "-o", str(out), "--max-error", "0.1"]
    chosen = ["--codec", "jpeg-xl", "--codec", "quinr-field", "--codec", "mlp", "--entropy-models"]
    result = CliRunner().invoke(app, [*arguments, *chosen, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["scans_of_the_model"] == ["a.bin", "b.bin"]
    assert document["entropy_models"][0]["name"] == "all bounds, float"
    assert document["failures"] == []
    page = (tmp_path / "out.md").read_text()
    assert "made from a.bin, b.bin.\n" in page
    assert "| MLP instead of quINR's field, code length | 10 cm |" in page
    assert "| all bounds, 6 bits |" in page
    assert "(out/rate.svg)" in page
    assert "--codec mlp --max-error 0.1 --entropy-models`" in page
    # Two entropy models and two MLPs without a scan, an MLP of both, and two of the table.
    assert len(list((out / "models").iterdir())) == 7
    few = CliRunner().invoke(app, [*arguments[:2], *arguments[3:], "--codec", "mlp"])
    assert isinstance(few.exception, DatasetError)
    seen = [*arguments[:4], *arguments[5:], "--codec", "png", "--entropy-models"]
    assert isinstance(CliRunner().invoke(app, seen).exception, DatasetError)
