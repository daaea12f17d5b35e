"""Benchmarks run, and say what they claim to; no test asserts a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.benchmark import fit
from pipeline.benchmark.machine import best_seconds
from pipeline.benchmark.operations import training_flops
from pipeline.cli.main import app
from quinr_lidar import Profile, RangeImage, SphericalProjection
from quinr_lidar.circuit import CircuitSpec
from tests.support.tiny import tiny

TINY = Profile(**tiny(features=3, steps=40, warm_steps=20))
PROJECTION = SphericalProjection(16, 64)


def street(shift: float = 0.0) -> RangeImage:
    azimuth = np.linspace(-np.pi, np.pi, PROJECTION.width) + shift
    rows = np.arange(PROJECTION.height)[:, None]
    ranges = (20 + 6 * np.cos(azimuth) - 0.5 * rows).astype(np.float32)
    return RangeImage(ranges, np.ones(ranges.shape, bool), PROJECTION, float(ranges.max()))


def test_one_qubit_by_hand():
    """One feature, one block, two states: every operation of the algorithm, counted on paper."""
    spec = CircuitSpec(1, 1, 1)
    forward = 31 + (6 + 2 * 12) + 2 * 8 + 3
    neighbour = 2 * 8
    seed = 2 + 2 * 8 + 5 - 2 * 2
    backward = 5 + (4 * 2 + 16 + 3 * 1 + 17) + 7
    assert training_flops(spec) == forward + neighbour + seed + backward


def test_work_grows_with_the_circuit():
    base = CircuitSpec(4, 24, 4)
    for larger in (CircuitSpec(5, 24, 4), CircuitSpec(4, 25, 4), CircuitSpec(4, 24, 5)):
        assert training_flops(larger) > training_flops(base)


def test_the_fastest_run_counts():
    calls = []
    assert best_seconds(lambda: calls.append(1), repeats=3, warmup=2) >= 0
    assert len(calls) == 5


def test_bench_kernel_prints_one_object(tmp_path):
    out = tmp_path / "kernel.json"
    sizes = ["--qubits", "2", "--features", "3", "--blocks", "1", "--pixels", "128"]
    result = CliRunner().invoke(
        app, ["bench", "kernel", *sizes, "--threads", "2", "--json", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert shown == json.loads(out.read_text())
    assert [step["simulator"].split(",")[0] for step in shown["steps"]] == [
        "kernel",
        "kernel",
        "torch simulator",
        "PennyLane default.qubit",
        "PennyLane lightning.qubit",
    ]
    kernel, *_, pennylane, _ = shown["steps"]
    ratio = pennylane["seconds_per_image"] / kernel["seconds_per_image"]
    assert shown["speedup_vs_pennylane"] == pytest.approx(ratio)
    assert shown["fma_share"] == pytest.approx(shown["gflops"] / shown["peak_gflops"])
    assert shown["machine"]["threads"] == 2
    assert shown["flops_per_pixel"] == training_flops(CircuitSpec(2, 3, 1))


def test_bench_kernel_as_a_table():
    sizes = ["--qubits", "2", "--features", "3", "--blocks", "1", "--pixels", "128"]
    result = CliRunner().invoke(app, ["bench", "kernel", *sizes, "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert "PennyLane default.qubit" in result.stdout
    assert "of the peak" in result.stdout
    wrong = CliRunner().invoke(app, ["bench", "kernel", "--pixels", "0"])
    assert wrong.exit_code == 2


def test_fits_are_compared_with_a_longer_one():
    said: list[str] = []
    images = (street(), street(0.1))
    result = fit.bench_fit(images, TINY, [0, 1], said.append, shares=(0.5, 2.0))
    rows = result["fits"]
    assert [(row["start"], row["optimizer"]) for row in rows] == [
        (start, optimizer) for start in ("cold", "warm") for optimizer in fit.OPTIMIZERS
    ]
    for row in rows:
        close = row["psnr_db"] >= row["yardstick_db"] - fit.TOLERANCE_DB
        assert row["reached"] == close
        assert row["core_seconds"] > 0
    assert len({row["yardstick_db"] for row in rows}) == 2
    assert result["parameters"] == 6 + 3 + 1 + 8 + 1 + 2
    assert len(said) >= 6


def test_bench_fit_on_scans(tmp_path):
    from pipeline.datasets.velodyne import encode_velodyne

    for index in range(2):
        path = tmp_path / "scans" / f"{index:06d}.bin"
        path.parent.mkdir(exist_ok=True)
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(2000, 3))
        path.write_bytes(encode_velodyne(points))
    tiny = ["qubits=2", "features=3", "blocks=1", "steps=4", "warm_steps=2", "batch_size=64"]
    settings = [item for pair in tiny for item in ("--set", pair)]
    out = tmp_path / "fit.json"
    arguments = ["bench", "fit", str(tmp_path / "scans"), "--seeds", "1", *settings]
    result = CliRunner().invoke(app, [*arguments, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["source"] == str(tmp_path / "scans")
    assert json.loads(out.read_text())["profile"]["steps"] == 4
    (tmp_path / "scans" / "000001.bin").unlink()
    alone = CliRunner().invoke(app, arguments)
    assert "two frames" in str(alone.exception)
    assert Path(out).exists()
