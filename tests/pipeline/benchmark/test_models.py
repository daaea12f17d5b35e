"""Models learn from other scans only and once; their code lengths are what a coder would write."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.benchmark.baseline import Known, Request
from pipeline.benchmark.baselines import bounded, code_length
from pipeline.benchmark.baselines.code_length import MlpField, ideal_bytes, mlp_like, size_of
from pipeline.benchmark.measure import measure
from pipeline.benchmark.registry import BASELINES
from pipeline.benchmark.runner import read_content
from pipeline.benchmark.training_sets import TrainingSet, training_set_for
from quinr_lidar import codec
from quinr_lidar.arrays import to_tensors
from quinr_lidar.entropy.models import choose_model
from quinr_lidar.errors import DatasetError, UnknownEntropyModelError
from tests.support.layers import pack_mask, pack_ranges


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Models of other tests' scans would be taken for those of these."""
    yield
    for remembered in (bounded.model_for, code_length.trained):
        remembered.cache_clear()


def test_the_scan_itself_is_left_out(scans, tmp_path):
    first, second, third = scans
    of_seen, of_unseen = (training_set_for(one, scans, tmp_path) for one in (first, third))
    assert (of_seen.seen, of_unseen.seen) == (True, False)
    assert of_seen.scans == ((second, scans[second]),)
    assert of_unseen.scans == ((first, scans[first]), (second, scans[second]))
    assert len(of_seen.images()) == 1
    assert len(of_unseen.images()) == 2 * 2  # copies
    assert of_seen.described() != of_unseen.described()


def test_a_scan_of_the_model_that_is_not_at_hand(scans, tmp_path):
    _, *others = scans
    with pytest.raises(DatasetError, match=r"give these as well: old/a\.bin$"):
        training_set_for(others[1], {one: scans[one] for one in others}, tmp_path)


def test_a_model_is_trained_once(scans, tmp_path):
    trained = []

    def model(of: TrainingSet, details: object = 1) -> bytes:
        def train() -> bytes:
            trained.append(of)
            return f"{len(trained)}".encode()

        return of.model("kind", details, train, bytes, bytes)

    first, _, third = scans
    one, other = (training_set_for(digest, scans, tmp_path / "models") for digest in (first, third))
    assert [model(one), model(one), model(other), model(other), model(one)] == [
        *(b"1", b"1", b"2", b"2", b"1")
    ]
    assert model(one, details=2) == b"3"
    assert model(replace(one, copies=7)) == b"4"
    assert len(list((tmp_path / "models").iterdir())) == 4


def test_a_model_that_has_not_seen_the_scan(scans, tmp_path):
    first, _, third = scans
    seen, unseen = (training_set_for(one, scans, tmp_path / "models") for one in (first, third))
    built_in, other = choose_model("hdl64"), bounded.model_for(seen)
    assert bounded.model_for(unseen) is built_in
    assert other.name != built_in.name
    image, request = read_content(scans[first]), Request(0.1, share=0.001, training_set=seen)
    found = measure(image, bounded.UNSEEN, request)
    assert found["figures"]["largest_error_m"] <= 0.1
    ours = measure(image, bounded.QUINR, replace(request, training_set=None))
    assert found["figures"]["bytes"] != ours["figures"]["bytes"]
    encoded = bounded.UNSEEN.ways["bounded"](image, request)
    with pytest.raises(UnknownEntropyModelError, match=other.name):
        codec.decode(encoded.data)
    known = Known(image.projection, image.no_return, request)
    assert np.array_equal(bounded.UNSEEN.decode(encoded.data, known).valid, image.valid)
    field = measure(image, BASELINES["quinr-field"], request)
    assert field["parts"]["mask"] == encoded.parts["mask"]


def test_ideal_bytes_of_our_field_are_near_those_of_the_file(scans):
    image, layer = read_content(next(iter(scans.values()))), choose_model("hdl64")["ranges"]
    for max_error in (0.02, 0.1):
        file = pack_ranges(image.ranges, image.valid, choose_model("hdl64"), max_error)
        ideal = ideal_bytes(layer.field, to_tensors(layer.parameters), image, max_error)
        # The file adapts to a scan that is unlike all others, and has a head.
        assert 0.75 * ideal < len(file) < 1.1 * ideal


def test_the_mlp_is_as_large_as_the_field():
    field = choose_model("hdl64")["ranges"].field
    mlp = mlp_like(field)
    assert size_of(mlp) == pytest.approx(size_of(field), rel=0.02)
    assert (mlp.inputs, mlp.outputs) == (field.inputs, field.outputs)
    parameters = mlp.initial_parameters(torch.Generator().manual_seed(0))
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


def test_the_mlp_learns_and_is_kept(scans, tmp_path):
    training_set = training_set_for(list(scans)[2], scans, tmp_path / "models")
    image = read_content(list(scans.values())[2])
    mlp = mlp_like(choose_model("hdl64")["ranges"].field)
    trained = code_length.trained("mlp", mlp, training_set, code_length.MLP_RATE)
    generator = torch.Generator().manual_seed(training_set.settings.seed)
    first = mlp.initial_parameters(generator) | {"linear": torch.zeros_like(trained["linear"])}
    assert ideal_bytes(mlp, trained, image, 0.1) < ideal_bytes(mlp, first, image, 0.1)
    found = measure(image, BASELINES["mlp"], Request(0.1, training_set=training_set))
    assert found["parts"] == {
        "mask": len(pack_mask(image.valid, choose_model("hdl64"))),
        "ranges": pytest.approx(ideal_bytes(mlp, trained, image, 0.1)),
    }
    assert found["figures"]["bytes"] == pytest.approx(sum(found["parts"].values()))
    (kept,) = (tmp_path / "models").iterdir()
    written = kept.stat().st_mtime_ns
    code_length.trained.cache_clear()
    again = code_length.trained("mlp", mlp, training_set, code_length.MLP_RATE)
    assert all(torch.equal(again[name], trained[name]) for name in trained)
    assert kept.stat().st_mtime_ns == written


def test_coarser_parameters_cost_bits_and_save_bytes(scans, tmp_path):
    digest, path = list(scans.items())[2]
    training_set = training_set_for(digest, scans, tmp_path / "models")
    image, request = read_content(path), Request(0.02, training_set=training_set)
    exact, fine, coarse, one = (
        measure(image, BASELINES[f"model-{name}"], request)["figures"]
        for name in ("all-float", "all-16", "all-6", "2cm-float")
    )
    assert not {"model_bytes", "layer_bits"} & set(exact)
    assert fine["model_bytes"] > coarse["model_bytes"]
    assert fine["layer_bits"] > 0
    assert fine["field_bits"] == pytest.approx(exact["field_bits"], rel=1e-2)
    lost = [abs(two["field_bits"] - exact["field_bits"]) for two in (fine, coarse)]
    assert lost[0] < lost[1]
    assert one["field_bits"] != exact["field_bits"]
    assert len(list((tmp_path / "models").iterdir())) == 2
