"""Code lengths of models are what a coder would write."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.benchmark.rate import code_length
from pipeline.benchmark.rate import model_table as model_table
from pipeline.benchmark.rate.code_length import MlpField, ideal_bytes, mlp_like
from pipeline.benchmark.rate.measure import measure
from pipeline.benchmark.rate.run import read_image
from pipeline.benchmark.rate.training_sets import training_set_for
from quinr_lidar.arrays import to_tensors
from quinr_lidar.entropy.models import choose_model
from tests.support.layers import pack_mask, pack_ranges


def test_ideal_bytes_of_our_field_are_near_those_of_the_file(scans):
    image, layer = read_image(next(iter(scans.values()))), choose_model("hdl64")["ranges"]
    for max_error in (0.02, 0.1):
        file = pack_ranges(image.ranges, image.valid, choose_model("hdl64"), max_error)
        ideal = ideal_bytes(layer.field, to_tensors(layer.parameters), image, max_error)
        # The file adapts to a scan that is unlike all others, and has a head.
        assert 0.75 * ideal < len(file) < 1.1 * ideal


def test_the_mlp_is_as_large_as_the_field():
    field = choose_model("hdl64")["ranges"].field
    mlp = mlp_like(field)
    ours = sum(int(np.prod(shape)) for shape in field.shapes.values())
    assert mlp.parameter_count == pytest.approx(ours, rel=0.02)
    assert (mlp.inputs, mlp.outputs) == (field.inputs, field.outputs)
    parameters = mlp.initial_parameters(torch.Generator().manual_seed(0))
    assert sum(tensor.numel() for tensor in parameters.values()) == mlp.parameter_count
    assert {name: tuple(t.shape) for name, t in parameters.items()} == mlp.shapes


def test_mlp_by_hand():
    mlp = MlpField(2, 1, 1)
    names = ("first", "second", "readout", "first_bias", "second_bias", "readout_bias")
    values = ([[1.0, 2.0]], [[3.0]], [[4.0]], [0.5], [0.25], [10.0])
    parameters = {name: torch.tensor(value) for name, value in zip(names, values, strict=True)}
    (found,) = mlp.evaluate(parameters, torch.tensor([[0.3, -0.2]])).tolist()

    def silu(x: float) -> float:
        return x / (1 + np.exp(-x))

    hidden = silu(0.3 - 0.4 + 0.5)
    assert found == pytest.approx([10 + 4 * (hidden + silu(3 * hidden + 0.25))])


def test_mlp_learns_and_is_kept(scans, tmp_path, monkeypatch):
    training_set = training_set_for(list(scans)[2], scans, tmp_path / "models")
    image = read_image(list(scans.values())[2])
    mlp = mlp_like(choose_model("hdl64")["ranges"].field)
    trained = code_length.train_ranges(mlp, training_set, code_length.MLP_RATE)
    generator = torch.Generator().manual_seed(training_set.settings.seed)
    first = mlp.initial_parameters(generator) | {"linear": torch.zeros_like(trained["linear"])}
    assert ideal_bytes(mlp, trained, image, 0.1) < ideal_bytes(mlp, first, image, 0.1)
    copied = code_length.unpack_parameters(code_length.pack_parameters(trained))
    assert copied.keys() == trained.keys()
    assert all(torch.equal(copied[name], trained[name]) for name in trained)

    found = measure(image, code_length.MLP.taught(training_set), 0.1)
    assert found["parts"] == {
        "mask": len(pack_mask(image.valid, choose_model("hdl64"))),
        "ranges": pytest.approx(ideal_bytes(mlp, trained, image, 0.1)),
    }
    assert found["bytes"] == sum(found["parts"].values())
    monkeypatch.setattr(code_length, "train_ranges", None)  # it is not asked again
    assert measure(image, code_length.MLP.taught(training_set), 0.1)["bytes"] == found["bytes"]


def test_table_of_priors(scans, tmp_path):
    image = read_image(list(scans.values())[2])
    rows = model_table.model_rows(scans, [image], tmp_path / "models")
    assert [row.name for row in rows] == [
        "all bounds, float",
        *(f"all bounds, {bits} bits" for bits in (16, 10, 8, 6)),
        "2 cm alone, float",
        "2 cm alone, 10 bits",
    ]
    exact, fine, *_, coarse = rows[:5]
    assert exact.bytes is None
    assert exact.file == {}
    assert set(exact.code_length) == set(fine.file) == set(model_table.SHOWN_BOUNDS)
    assert set(rows[5].code_length) == {0.02}
    assert rows[5].code_length != {0.02: exact.code_length[0.02]}
    assert fine.bytes > coarse.bytes
    for max_error, bits in exact.code_length.items():
        assert fine.code_length[max_error] == pytest.approx(bits, rel=1e-2)
        assert abs(coarse.code_length[max_error] - bits) > abs(fine.code_length[max_error] - bits)
    assert len(list((tmp_path / "models").iterdir())) == 2
