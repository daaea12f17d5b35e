"""Archives of another grid and field of view: made, resumed, restored and evaluated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from flows.archive_dataset import decide
from flows.archive_sequence import archive_sequence
from flows.evaluate_archive import evaluate_archive
from flows.restore_sequence import restore_sequence
from pipeline.archive.reader import PackedSequence
from pipeline.config.archive_config import ArchiveConfig, ProjectionConfig
from pipeline.config.files import CONFIG as CONFIG_FILE
from pipeline.config.files import read_config
from pipeline.datasets import open_dataset
from pipeline.datasets.discovery import Drive
from pipeline.evaluation.tasks import TaskSettings
from quinr_lidar import codec
from quinr_lidar.errors import ArchiveError
from tests.support.flows import CONFIG, HERE, digests, verified

GRID = ProjectionConfig(height=32, width=512, fov_up=10.0, fov_down=-30.0)
OTHER_GRID = CONFIG.model_copy(update={"projection": GRID})

pytestmark = pytest.mark.usefixtures("plain")


def archive(drives: Path, out: Path, config: ArchiveConfig = OTHER_GRID, **how) -> Path:
    assert archive_sequence.fn(str(drives / "a"), str(out), config, **how).name == "Completed"
    return out / "a"


def test_archived_resumed_restored_and_evaluated(drives, tmp_path):
    out = tmp_path / "archive"
    folder = archive(drives, out)
    data = (folder / "frames" / "000000.quinr").read_bytes()
    assert codec.decode(data).projection == GRID.spherical()
    description = PackedSequence.open(folder).description
    assert (description.projection["height"], description.projection["width"]) == (32, 512)
    assert verified(folder, drives / "a") == []

    written = {path.name: path.stat().st_ino for path in (folder / "frames").iterdir()}
    archive(drives, out)
    assert {path.name: path.stat().st_ino for path in (folder / "frames").iterdir()} == written

    restored = restore_sequence.fn(str(folder), str(tmp_path / "kitti"), HERE)
    assert restored.message == "3 frames"
    points = open_dataset(tmp_path / "kitti").read("000000").points
    assert len(points) == codec.decode(data).valid_count
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    assert elevation.min() >= -30
    assert elevation.max() > 3, "above the default field of view"

    tasks = TaskSettings(odometry=False, registration=False)
    state = evaluate_archive.fn(str(drives / "a"), str(folder), tasks, HERE)
    assert (state.name, state.message) == ("Completed", "3 evaluated frames")


def test_another_grid_is_encoded_again(drives, tmp_path):
    out = tmp_path / "archive"
    folder = archive(drives, out)
    before = digests(folder / "frames")
    drive = Drive(drives / "a", "a")
    done = decide(drive, out, OTHER_GRID, resume=True, settle_minutes=0)
    assert done is not None
    assert done.kind == "complete"
    # The packed archive stays what it is until somebody wants it replaced.
    with pytest.raises(ArchiveError, match="was made with others"):
        archive(drives, out, CONFIG)
    assert digests(folder / "frames") == before
    shutil.rmtree(folder / "report", ignore_errors=True)
    for name in ("frames.mcap", "manifest.parquet"):
        (folder / name).unlink()
    archive(drives, out, CONFIG)
    after = digests(folder / "frames")
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)
    archive(drives, out, OTHER_GRID, resume=False)
    assert digests(folder / "frames") == before


def test_effective_settings_are_beside_the_results(drives, tmp_path):
    folder = archive(drives, tmp_path / "archive")
    kept = ArchiveConfig.model_validate(read_config(folder / CONFIG_FILE))
    assert kept == OTHER_GRID
    assert yaml.safe_load((folder / CONFIG_FILE).read_text())["projection"]["width"] == 512
    settings = json.loads((folder / "metrics.json").read_text())["settings"]
    assert settings["config"] == kept.model_dump(mode="json")
    assert settings["projection"] == vars(GRID.spherical())
    assert settings["profile"]["steps"] == kept.overrides["steps"]
    again = archive(drives, tmp_path / "again", kept)
    assert digests(again / "frames") == digests(folder / "frames")
