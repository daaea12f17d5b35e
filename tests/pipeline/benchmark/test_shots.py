"""Decoding from shots and from noisy gates: what is measured, and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pipeline.benchmark import shots as bench
from pipeline.benchmark.figures import draw_shots
from pipeline.benchmark.shots import (
    ShotsSettings,
    bench_shots,
    equal_field,
    open_pixels,
    shots_needed,
)
from pipeline.cli.main import app
from quinr_lidar import Profile, RangeImage, SphericalProjection, codec, metrics
from quinr_lidar.circuit import probabilities
from quinr_lidar.errors import ProfileError
from quinr_lidar.fields import QuinrField
from quinr_lidar.fields.field import parameter_count

PROFILE = Profile(steps=60, batch_size=128)
PROJECTION = SphericalProjection(16, 64)
TINY = ShotsSettings(
    qubits=(2, 3), seeds=2, pixels=600, parameters=90, noise_qubits=2, noise_pixels=16
)


def street() -> RangeImage:
    azimuth = np.linspace(-np.pi, np.pi, PROJECTION.width)
    rows = np.arange(PROJECTION.height)[:, None]
    ranges = (20 + 6 * np.cos(2 * azimuth) - 0.5 * rows).astype(np.float32)
    valid = np.random.default_rng(0).random(ranges.shape) < 0.9
    ranges[~valid] = 0
    return RangeImage(ranges, valid, PROJECTION, float(ranges.max()))


@pytest.fixture(scope="module")
def result():
    said = []
    found = bench_shots(street(), PROFILE, TINY, said.append)
    assert len(said) == TINY.steps
    return found


def test_more_shots_are_better_up_to_exact(result):
    files = [(row["qubits"], row["seed"]) for row in result["files"]]
    assert files == [(2, 0), (2, 1), (3, 0), (3, 1)]
    for row in result["files"]:
        curve = np.array(row["psnr_db"])
        assert (np.diff(curve) > -0.15).all()
        assert curve[-1] == pytest.approx(row["exact_db"], abs=0.15)
        assert curve[0] < row["exact_db"] - 0.1
        # Clipping only ever takes errors away.
        assert 0.2 * row["shots_expected"] < row["shots_needed"] < 1.3 * row["shots_expected"]
        assert abs(row["parameters"] - TINY.parameters) < 12


def test_noise_costs_what_it_should(result):
    noise = result["noise"]
    gates = [run["psnr_db"] for run in noise["runs"] if not run["readout_error"]]
    assert gates[0] == gates[len(bench.DEPOLARIZING)], "no noise of either kind"
    assert gates[1] == pytest.approx(gates[0], abs=0.1)
    assert gates[5] != gates[0]
    assert len(noise["runs"]) == len(bench.DEPOLARIZING) + len(bench.READOUT_ERRORS)
    assert noise["pixels"] == 16
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("sine_layers", [1, 2])
def test_exact_probabilities_are_what_the_decoder_computes(sine_layers):
    image = street()
    profile = PROFILE.with_overrides(sine_layers=sine_layers)
    opened = open_pixels(image, profile, TINY, 2, 0, 600)
    size = opened.field
    changes = {"qubits": 2, "features": size.features, "blocks": size.blocks}
    decoded = codec.decode(codec.encode(image, profile, **changes))
    index = np.round(
        (opened.coordinates.numpy() + 1) * np.array([PROJECTION.width, PROJECTION.height]) / 2 - 0.5
    ).astype(int)
    assert len(np.unique(index, axis=0)) == 600
    theirs = decoded.ranges[index[:, 1], index[:, 0]] / image.no_return
    exact = opened.run(probabilities)
    np.testing.assert_allclose(opened.read(exact)[0, :, 0].numpy(), theirs, atol=1e-6)
    expected = metrics.psnr(opened.targets, theirs, max_value=1.0)
    assert opened.psnr(exact) == pytest.approx(expected, abs=1e-4)
    originals = image.filled()[index[:, 1], index[:, 0]] / image.no_return
    np.testing.assert_allclose(opened.targets, originals, rtol=1e-6)


def test_variance_is_that_of_a_binomial():
    opened = open_pixels(street(), PROFILE, TINY, 2, 0, 600)
    opened.parameters["output_scale"] = torch.full((1, 1), 4.0, dtype=torch.float64)
    exact = torch.full((1, 600, 1), 0.25, dtype=torch.float64)
    assert opened.one_shot_variance(exact) == pytest.approx(16 * 0.25 * 0.75)


@pytest.mark.parametrize("goal", [3, 500, 10**6])
def test_the_search_finds_the_fewest(goal):
    found = shots_needed(lambda shots: 1.0 if shots >= goal else 0.0, 0.5)
    assert found is not None
    assert goal <= found <= 1.04 * goal + 1
    assert shots_needed(lambda shots: 0.0, 0.5) is None


def test_growth_of_shots(result):
    row = result["files"][0]
    rows = [row | {"qubits": qubits, "shots_needed": 7 * 4**qubits} for qubits in (2, 3, 5, 6)]
    found = bench.growth(rows)
    assert found is not None
    assert found["slope"] == pytest.approx(2)
    assert found["standard_error"] == pytest.approx(0, abs=1e-6)
    assert bench.growth(rows[:2]) is None
    assert bench.growth([row, row, row]) is None
    assert bench.growth([one | {"shots_needed": None} for one in rows]) is None


@pytest.mark.parametrize("qubits", range(1, 8))
def test_files_of_equal_size(qubits):
    field = equal_field(QuinrField(5, 19, 5), qubits, 210)
    assert abs(parameter_count(field) - 210) <= 12
    assert field.qubits == qubits
    if qubits == 5:
        assert (field.features, field.blocks) == (19, 5)


@pytest.mark.parametrize(
    "values", [{"qubits": ()}, {"seeds": 0}, {"pixels": 0}, {"noise_pixels": -1}], ids=str
)
def test_impossible_settings(values):
    with pytest.raises(ProfileError, match=r"expected at least"):
        ShotsSettings(**values)


def test_one_stage_only():
    with pytest.raises(ProfileError, match="one stage"):
        bench_shots(street(), Profile(stages=2), TINY)


def test_figure(result):
    drawn = draw_shots(result).decode()
    assert draw_shots(result).decode() == drawn
    for text in ("2 qubits", "3 qubits", "no noise", "reading a bit wrongly"):
        assert f"<!-- {text} -->" in drawn


def test_the_command(tmp_path):
    from pipeline.datasets.velodyne import encode_velodyne

    scan, out, svg = (tmp_path / name for name in ("scan.bin", "out.json", "out.svg"))
    points = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(2000, 3))
    scan.write_bytes(encode_velodyne(points))
    sizes = ["--qubits", "2", "--noise-qubits", "1", "--pixels", "256", "--noise-pixels", "2"]
    sizes += ["--seeds", "1", "--set", "steps=4", "--set", "batch_size=64"]
    arguments = ["bench", "shots", str(scan), *sizes]
    outputs = ["--out", str(out), "--json"]
    shown = CliRunner().invoke(app, [*arguments, *outputs])
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    assert document == json.loads(out.read_text())
    assert document["source"] == str(scan)
    assert document["profile"]["steps"] == 4
    assert [row["seed"] for row in document["files"]] == [0]
    assert document["growth"] is None
    assert "<svg" in svg.read_text()
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0, table.output
    assert "shots_needed" in table.stdout


@pytest.mark.parametrize("arguments", [["--pixels", "0"], ["--qubits", "2,x"]])
def test_wrong_options(arguments):
    assert CliRunner().invoke(app, ["bench", "shots", *arguments]).exit_code == 2
