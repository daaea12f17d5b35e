from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.config.profile_files import find_profile
from pipeline.datasets.pictures import picture_bytes
from pipeline.search.candidates import OVERHEAD_BYTES, SearchSpace, draw_candidates
from pipeline.search.halving import halve
from pipeline.search.trials import Outcome, Trial, run_trial
from pipeline.storage.journal import Journal
from quinr_lidar import Profile
from quinr_lidar.fields.field import parameter_count
from tests.support.tiny import tiny


@pytest.fixture
def picture(tmp_path):
    y, x = np.mgrid[0:1:24j, 0:1:36j]
    values = np.stack((0.5 + 0.4 * np.sin(3 * x + y), x, 1 - 0.8 * y * x), -1)
    path = tmp_path / "picture.png"
    path.write_bytes(picture_bytes(np.rint(255 * values).astype(np.uint8)))
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_candidates_differ_and_about_fill_the_size(channels):
    space = SearchSpace(400, channels=channels)
    drawn = draw_candidates(space, 40, seed=1)
    assert len({json.dumps(one, sort_keys=True) for one in drawn}) == 40
    assert drawn == draw_candidates(space, 40, seed=1)
    assert drawn != draw_candidates(space, 40, seed=2)
    for settings in drawn:
        count = parameter_count(Profile().with_overrides(**settings).field(channels))
        assert 4.5 < 8 * (400 - OVERHEAD_BYTES) / count < 8.9
        assert ("readout" in settings) == (channels == 3)


SMALL = tiny(features=3, target_bytes=90, readout=3)
SMALL.pop("steps")  # every trial has its own


def test_a_trial_encodes(picture):
    outcome = run_trial(Trial(picture, SMALL, steps=50, seed=1))
    assert outcome.error is None
    assert outcome.bytes is not None
    assert outcome.bytes <= 90
    assert outcome.psnr_db is not None
    assert outcome.psnr_db > 10
    again = run_trial(Trial(picture, SMALL, steps=50, seed=1))
    assert (again.key, again.psnr_db) == (outcome.key, outcome.psnr_db)
    assert run_trial(Trial(picture, SMALL, steps=50, seed=2)).key != outcome.key


def test_what_does_not_fit_is_an_outcome(picture):
    outcome = run_trial(Trial(picture, SMALL | {"features": 900}, steps=5, seed=0))
    assert outcome.psnr_db is None
    assert "target_bytes" in (outcome.error or "")


def test_the_best_of_halving_is_the_best_of_its_last_rung(picture, tmp_path):
    candidates = [SMALL | {"features": features} for features in (2, 3, 4, 5, 6, 900)]
    journal = Journal(tmp_path / "journal.jsonl", Outcome)
    ranked = halve(candidates, [picture], journal, steps=60, seeds=2, workers=1)
    assert len(ranked) == 6
    assert [one.steps for one in ranked] == [60, 60, 20, 20, 20, 20]
    assert ranked[0].psnr_db >= ranked[1].psnr_db
    assert ranked[-1].settings["features"] == 900  # never fits
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert len(lines) == 6 + 2 * 2

    # Everything is known: nothing is run again, even after a crash in the middle of a line.
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"key": "cut sho')
    journal = Journal(tmp_path / "journal.jsonl", Outcome)
    again = halve(candidates, [picture], journal, steps=60, seeds=2, workers=1)
    assert again == ranked
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 6 + 2 * 2 + 1


def test_the_command_writes_a_preset_that_encodes(picture, tmp_path):
    preset = tmp_path / "tiny-120.json"
    options = ["--bytes", "120", "-o", str(preset), "--candidates", "3", "--steps", "40"]
    run = CliRunner().invoke(
        app, ["rd-search", str(picture), *options, "--seeds", "1", "--workers", "1", "--json"]
    )
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["preset"] == str(preset)
    profile = find_profile(str(preset))
    assert (profile.name, profile.target_bytes, profile.steps) == ("tiny-120", 120, 40)
