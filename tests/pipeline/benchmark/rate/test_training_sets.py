"""Nobody learns from the scan that is coded, and nothing is learnt twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.benchmark.rate import ours
from pipeline.benchmark.rate import training_sets as training_set
from pipeline.benchmark.rate.code_length import FIELD
from pipeline.benchmark.rate.measure import measure
from pipeline.benchmark.rate.run import plan, read_image
from pipeline.benchmark.rate.training_sets import training_set_for
from quinr_lidar import codec
from quinr_lidar.codec.profiles import PROFILES
from quinr_lidar.entropy.models import choose_model
from quinr_lidar.errors import DatasetError, UnknownEntropyModelError


def test_the_scan_itself_is_left_out(scans, tmp_path):
    first, second, third = scans
    of_seen, of_unseen = (training_set_for(one, scans, tmp_path) for one in (first, third))
    assert (of_seen.seen, of_unseen.seen) == (True, False)
    assert of_seen.scans == ((second, scans[second]),)
    assert of_unseen.scans == ((first, scans[first]), (second, scans[second]))
    assert len(of_seen.images()) == 1
    assert len(of_unseen.images()) == 2 * 2  # copies
    assert of_seen.described() != of_unseen.described()


def test_a_scan_of_the_prior_that_is_not_at_hand(scans, tmp_path):
    first, *others = scans
    with pytest.raises(DatasetError, match=r"give these as well: old/a\.bin$"):
        training_set_for(others[1], {one: scans[one] for one in others}, tmp_path)
    with pytest.raises(DatasetError, match=r"old/b\.bin"):
        plan([scans[first]], ["mlp"], (0.1,), tmp_path)
    # Those that learn nothing do without.
    assert len(plan([scans[first]], ["png"], (0.1,), tmp_path)) == 1


def test_a_model_is_trained_once(scans, tmp_path):
    trained = []

    def model(of: training_set.TrainingSet, details: object = 1) -> bytes:
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


def test_jobs_of_those_that_learn_depend_on_the_lessons(scans, tmp_path, monkeypatch):
    paths = list(scans.values())
    keys = [job.key for job in plan(paths, ["quinr-field"], (0.1,), tmp_path)]
    assert len(set(keys)) == 3
    assert keys == [job.key for job in plan(paths, ["quinr-field"], (0.1,), Path("elsewhere"))]
    monkeypatch.setattr(training_set, "QUICK_COPIES", 3)
    again = [job.key for job in plan(paths, ["quinr-field"], (0.1,), tmp_path)]
    assert [one == other for one, other in zip(keys, again, strict=True)] == [False, False, True]


def test_priors_that_have_not_seen_the_scan(scans, tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "PROFILE", PROFILES["bounded"].with_overrides(steps=5))
    first, _, third = scans
    seen, unseen = (training_set_for(one, scans, tmp_path / "models") for one in (first, third))
    built_in = choose_model("hdl64")
    assert ours.model_for(unseen) is built_in
    other = ours.model_for(seen)
    assert other.name != built_in.name
    assert ours.model_for(seen).data == other.data
    image = read_image(scans[first])
    taught = ours.UNSEEN.taught(seen)
    found = measure(image, taught, 0.1)
    assert found["largest_error_m"] <= 0.1
    assert found["bytes"] != measure(image, ours.QUINR, 0.1)["bytes"]
    encoded = taught.ways["bounded"](image, 0.1)
    with pytest.raises(UnknownEntropyModelError, match=other.name):
        codec.decode(encoded.data)
    field = measure(image, FIELD.taught(seen), 0.1)
    assert field["parts"]["mask"] == encoded.parts["mask"]
