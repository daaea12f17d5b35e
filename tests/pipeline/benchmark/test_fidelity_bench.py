"""What decoded scans are good for: the run, its page, and what it says of drift."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.benchmark.fidelity import (
    MAX_ERRORS,
    SENSOR_NOISE,
    BenchFrame,
    bench_fidelity,
    noisy_cloud,
    profiles_for,
)
from pipeline.benchmark.fidelity_page import conclusion, drift_verdict, page
from pipeline.cli.main import app
from pipeline.datasets.synthetic import scan_frame
from pipeline.datasets.synthetic.drive import make_road
from pipeline.evaluation.tasks.trajectory import pose_difference
from quinr_lidar import Profile, SphericalProjection, codec
from quinr_lidar.errors import ProfileError
from tests.support.tiny import tiny

FRAMES = 3
TINY = Profile(**tiny(layers="preview,mask", steps=30, batch_size=256))


@pytest.fixture(scope="module")
def frames() -> list[BenchFrame]:
    road = make_road(FRAMES, 0)
    scans = [scan_frame(road, index)[::4] for index in range(FRAMES)]
    # As broken sensors have it: neither point may count.
    scans[0] = np.vstack([scans[0], [[np.nan, 0, 0, 0], [0, 0, 0, 0]]]).astype(np.float32)
    return [
        BenchFrame(f"{index:06d}", lambda scan=scan: scan, road.sensor_pose(index))
        for index, scan in enumerate(scans)
    ]


@pytest.fixture(scope="module")
def document(frames) -> dict[str, Any]:
    done = []
    profiles = {"tiny": TINY, **profiles_for([0.5, 0.02], None)}
    found = bench_fidelity(frames, profiles, 3, done.append)
    assert done == [frame.name for frame in frames]
    return {"name": "fidelity", **found, "verdict": drift_verdict(found)}


def test_one_profile_has_no_largest_error_and_the_others_have_all():
    found = profiles_for(MAX_ERRORS, "preview")
    assert list(found)[:3] == ["preview", "50 cm", "20 cm"]
    assert [one.max_error for one in found.values()][1:] == list(MAX_ERRORS)
    assert [one.steps > 1000 for one in found.values()] == [True, *[False] * len(MAX_ERRORS)]
    with pytest.raises(ProfileError):
        profiles_for([1e-9], None)


def test_smaller_bounds_cost_bytes_and_give_fidelity(document):
    coarse, fine = document["baselines"][1:]
    assert coarse["max_error_m"] == 0.5

    def mean(entry, name):
        return entry["figures"][name]["mean"]

    for name in ("encoded_bytes", "psnr_db", "codec_d1_psnr_db", "codec_occupancy_iou"):
        assert mean(coarse, name) < mean(fine, name)
    for name in ("codec_chamfer_m", "codec_registration_m"):
        assert mean(coarse, name) > mean(fine, name)
    for entry in (coarse, fine):
        assert 0 < entry["figures"]["largest_error_m"]["max"] <= entry["max_error_m"]
        assert entry["odometry"]["image to truth"] == coarse["odometry"]["image to truth"]
        assert entry["figures"]["projection_chamfer_m"] == coarse["figures"]["projection_chamfer_m"]
        assert entry["frames"] == entry["measured"] == FRAMES
    json.dumps(document, allow_nan=False)


def test_bytes_are_those_of_files(document, frames):
    points = frames[1].load()
    image = SphericalProjection().project(points)
    profile = profiles_for([0.02], None)["2 cm"]
    first = SphericalProjection().project(frames[0].load()[:-2])
    start = codec.read_parameters(codec.encode(first, profile))
    size = len(codec.encode_frame(image, profile, start=start).data)
    figures = document["baselines"][2]["figures"]["encoded_bytes"]
    assert figures["min"] <= size <= figures["max"]


def test_noise_is_the_sensors(frames):
    image = SphericalProjection().project(frames[1].load())
    cloud = image.projection.back_project(image)
    again = noisy_cloud(image, np.random.default_rng(0))
    moved = np.linalg.norm(again, axis=1) - np.linalg.norm(cloud, axis=1)
    assert moved.std() == pytest.approx(SENSOR_NOISE, rel=0.05)
    assert abs(moved.mean()) < SENSOR_NOISE / 20


def test_every_noise_is_another(document):
    runs = document["noise"]["odometry"]
    assert len({run["decoded to truth"]["translation_per_m"] for run in runs}) == 3


def test_the_page_has_a_row_for_everything(document):
    text = page(document, "A drive", "quinr bench fidelity")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    names = ["scan", "range image", "noise", "tiny", "50 cm", "2 cm"]
    assert [row[0] for row in cells[2:]] == names
    assert len({len(row) for row in cells}) == 1
    drift = cells[0].index("drift [%]")
    assert all(row[drift] for row in cells[2:])
    mean = document["baselines"][2]["figures"]["encoded_bytes"]["mean"]
    assert cells[-1][1] == f"{mean:,.0f}"
    assert conclusion(document["verdict"]) in text


def of_drift(values: dict[str, float], noise: list[float], *, image: float, truth: bool) -> Any:
    """A document of nothing but drift."""
    name = "decoded to truth" if truth else "decoded to image"

    def odometry(value: float) -> dict[str, Any]:
        return {
            name: {"translation_per_m": value},
            "image to truth": {"translation_per_m": image} if truth else None,
        }

    return {
        "ground_truth": truth,
        "baselines": [{"name": key, "odometry": odometry(one)} for key, one in values.items()],
        "noise": {"odometry": [odometry(one) for one in noise]},
    }


def test_drift_counts_when_it_exceeds_what_noise_does():
    document = of_drift({"fine": 0.012, "coarse": 0.013}, [0.009, 0.010], image=0.011, truth=True)
    verdict = drift_verdict(document)
    assert verdict["limit"] == pytest.approx(0.010 + 2 * 0.001)
    assert verdict["unmeasurable"] == {"fine": True, "coarse": False}
    assert "No measurable drift: fine. More than that: coarse." in conclusion(verdict)


def test_without_ground_truth_the_path_of_the_originals_counts():
    document = of_drift({"fine": 0.006, "coarse": 0.02}, [0.004, 0.006], image=0, truth=False)
    verdict = drift_verdict(document)
    assert verdict["baseline"] == pytest.approx(0.005)
    assert verdict["unmeasurable"] == {"fine": True, "coarse": False}
    assert "odometry on the range images" in conclusion(verdict)


def test_drift_of_too_few_runs_is_not_judged():
    verdict = drift_verdict(of_drift({"fine": 0.006}, [0.004], image=0, truth=False))
    assert verdict["unmeasurable"] == {"fine": None}
    assert "cannot be judged" in conclusion(verdict)


def test_steps_between_frames_are_measured_against_truth(document, frames):
    """The sensor moves about a metre a frame, which no figure may contain as an error."""
    metres, _ = pose_difference(frames[0].pose, frames[1].pose)
    assert metres == pytest.approx(1, abs=0.05)
    errors = document["baselines"][2]["figures"]["image_registration_error_m"]
    assert 0 < errors["mean"] < 0.2


def test_the_command_writes_a_page_and_a_document(tmp_path):
    options = ["--frames", "2", "--max-error", "0.2", "--preview", "", "--repeats", "0"]
    result = CliRunner().invoke(app, ["bench", "fidelity", *options, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "fidelity.json").read_text())
    assert document["source"] == "synthetic drive"
    assert document["ground_truth"] is True
    assert [one["name"] for one in document["baselines"]] == ["20 cm"]
    text = (tmp_path / "fidelity.md").read_text()
    assert "A synthetic drive, 2 frames." in text
    assert "| 20 cm |" in text
