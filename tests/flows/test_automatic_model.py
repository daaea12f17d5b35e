"""`entropy_model="auto"` through the flow: chosen before the first frame, and only once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flows.archive_dataset import decide
from flows.archive_sequence import archive_sequence
from pipeline.archive.chosen_model import NOTE, ModelChoice, write_choice
from pipeline.archive.reader import PackedSequence
from pipeline.config.archive_config import ArchiveConfig, RunConfig
from pipeline.datasets.discovery import Drive
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.sequence.model_files import keep_model
from quinr_lidar import codec
from quinr_lidar.entropy.models import built_in_models
from tests.support.models import coarser
from tests.support.tiny import tiny

TINY = tiny()
CONFIG = ArchiveConfig(overrides=TINY, entropy_model="auto", run=RunConfig(workers=1))


def drive(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(3000, 3))
        (folder / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
    return folder


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_the_first_run_settles_it_and_later_ones_keep_to_it(tmp_path):
    scans, out = drive(tmp_path / "inbox" / "d", 2), tmp_path / "archive"

    def archive():
        state = archive_sequence(str(scans), str(out), CONFIG, return_state=True)
        assert state.is_completed(), state.message
        return json.loads((out / "d" / NOTE).read_text())

    choice = archive()
    built_in = built_in_models()["hdl64"]
    assert choice["entropy_model"] == built_in.name
    first = (out / "d" / "frames" / "000000.quinr").read_bytes()
    assert codec.inspect(first).entropy_model == built_in.name
    assert archive() == choice
    decided = decide(Drive(scans, "d"), out, CONFIG, resume=True, settle_minutes=0)
    assert decided is not None
    assert decided.kind == "complete"


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_what_was_resolved_codes_the_frames(tmp_path):
    scans, out = drive(tmp_path / "inbox" / "d", 2), tmp_path / "archive"
    own = coarser()
    keep_model(out / "d", own)
    write_choice(out / "d", ModelChoice(own.name, "drive e"))
    state = archive_sequence(str(scans), str(out), CONFIG, return_state=True)
    assert state.is_completed(), state.message
    packed = PackedSequence.open(out / "d")
    assert packed.description.entropy_models == (own.name,)
    assert [entropy_model.name for entropy_model in packed.entropy_models] == [own.name], (
        "the archive carries it"
    )
