"""`--entropy-model auto`: the best model at hand or one trained on the drive, decided once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from pipeline.archive.chosen_model import NOTE, ModelChoice, resolved_model, write_choice
from pipeline.archive.target import encoder_settings
from pipeline.archive.writer import pack_sequence
from pipeline.config.archive_config import ArchiveConfig
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.config.profile_files import scan_profile
from pipeline.datasets import Dataset, open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.models import automatic
from pipeline.models.automatic import choose_automatically, frame_bytes
from pipeline.models.training import ModelSettings
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.model_files import keep_model
from pipeline.sequence.sequence import archive_jobs
from pipeline.storage.locations import locate
from quinr_lidar import SphericalProjection, codec
from quinr_lidar.entropy.models import SUFFIX, built_in_models
from quinr_lidar.errors import EntropyModelError, ProfileError
from tests.support.tiny import tiny

FEW = ModelSettings(mask_steps=60, range_steps=150, batch_size=512)
TINY = tiny()
GRID = SphericalProjection(32, 256)
BOUNDED = scan_profile("bounded", {})
SETTINGS = EncoderSettings(BOUNDED, GRID)


def strange_drive(folder: Path, count: int) -> Dataset:
    """Scans of a sensor like no other: every point at one of three ranges, no surface anywhere."""
    folder.mkdir(parents=True)
    for index in range(count):
        random = np.random.default_rng(index)
        yaw = random.uniform(-np.pi, np.pi, 9000)
        elevation = np.radians(random.uniform(-25, 3, 9000))
        ranges = random.choice([5.0, 20.0, 60.0], 9000) + random.uniform(0, 0.01, 9000)
        flat = ranges * np.cos(elevation)
        points = (flat * np.cos(yaw), flat * np.sin(yaw), ranges * np.sin(elevation))
        (folder / f"{index:06d}.bin").write_bytes(encode_velodyne(np.stack(points, axis=1)))
    return open_dataset(folder)


def no_training(*_) -> NoReturn:
    pytest.fail("a model was trained")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Dataset, Path, ModelChoice]:
    """A drive, its folder in an archive, and the choice made for it."""
    root = tmp_path_factory.mktemp("auto")
    dataset = strange_drive(root / "scans" / "long", 40)
    folder = root / "archive" / "long"
    return (
        dataset,
        folder,
        choose_automatically(dataset, folder, SETTINGS, settings=FEW),
    )


def test_a_drive_gets_its_own_model_when_that_pays(trained):
    dataset, folder, choice = trained
    entropy_model = resolved_model(folder)
    assert entropy_model is not None
    assert entropy_model.name == choice.entropy_model
    assert entropy_model.data == (folder / f"{entropy_model.name}{SUFFIX}").read_bytes()
    built_in = built_in_models()["hdl64"]
    images = [GRID.project(dataset.read(one).points) for one in choice.held_out]
    sizes = {
        name: np.mean([frame_bytes(one, image, BOUNDED) for image in images])
        for name, one in {
            "trained on this drive": entropy_model,
            "built in: hdl64": built_in,
        }.items()
    }
    assert choice.frame_bytes == pytest.approx(sizes, abs=0.1)
    saved = sizes["built in: hdl64"] - sizes["trained on this drive"]
    assert 40 * saved > len(entropy_model.data)
    assert not set(choice.training_set) & set(choice.held_out)
    assert len(choice.training_set) == automatic.TRAINING_FRAMES
    written = json.loads((folder / NOTE).read_text())
    assert written["entropy_model"] == entropy_model.name


def test_another_drive_of_the_sensor_takes_it_over(trained, tmp_path):
    _, folder, choice = trained
    again = strange_drive(tmp_path / "scans" / "next", 41)
    beside = folder.parent / "next"
    taken = choose_automatically(again, beside, SETTINGS, train=no_training)
    assert taken.entropy_model == choice.entropy_model
    assert taken.origin.startswith("drive long")
    resolved = resolved_model(beside)
    assert resolved is not None
    assert resolved.name == choice.entropy_model
    assert (beside / f"{choice.entropy_model}{SUFFIX}").is_file(), (
        "every archive carries its own copy"
    )


def test_what_does_not_pay_for_itself_is_not_taken(trained, tmp_path, own_model):
    dataset, _, _ = trained
    choice = choose_automatically(dataset, tmp_path / "00", SETTINGS, train=lambda *_: own_model)
    assert choice.origin == "built in: hdl64"
    assert "trained on this drive" in choice.frame_bytes
    assert [path.name for path in (tmp_path / "00").iterdir()] == [NOTE]


def test_a_short_drive_is_not_trained_on(tmp_path):
    dataset = strange_drive(tmp_path / "scans", 3)
    choice = choose_automatically(dataset, tmp_path / "archive" / "00", SETTINGS, train=no_training)
    assert (choice.origin, choice.training_set) == ("built in: hdl64", [])
    resolved = resolved_model(tmp_path / "archive" / "00")
    assert resolved is built_in_models()["hdl64"]


def test_bad_scans_are_passed_over_unless_all_are_bad(tmp_path):
    dataset = strange_drive(tmp_path / "scans", 4)
    dataset.frame("000001").path.write_bytes(b"\x00" * 17)
    choice = choose_automatically(dataset, tmp_path / "a" / "00", SETTINGS)
    assert choice.origin == "built in: hdl64"
    for frame in dataset.frame_ids:
        dataset.frame(frame).path.write_bytes(np.full((5, 4), np.nan, np.float32).tobytes())
    with pytest.raises(EntropyModelError, match="expected scans to choose it by"):
        choose_automatically(dataset, tmp_path / "b" / "00", SETTINGS)
    assert not (tmp_path / "b" / "00" / NOTE).exists()


def test_without_ranges_masks_alone_decide(tmp_path):
    masks = scan_profile("bounded", {"layers": "preview,mask"})
    dataset = strange_drive(tmp_path / "scans", 1)
    choice = choose_automatically(
        dataset, tmp_path / "archive" / "00", EncoderSettings(masks, GRID)
    )
    image = GRID.project(dataset.read("000000").points)
    built_in = built_in_models()["hdl64"]
    assert list(choice.frame_bytes.values()) == [frame_bytes(built_in, image, masks)]
    assert frame_bytes(built_in, image, masks) < frame_bytes(built_in, image, BOUNDED)


def test_a_resolved_model_makes_the_profile(trained):
    _, folder, choice = trained
    chosen, carried = encoder_settings(folder, ArchiveConfig(overrides=TINY, entropy_model="auto"))
    assert chosen.profile.entropy_model == choice.entropy_model
    assert carried is not None
    assert carried.name == choice.entropy_model


def test_an_archive_whose_folder_is_gone_says_which_model_is_used(tmp_path, own_model):
    strange_drive(tmp_path / "scans" / "00", 2)
    folder = tmp_path / "archive" / "00"
    keep_model(folder, own_model)
    chosen, _ = encoder_settings(
        folder, ArchiveConfig(overrides=TINY | {"entropy_model": own_model.name})
    )
    for job in archive_jobs(open_dataset(tmp_path / "scans" / "00"), folder.parent, chosen):
        assert archive_frame(job).status == "ok"
    pack_sequence(folder, tmp_path / "packed" / "00")
    shutil.rmtree(folder)
    assert resolved_model(folder) is None
    again, carried = encoder_settings(
        folder,
        ArchiveConfig(overrides=TINY, entropy_model="auto"),
        locate(tmp_path / "packed" / "00"),
    )
    assert again.digest() == chosen.digest(), "so the drive goes on as it began"
    assert carried is not None
    assert carried.data == own_model.data
    assert (
        codec.inspect(b"".join(_first_frame(tmp_path / "packed" / "00"))).entropy_model
        == carried.name
    )


def _first_frame(packed: Path) -> list[bytes]:
    from pipeline.archive.reader import PackedSequence

    return [PackedSequence.open(packed).read("000000")]


def test_a_lost_model_is_named(tmp_path):
    write_choice(tmp_path, ModelChoice("0123456789abcdef", "trained on this drive"))
    with pytest.raises(
        EntropyModelError, match=r"entropy_model\.json: unknown entropy model '0123456789abcdef'"
    ):
        resolved_model(tmp_path)


@pytest.mark.parametrize(
    ("profile", "settings"), [("paper", {}), ("bounded", {"entropy_model": "hdl64"})], ids=str
)
def test_auto_without_effect_is_refused(tmp_path, profile, settings):
    with pytest.raises(ProfileError, match="entropy model: auto has no effect"):
        encoder_settings(
            tmp_path,
            ArchiveConfig(profile=profile, overrides=TINY | settings, entropy_model="auto"),
        )
