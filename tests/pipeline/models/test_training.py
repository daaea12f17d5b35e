"""An entropy model of one's own: what it learns pays off on scans it has not seen."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.datasets.velodyne import encode_velodyne
from pipeline.models.training import ModelSettings, measure_model, train_model
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.entropy.models import built_in_models, unpack_model
from quinr_lidar.errors import GeometryError
from tests.support.layers import pack_mask, pack_ranges

FEW = ModelSettings(mask_steps=25, range_steps=25, batch_size=256)


def drive(seed: int) -> RangeImage:
    """Flat ground under walls whose places are drawn."""
    random = np.random.default_rng(seed)
    height, width = 16, 128
    v = np.arange(height)[:, None]
    walls = np.repeat(random.uniform(5, 40, width // 8), 8)
    ranges = np.minimum(60 / (v + 1), walls) + 3 + 0.01 * random.random((height, width))
    valid = random.random((height, width)) < np.where(v < 3, 0.2, 0.97)
    ranges = ranges.astype(np.float32)
    no_return = float(ranges[valid].max())
    ranges[~valid] = no_return
    return RangeImage(ranges, valid, SphericalProjection(height, width), no_return)


@pytest.fixture(scope="module")
def trained():
    steps = []
    entropy_model = train_model(
        [drive(seed) for seed in range(3)], FEW, lambda *step: steps.append(step)
    )
    return entropy_model, steps


def test_learning_makes_other_scans_smaller(trained):
    entropy_model, _ = trained
    unseen = [drive(9), drive(10)]
    once = ModelSettings(mask_steps=1, range_steps=1, batch_size=256)
    before = measure_model(train_model([drive(0)], once), unseen, [0.02])
    after = measure_model(entropy_model, unseen, [0.02])
    assert after.mask_bytes < before.mask_bytes
    assert after.bits_per_point[0.02] < before.bits_per_point[0.02] - 0.3


def test_progress_tells_of_both_layers(trained):
    _, steps = trained
    assert [name for name, _ in steps] == ["mask"] * 25 + ["ranges"] * 25
    assert [one.step for name, one in steps if name == "ranges"] == list(range(1, 26))


def test_a_seed_makes_it_repeatable(trained):
    entropy_model, _ = trained
    assert train_model([drive(seed) for seed in range(3)], FEW).data == entropy_model.data
    assert unpack_model(entropy_model.data).name == entropy_model.name


def test_figures_are_the_bytes_of_the_layers(trained):
    entropy_model, _ = trained
    images = [drive(4), drive(5)]
    cost = measure_model(entropy_model, images, [0.01, 0.1])
    masks = [len(pack_mask(image.valid, entropy_model)) for image in images]
    assert cost.mask_bytes == np.mean(masks)
    for max_error in (0.01, 0.1):
        bits = [
            8 * len(pack_ranges(one.ranges, one.valid, entropy_model, max_error)) / one.valid.sum()
            for one in images
        ]
        assert cost.bits_per_point[max_error] == pytest.approx(np.mean(bits))


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(GeometryError, match="at least one range image"):
        train_model([], FEW)


def test_the_command_writes_a_model_and_what_it_was_trained_on(quinr, tmp_path):
    random = np.random.default_rng(0)
    folder = tmp_path / "drive"
    folder.mkdir()
    for number in range(4):
        points = random.normal(scale=(15, 15, 1, 0), size=(900, 4)).astype(np.float32)
        (folder / f"{number}.bin").write_bytes(encode_velodyne(points))
    out = tmp_path / "own.qmodel"
    size = ("--height", 8, "--width", 64, "--copies", 2)
    steps = ("--mask-steps", 3, "--range-steps", 3, "--bits", 8)
    code, printed, _ = quinr("train-model", folder, "-o", out, *size, *steps, "--json")
    assert code == 0
    entropy_model = unpack_model(out.read_bytes())
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["entropy_model"] == entropy_model.name
    assert about["bytes"] == len(entropy_model.data)
    assert (len(about["training_set"]), len(about["held_out"])) == (3, 1)
    rows = [row["entropy_model"] for row in about["held_out_cost"]]
    assert rows == ["new", *(f"built in: {name}" for name in built_in_models())]
    assert json.loads(printed)["file"] == str(out)
    code, printed, _ = quinr("train-model", folder, "-o", out, *size, *steps, "--held-out", 0)
    assert code == 0
    assert unpack_model(out.read_bytes()).name != entropy_model.name


def test_the_command_refuses_what_it_cannot_do(quinr, tmp_path):
    code, _, printed = quinr("train-model", tmp_path, "-o", tmp_path / "own.bin")
    assert code != 0
    assert "expected a name that ends in .qmodel" in printed
    code, _, printed = quinr("train-model", tmp_path / "nowhere", "-o", tmp_path / "own.qmodel")
    assert code != 0
    assert "nowhere" in printed
    assert not (tmp_path / "own.qmodel").exists()
