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
        measure: More figures of the frame, which join those of a sampled one.
    """

    scan: NDArray[np.floating]
    image: NDArray[np.floating]
    decoded: NDArray[np.floating]
    measure: Callable[[], Mapping[str, float]] = dict


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
    sampled = _sampled(frames, wanted, records)
    needed = _needed(frames, wanted, records, sampled)
    for found in evaluate_chosen(frames, wanted, sampled, needed):
        yield records.get(found.frame, found)


def evaluate_chosen(
    frames: Sequence[SequenceFrame],
    settings: TaskSettings,
    sampled: Sequence[bool],
    needed: Sequence[bool],
) -> Iterator[EvaluationRecord]:
    """Evaluate some frames of a stretch of a drive.

    Args:
        frames: One after the other.
        settings: What is measured, whichever frames ``every`` and ``sample`` would choose.
        sampled: Whose figures are wanted.
        needed: Which to read: those, and for odometry and registration those before them.

    Yields:
        A record for every frame; a bare one for those that are not needed.

    Raises:
        BackendError: KISS-ICP or Open3D is missing.
    """
    tracks = {name: Track(settings) for name in TRACKS}
    last_pose: FloatArray | None = None
    for frame, measures, needs in zip(frames, sampled, needed, strict=True):
        record = EvaluationRecord(frame.name, poses=truth_poses(frame.pose))
        if needs:
            step = step_between(last_pose, frame.pose)
            record = _evaluate(frame, tracks, settings, sampled=measures, true_step=step)
        last_pose = frame.pose
        yield record


def _sampled(
    frames: Sequence[SequenceFrame], settings: TaskSettings, known: Mapping[str, EvaluationRecord]
) -> list[bool]:
    """Which frames have to be measured."""
    wanted = settings.sampled(len(frames))
    return [one and frame.name not in known for frame, one in zip(frames, wanted, strict=True)]


def _needed(
    frames: Sequence[SequenceFrame],
    settings: TaskSettings,
    known: Mapping[str, EvaluationRecord],
    sampled: list[bool],
) -> list[bool]:
    """Which frames have to be read: new ones, and what tasks on new ones look back at."""
    if settings.odometry:
        new = (index for index, frame in enumerate(frames) if frame.name not in known)
        last = max(new, default=-1)
        return [index <= last for index in range(len(frames))]
    if not settings.registration:
        return sampled
    following = [*sampled[1:], False]
    return [here or after for here, after in zip(sampled, following, strict=True)]


def _evaluate(
    frame: SequenceFrame,
    tracks: Mapping[str, Track],
    settings: TaskSettings,
    *,
    sampled: bool,
    true_step: FloatArray | None,
) -> EvaluationRecord:
    poses = truth_poses(frame.pose)
    try:
        clouds = frame.load()
        found = {
            name: track.add(getattr(clouds, name), measure=sampled)
            for name, track in tracks.items()
        }
        figures: dict[str, float] = {}
        if sampled:
            compared = evaluate_pair(**found, peak=settings.peak, true_step=true_step)
            figures = {**clouds.measure(), **compared}
        elif found["scan"].cloud is None or found["image"].cloud is None:
            # As of a sampled one: the next frame's registration must not depend on the sample.
            _skip(tracks)
    except BackendError:
        raise
    except QuinrError as error:
        _skip(tracks)
        return EvaluationRecord(frame.name, poses=poses, error=str(error))
    poses |= {name: pose_numbers(one.pose) for name, one in found.items() if one.pose is not None}
    return EvaluationRecord(frame.name, finite(figures), poses)


def _skip(tracks: Mapping[str, Track]) -> None:
    for track in tracks.values():
        track.skip()


def truth_poses(pose: FloatArray | None) -> dict[str, list[float]]:
    """The ground truth as a record's poses hold it; nothing without one."""
    return {} if pose is None else {TRUTH: pose_numbers(np.asarray(pose, np.float64))}


def step_between(previous: FloatArray | None, current: FloatArray | None) -> FloatArray | None:
    """From a frame to the one before by ground truth, float64 [4, 4]; ``None`` without both."""
    return None if previous is None or current is None else np.linalg.inv(previous) @ current
