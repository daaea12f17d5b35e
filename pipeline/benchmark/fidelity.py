"""``quinr bench fidelity``: what decoded scans are good for, by largest error.

All files go along the drive together, so that a frame is in memory once, and what depends on the
originals alone is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.machine import describe_machine
from pipeline.evaluation.tasks import (
    CloudTasks,
    EvaluationRecord,
    TaskResult,
    TaskSettings,
    evaluate_decoded,
    evaluate_originals,
    summarise_evaluation,
)
from pipeline.evaluation.tasks.frames import step_between, truth_poses
from pipeline.evaluation.tasks.records import finite, pose_numbers
from pipeline.fidelity import largest_error
from quinr_lidar import Profile, RangeImage, SphericalProjection, codec, metrics
from quinr_lidar.codec.profiles import get_profile
from quinr_lidar.geometry import usable_points

MAX_ERRORS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Largest errors, metres."""
SHORT: dict[str, Any] = {"steps": 50, "refit_groups": 1}
"""Settings of bounded files' previews, on which nothing measured here depends but their bytes."""
SENSOR_NOISE = 0.02
"""Standard deviation of a range of the HDL-64E, metres (data sheet: under 2 cm)."""


@dataclass(frozen=True, eq=False)
class BenchFrame:
    """A frame that is read when its turn comes.

    Attributes:
        name: Id of the frame.
        load: Reads the points [N, 3 or more], metres.
        pose: Ground truth of the sensor, float64 [4, 4] in a fixed frame, or ``None``.
    """

    name: str
    load: Callable[[], NDArray[np.floating]]
    pose: NDArray[np.float64] | None = None


def profiles_for(max_errors: Sequence[float], preview: str | None) -> dict[str, Profile]:
    """The profiles that are compared: a fully trained one without a largest error, bounded ones.

    Raises:
        ProfileError: an unknown profile, or a largest error out of range.
    """
    bounded = get_profile("bounded")
    return ({preview: get_profile(preview)} if preview else {}) | {
        f"{100 * one:g} cm": bounded.with_overrides(max_error=one, **SHORT) for one in max_errors
    }


def bench_fidelity(
    frames: Sequence[BenchFrame],
    profiles: Mapping[str, Profile],
    repeats: int = 5,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Encode, decode and evaluate every frame of a drive, in its order, with every profile.

    ``repeats`` odometry runs are on range images with further noise of :data:`SENSOR_NOISE`: by how
    much drift differs between them is chance. ``progress`` is called with every finished frame.

    Returns:
        A document of JSON's types: settings, and summaries of originals and profiles.
    """
    settings, only_odometry = TaskSettings(), TaskSettings(registration=False)
    noises = [f"noise {number}" for number in range(repeats)]
    tasks = {name: CloudTasks(settings) for name in ("scan", "image", *profiles)}
    tasks |= {name: CloudTasks(only_odometry) for name in noises}
    records: dict[str, list[EvaluationRecord]] = {name: [] for name in (*profiles, *noises)}
    files: dict[str, bytes] = {}
    last_pose = None
    for index, frame in enumerate(frames):
        points = usable_points(frame.load())
        image = SphericalProjection().project(points)
        originals = {"scan": points, "image": image.projection.back_project(image)}
        found = {name: tasks[name].add(cloud) for name, cloud in originals.items()}
        options: dict[str, Any] = {"peak": settings.peak}
        options |= {"true_step": step_between(last_pose, frame.pose)}
        shared = evaluate_originals(**found, **options)
        for name, profile in profiles.items():
            # Every preview starts from the one before.
            start = codec.read_parameters(files[name]) if name in files else None
            files[name] = codec.encode_frame(image, profile, start=start).data
            decoded = codec.decode(files[name])
            result = tasks[name].add(decoded.projection.back_project(decoded))
            figures = _own_figures(image, decoded, files[name]) | shared
            figures |= evaluate_decoded(**found, decoded=result, **options)
            poses = _poses(frame, found | {"decoded": result})
            records[name].append(EvaluationRecord(frame.name, finite(figures), poses))
        for number, name in enumerate(noises):
            cloud = noisy_cloud(image, np.random.default_rng([number, index]))
            result = tasks[name].add(cloud, measure=False)
            poses = _poses(frame, found | {"decoded": result})
            records[name].append(EvaluationRecord(frame.name, poses=poses))
        last_pose = frame.pose
        progress(frame.name)
    summaries = {name: summarise_evaluation(rows) for name, rows in records.items()}
    return {
        "frames": len(frames),
        "ground_truth": all(frame.pose is not None for frame in frames),
        "settings": settings.as_dict() | {"bounded_previews": SHORT},
        "baselines": [_entry(name, one) | summaries[name] for name, one in profiles.items()],
        "noise": {
            "sigma_m": SENSOR_NOISE,
            "odometry": [summaries[name]["odometry"] for name in noises],
        },
        "machine": describe_machine(),
    }


def noisy_cloud(image: RangeImage, rng: np.random.Generator) -> NDArray[np.float32]:
    """The image's points as another recording of the same place might have them.

    Returns:
        float32 [valid pixels, 3], metres, ranges with Gaussian noise of :data:`SENSOR_NOISE`.
    """
    noise = rng.normal(scale=SENSOR_NOISE, size=image.shape)
    ranges = np.maximum(image.ranges + noise, 0).astype(np.float32)
    again = RangeImage(ranges, image.valid, image.projection, image.no_return)
    return image.projection.back_project(again)


def _own_figures(image: RangeImage, decoded: RangeImage, data: bytes) -> dict[str, float]:
    psnr = metrics.psnr(image.filled(), decoded.ranges, max_value=image.no_return)
    largest = largest_error(image, decoded)
    return {"encoded_bytes": float(len(data)), "psnr_db": psnr, "largest_error_m": largest}


def _poses(frame: BenchFrame, results: Mapping[str, TaskResult]) -> dict[str, list[float]]:
    return truth_poses(frame.pose) | {
        name: pose_numbers(one.pose) for name, one in results.items() if one.pose is not None
    }


def _entry(name: str, profile: Profile) -> dict[str, Any]:
    max_error = profile.max_error if "ranges" in profile.layers else None
    settings = {"profile": profile.model_dump(mode="json"), "digest": profile.digest()}
    return {"name": name, "max_error_m": max_error, **settings}
