"""Figures of the frames of a drive, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.tasks.cloud_tasks import CloudTasks, TaskSettings
from pipeline.evaluation.tasks.pair import evaluate_pair
from pipeline.evaluation.tasks.records import (
    CLOUDS,
    TRUTH,
    EvaluationRecord,
    finite,
    pose_numbers,
)
from quinr_lidar.errors import BackendError, QuinrError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameClouds:
    """A frame's clouds, [N, 3 or more], metres, in the sensor's frame, all finite.

    Attributes:
        scan: The original points.
        image: The original range image, back-projected.
        decoded: The decoded range image, back-projected; may have no points.
        measure: Measures further figures of the frame; called for sampled frames only.
    """

    scan: NDArray[np.floating]
    image: NDArray[np.floating]
    decoded: NDArray[np.floating]
    measure: Callable[[], Mapping[str, float]] = dict


@dataclass(frozen=True, eq=False)
class DriveFrame:
    """A frame that is read and decoded only when it is needed.

    Attributes:
        name: Id of the frame.
        load: Reads its clouds. A :class:`~quinr_lidar.errors.QuinrError` fails this frame only.
        pose: The sensor's pose float64 [4, 4] in a fixed frame, or ``None``.
        sensor_height: Height of the sensor above the ground, metres, or ``None``.
    """

    name: str
    load: Callable[[], FrameClouds]
    pose: FloatArray | None = None
    sensor_height: float | None = None


def evaluate_frames(
    frames: Sequence[DriveFrame], settings: TaskSettings, sampled: Sequence[bool]
) -> Iterator[EvaluationRecord]:
    """Measure frames of a drive; one at a time is in memory.

    A frame that is not sampled is read only where the next one is registered with it.

    Args:
        frames: Frames that follow each other.
        settings: What is measured; odometry is not, since it needs the whole drive
            (:class:`~pipeline.evaluation.tasks.odometry.Odometry`).
        sampled: Which frames to measure.

    Yields:
        A record for every frame; without figures for those that are not sampled.

    Raises:
        BackendError: Open3D is missing.
    """
    alone = replace(settings, odometry=False)
    tasks = {name: CloudTasks(alone) for name in CLOUDS}
    following = [*sampled[1:], False]
    last_pose: FloatArray | None = None
    for frame, measures, next_measures in zip(frames, sampled, following, strict=True):
        record = EvaluationRecord(frame.name, poses=truth_poses(frame.pose))
        if measures or (settings.registration and next_measures):
            step = step_between(last_pose, frame.pose)
            record = _evaluate(frame, tasks, settings, sampled=measures, true_step=step)
        last_pose = frame.pose
        yield record


def _evaluate(
    frame: DriveFrame,
    tasks: Mapping[str, CloudTasks],
    settings: TaskSettings,
    *,
    sampled: bool,
    true_step: FloatArray | None,
) -> EvaluationRecord:
    poses = truth_poses(frame.pose)
    try:
        clouds = frame.load()
        found = {
            name: one.add(getattr(clouds, name), measure=sampled, sensor_height=frame.sensor_height)
            for name, one in tasks.items()
        }
        figures: dict[str, float] = {}
        if sampled:
            compared = evaluate_pair(**found, peak=settings.peak, true_step=true_step)
            figures = {**clouds.measure(), **compared}
        elif found["scan"].cloud is None or found["image"].cloud is None:
            # As for a sampled one: the next frame's registration must not depend on the sample.
            _skip(tasks)
    except BackendError:
        raise
    except QuinrError as error:
        _skip(tasks)
        return EvaluationRecord(frame.name, poses=poses, error=str(error))
    return EvaluationRecord(frame.name, finite(figures), poses)


def _skip(tasks: Mapping[str, CloudTasks]) -> None:
    for one in tasks.values():
        one.skip()


def truth_poses(pose: FloatArray | None) -> dict[str, list[float]]:
    """The ground truth as a record's poses hold it; empty without one."""
    return {} if pose is None else {TRUTH: pose_numbers(np.asarray(pose, np.float64))}


def step_between(previous: FloatArray | None, current: FloatArray | None) -> FloatArray | None:
    """Motion from a frame to the one before by ground truth, float64 [4, 4].

    ``None`` where one of the poses is not known.
    """
    return None if previous is None or current is None else np.linalg.inv(previous) @ current
