"""Frames in, records out: what they say, what is read, and going on after a stop."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.evaluation.cloud_fidelity import compare_clouds, prefixed
from pipeline.evaluation.tasks import (
    CloudTasks,
    DriveFrame,
    EvaluationRecord,
    FrameClouds,
    TaskSettings,
    evaluate_frames,
    evaluate_pair,
    summarise_evaluation,
)
from pipeline.evaluation.tasks.odometry import Odometry
from pipeline.evaluation.tasks.records import CLOUDS, pose_numbers
from pipeline.evaluation.tasks.trajectory import pose_difference
from quinr_lidar.errors import BackendError, ScanError
from quinr_lidar.metrics.clouds import Cloud, match

STEP = 0.1

PAIRS = {
    "scan": ("scan", "decoded"),
    "codec": ("image", "decoded"),
    "projection": ("scan", "image"),
}


def rounded(cloud: np.ndarray, step: float = STEP) -> np.ndarray:
    """As a codec whose max error is half a step would leave it."""
    ranges = np.linalg.norm(cloud, axis=1, keepdims=True)
    return cloud * (np.round(ranges / step) * step / ranges)


class Frames:
    """Counts how often a frame is read."""

    def __init__(self, drive, poses: bool = True, broken: tuple[int, ...] = ()) -> None:
        self.read: list[str] = []
        self.all = [
            DriveFrame(f"{index:06d}", self._loader(drive, index, index in broken), pose)
            for index, pose in enumerate(drive.poses if poses else [None] * len(drive.scans))
        ]

    def _loader(self, drive, index, broken):
        def load() -> FrameClouds:
            self.read.append(f"{index:06d}")
            if broken:
                raise ScanError(f"{index}: damaged")
            cloud = drive.clouds[index]
            return FrameClouds(drive.scans[index], cloud, rounded(cloud))

        return load


def numbers(record: EvaluationRecord) -> dict[str, float]:
    return {key: np.nan if one is None else one for key, one in record.figures.items()}


def evaluate(frames, settings: TaskSettings | None = None) -> list[EvaluationRecord]:
    wanted = settings or TaskSettings()
    return list(evaluate_frames(frames, wanted, wanted.sampled(len(frames))))


def with_odometry(records: list[EvaluationRecord], frames) -> list[EvaluationRecord]:
    """Records with the poses of all clouds, as an evaluation puts them together."""
    odometry = {name: Odometry() for name in CLOUDS}
    clouds = [frame.load() for frame in frames]
    return [
        replace(
            record,
            poses=record.poses
            | {name: pose_numbers(one.add(getattr(found, name))) for name, one in odometry.items()},
        )
        for record, found in zip(records, clouds, strict=True)
    ]


@pytest.fixture(scope="module")
def records(drive):
    return evaluate(Frames(drive).all)


def test_records_hold_every_figure(drive, records):
    assert [record.frame for record in records] == [f"{index:06d}" for index in range(4)]
    for index, record in enumerate(records):
        assert record.error is None
        assert set(record.poses) == {"truth"}
        image = drive.clouds[index]
        clouds = {"scan": drive.scans[index], "image": image, "decoded": rounded(image)}
        for name, (first, second) in PAIRS.items():
            matches = match(Cloud(clouds[first]), Cloud(clouds[second]))
            direct = prefixed(name, compare_clouds(matches, 80))
            assert record.figures.items() >= direct.items()
        for name in ("scan", "codec", "projection"):
            for task in ("ground_iou", "occupancy_iou", "obstacle_iou"):
                value = record.figures[f"{name}_{task}"]
                assert value is not None
                assert 0.3 < value <= 1
        registered = [name for name in record.figures if "registration" in name]
        assert len(registered) == 12
        assert all((record.figures[name] is None) == (index == 0) for name in registered)
        json.dumps(asdict(record), allow_nan=False)


def test_the_codec_alone_costs_less_than_with_the_projection(records):
    for record in records:
        figures = record.figures
        for name in ("chamfer_m", "d1_mse_m2", "d2_mse_m2"):
            assert figures[f"codec_{name}"] < figures[f"scan_{name}"]
        assert figures["codec_occupancy_iou"] > figures["scan_occupancy_iou"]
        assert figures["codec_hausdorff_m"] <= STEP / 2 + 1e-3


def test_registration_is_compared_with_truth_and_with_the_other_cloud(records):
    figures = records[2].figures
    for name in ("scan", "image", "decoded"):
        assert figures[f"{name}_registration_error_m"] < 0.1
        assert 0.5 < figures[f"{name}_fitness"] <= 1
    triangle = figures["image_registration_error_m"] + figures["decoded_registration_error_m"]
    assert 0 < figures["codec_registration_m"] <= triangle + 1e-3


def test_identical_clouds_agree_in_every_task(drive):
    tasks = [CloudTasks(TaskSettings(odometry=False)) for _ in range(3)]
    for cloud in drive.clouds[:2]:
        found = [one.add(cloud) for one in tasks]
    figures = evaluate_pair(*found, peak=80)
    for name in ("scan", "codec", "projection"):
        for task in ("ground_iou", "occupancy_iou", "obstacle_iou"):
            assert figures[f"{name}_{task}"] == 1
        assert figures[f"{name}_registration_m"] == pytest.approx(0, abs=1e-6)
        assert figures[f"{name}_registration_deg"] == pytest.approx(0, abs=1e-4)


def test_a_sample_reads_no_more_than_it_needs(drive):
    settings = TaskSettings(every=3, odometry=False)
    frames = Frames(drive)
    found = evaluate(frames.all, settings)
    assert frames.read == ["000000", "000002", "000003"]
    assert [bool(record.figures) for record in found] == [True, False, False, True]
    assert found[3].figures["codec_registration_m"] is not None
    assert summarise_evaluation(found)["measured"] == 2
    alone = Frames(drive)
    evaluate(alone.all, replace(settings, registration=False))
    assert alone.read == ["000000", "000003"]


def test_a_sample_of_so_many_frames_is_spread_evenly(drive):
    frames = Frames(drive)
    settings = TaskSettings(sample=2, odometry=False, registration=False)
    found = evaluate(frames.all, settings)
    assert frames.read == ["000000", "000002"]
    assert [bool(record.figures) for record in found] == [True, False, True, False]
    for sample, frames in ((1, 9), (3, 10), (9, 9), (99, 4)):
        chosen = np.flatnonzero(TaskSettings(sample=sample).sampled(frames))
        assert len(chosen) == min(sample, frames)
        assert chosen[0] == 0
        gaps = np.diff([*chosen, frames])
        assert gaps.max() - gaps.min() <= 1
    assert TaskSettings(sample=3).sampled(0) == []


def test_figures_that_a_frame_knows_join_its_own(drive):
    frame = Frames(drive).all[0]
    clouds = frame.load()
    asked = []

    def measure():
        asked.append(1)
        return {"psnr_db": 70.0, "mask_exact": True, "max_error_m": np.nan}

    known = DriveFrame("0", lambda: replace(clouds, measure=measure))
    settings = TaskSettings(odometry=False, registration=False)
    (found,) = evaluate([known], settings)
    (alone,) = evaluate([frame], settings)
    assert (
        found.figures == {"psnr_db": 70.0, "mask_exact": True, "max_error_m": None} | alone.figures
    )
    evaluate([known, known], replace(settings, every=9, registration=True))
    assert len(asked) == 2


def test_a_damaged_frame_fails_alone(drive):
    found = evaluate(Frames(drive, broken=(1,)).all)
    assert [record.error for record in found] == [None, "1: damaged", None, None]
    assert found[1].figures == {}
    # Frame 2 has no predecessor, frame 3 has one.
    assert found[2].figures["codec_registration_m"] is None
    assert found[3].figures["codec_registration_m"] is not None
    summary = summarise_evaluation(found)
    assert (summary["frames"], summary["measured"], summary["failed"]) == (4, 3, 1)


def test_a_missing_package_stops_the_run(drive):
    def load():
        raise BackendError("Open3D is not installed")

    with pytest.raises(BackendError):
        evaluate([DriveFrame("000000", load)], TaskSettings(odometry=False))


def test_nothing_decoded_is_measured_as_such(drive):
    nothing = np.empty((0, 3), np.float32)
    frames = [
        DriveFrame(str(index), lambda index=index: FrameClouds(
            drive.scans[index], drive.clouds[index], nothing
        ))
        for index in range(2)
    ]  # fmt: skip
    found = evaluate(frames)
    for record in found:
        assert record.error is None
        assert record.figures["codec_chamfer_m"] is None
        assert record.figures["codec_ground_iou"] is None
        assert record.figures["density_decoded_5_10m"] == 0
        assert record.figures["projection_chamfer_m"] is not None


def test_summary_over_frames(drive, records):
    records = with_odometry(records, Frames(drive).all)
    summary = summarise_evaluation(records)
    values = [record.figures["codec_chamfer_m"] for record in records]
    assert summary["figures"]["codec_chamfer_m"] == {
        "mean": pytest.approx(np.mean(values)),
        "min": min(values),
        "median": pytest.approx(np.median(values)),
        "max": max(values),
        "std": pytest.approx(np.std(values)),
    }
    assert summary["figures"]["codec_registration_m"]["mean"] is not None
    odometry = summary["odometry"]
    for cloud in ("scan", "image", "decoded"):
        errors = odometry[f"{cloud} to truth"]
        assert errors["frames"] == 4
        assert errors["path_m"] == pytest.approx(3, abs=0.1)
        assert errors["translation_per_m"] < 0.2
    truth, estimate = (
        np.vstack([np.reshape(records[1].poses[name], (3, 4)), [0, 0, 0, 1]])
        for name in ("truth", "decoded")
    )
    start = drive.poses[0]
    metres, _ = pose_difference(np.linalg.inv(start) @ truth, estimate)
    assert 0 < metres < 0.2
    assert odometry["decoded to image"]["translation_per_m"] > 0
    assert summarise_evaluation([])["odometry"]["scan to truth"] is None


def test_without_ground_truth_there_is_no_error_against_it(drive):
    frames = Frames(drive, poses=False).all[:2]
    found = with_odometry(evaluate(frames, TaskSettings(registration=False)), frames)
    summary = summarise_evaluation(found)
    assert summary["odometry"]["decoded to truth"] is None
    assert summary["odometry"]["decoded to scan"] is not None
    assert summary["figures"]["codec_registration_m"]["mean"] is None


def test_settings_are_checked():
    with pytest.raises(ValueError, match="every"):
        TaskSettings(every=0)
    for wrong in ({"sample": 0}, {"sample": 2, "every": 2}):
        with pytest.raises(ValueError, match="sample"):
            TaskSettings(**wrong)
    assert json.dumps(TaskSettings().as_dict())
