"""All tasks along a sequence: frames and known records in, a record a frame out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.tasks.pair import evaluate_pair
from pipeline.evaluation.tasks.records import (
    TRACKS,
    TRUTH,
    EvaluationRecord,
    finite,
    pose_numbers,
)
from pipeline.evaluation.tasks.track import TaskSettings, Track
from quinr_lidar.errors import BackendError, QuinrError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameClouds:
    """A frame's clouds, [N, 3 or more], metres, in the sensor's frame, all finite.

    Attributes:
        scan: The original points.
        image: The original range image, back-projected.
        decoded: The decoded range image, back-projected; may have no points.
    """

    scan: NDArray[np.floating]
    image: NDArray[np.floating]
    decoded: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class SequenceFrame:
    """A frame that is read and decoded only when it is needed.

    Attributes:
        name: Its id.
        load: Its clouds. A :class:`~quinr_lidar.errors.QuinrError` fails the frame, not the rest.
        pose: The sensor's pose float64 [4, 4] in a fixed frame, or ``None``.
    """

    name: str
    load: Callable[[], FrameClouds]
    pose: FloatArray | None = None


def evaluate_sequence(
    frames: Sequence[SequenceFrame],
    settings: TaskSettings | None = None,
    known: Mapping[str, EvaluationRecord] | None = None,
) -> Iterator[EvaluationRecord]:
    """Evaluate frames in the order of the drive; one at a time is in memory.

    Args:
        frames: Of one drive.
        settings: What is measured.
        known: Records of an earlier run with the same settings. Their frames are not measured
            again, and they come back as they are. Odometry has a past, so where frames are
            missing it runs again on the known ones before them, and on nothing else.
            Leave out failed ones to try them again.

    Yields:
        A record for every frame, as soon as it is there: write it down, and pass it as known when
        a run was interrupted.

    Raises:
        BackendError: KISS-ICP or Open3D is missing.
    """
    wanted = settings or TaskSettings()
    records = dict(known or {})
    tracks = {name: Track(wanted) for name in TRACKS}
    last_pose: FloatArray | None = None
    for index, (frame, needed) in enumerate(
        zip(frames, _needed(frames, wanted, records), strict=True)
    ):
        sampled = index % wanted.every == 0 and frame.name not in records
        record = EvaluationRecord(frame.name, poses=_truth(frame.pose))
        if needed:
            step = _step(last_pose, frame.pose)
            record = _evaluate(frame, tracks, wanted, sampled=sampled, true_step=step)
        last_pose = frame.pose
        yield records.get(frame.name, record)


def _needed(
    frames: Sequence[SequenceFrame],
    settings: TaskSettings,
    known: Mapping[str, EvaluationRecord],
) -> list[bool]:
    """Which frames have to be read: new ones, and what tasks on new ones look back at."""
    new = [frame.name not in known for frame in frames]
    if settings.odometry:
        last = max((index for index, one in enumerate(new) if one), default=-1)
        return [index <= last for index in range(len(frames))]
    measured = [one and index % settings.every == 0 for index, one in enumerate(new)]
    if not settings.registration:
        return measured
    following = [*measured[1:], False]
    return [here or after for here, after in zip(measured, following, strict=True)]


def _evaluate(
    frame: SequenceFrame,
    tracks: Mapping[str, Track],
    settings: TaskSettings,
    *,
    sampled: bool,
    true_step: FloatArray | None,
) -> EvaluationRecord:
    poses = _truth(frame.pose)
    try:
        clouds = frame.load()
        found = {
            name: track.add(getattr(clouds, name), measure=sampled)
            for name, track in tracks.items()
        }
        figures = {}
        if sampled:
            figures = evaluate_pair(**found, peak=settings.peak, true_step=true_step)
    except BackendError:
        raise
    except QuinrError as error:
        for track in tracks.values():
            track.skip()
        return EvaluationRecord(frame.name, poses=poses, error=str(error))
    poses |= {name: pose_numbers(one.pose) for name, one in found.items() if one.pose is not None}
    return EvaluationRecord(frame.name, finite(figures), poses)


def _truth(pose: FloatArray | None) -> dict[str, list[float]]:
    return {} if pose is None else {TRUTH: pose_numbers(np.asarray(pose, np.float64))}


def _step(previous: FloatArray | None, current: FloatArray | None) -> FloatArray | None:
    return None if previous is None or current is None else np.linalg.inv(previous) @ current
