"""By how much one trajectory differs from another.

Poses are those of the sensor in a fixed frame, which may be another one for each trajectory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pipeline.facts import Fact
from quinr_lidar.errors import GeometryError

FloatArray = NDArray[np.float64]

KITTI_LENGTHS = tuple(100.0 * hundred for hundred in range(1, 9))
"""Lengths of the segments of KITTI's odometry benchmark, metres."""

KITTI_STEP = 10
"""Frames from the start of one KITTI segment to the start of the next."""

SHARES = tuple(sixteenth / 16 for sixteenth in range(1, 9))
"""Lengths of the segments of a drive under 100 m, as shares of its path."""


@dataclass(frozen=True)
class TrajectoryErrors:
    """How far an estimated trajectory is from another one.

    Relative errors are ``None`` where no segment is long enough.

    Attributes:
        frames: Number of poses compared.
        path_m: Length of the reference's path, metres.
        segments: Number of segments that the relative errors are means of.
    """

    frames: int
    path_m: float
    segments: int
    translation_per_m: Annotated[
        float | None,
        Fact(
            "odometry drift",
            "rate",
            "Relative error of translation of KISS-ICP's trajectory, as KITTI defines it; on paths "
            "under 100 m over segments of 1/16 to 8/16 of the path.",
            better="lower",
        ),
    ]
    rotation_deg_per_m: Annotated[
        float | None,
        Fact(
            "odometry rotation",
            "turn",
            "Relative error of rotation over the same segments.",
            better="lower",
        ),
    ]
    absolute_m: Annotated[
        float,
        Fact(
            "odometry ATE",
            "length",
            "Absolute trajectory error: RMS distance of the positions after the best rigid "
            "alignment (Sturm et al., IROS 2012).",
            better="lower",
        ),
    ]

    def as_dict(self) -> dict[str, float | int | None]:
        """Field by field, ready for JSON."""
        return asdict(self)


def trajectory_errors(
    reference: Sequence[FloatArray], estimate: Sequence[FloatArray]
) -> TrajectoryErrors:
    """Relative and absolute errors of a trajectory.

    The relative ones are KITTI's (Geiger et al., CVPR 2012): over all stretches of a length, the
    difference of both motions along it, divided by the length; the mean over all. On a path of
    100 m or more the stretches are KITTI's, 100 to 800 m long from every 10th frame. On a shorter
    one, for which KITTI defines none, they are 1/16 to 8/16 of the path long, from every frame;
    since they may exceed that by a good part, errors are divided by the distance driven instead.

    Args:
        reference: Poses [4, 4], two at least.
        estimate: As many poses, of the same frames.

    Raises:
        GeometryError: the poses do not have these shapes or numbers, or are not finite.
    """
    if len(reference) != len(estimate) or len(reference) < 2:
        raise GeometryError(
            f"trajectories: expected the same two or more frames, got {len(reference)} and "
            f"{len(estimate)} poses"
        )
    first, second = (np.asarray(poses, np.float64) for poses in (reference, estimate))
    for poses in (first, second):
        if poses.shape[1:] != (4, 4) or not np.isfinite(poses).all():
            raise GeometryError(f"poses: expected finite [4, 4], got {list(poses.shape[1:])}")
    relative = relative_errors(first, second)
    means = relative.mean(axis=0).tolist() if len(relative) else [None, None]
    return TrajectoryErrors(
        frames=len(first),
        path_m=float(_distances(first)[-1]),
        segments=len(relative),
        translation_per_m=means[0],
        rotation_deg_per_m=means[1],
        absolute_m=absolute_error(first, second),
    )


def relative_errors(reference: FloatArray, estimate: FloatArray) -> FloatArray:
    """Errors of every stretch, see :func:`trajectory_errors`.

    Args:
        reference: Poses, float64 [N, 4, 4].
        estimate: Poses of the same frames, float64 [N, 4, 4].

    Returns:
        float64 [stretches, 2]: metres and degrees for each metre driven.
    """
    distances = _distances(reference)
    errors = []
    for start, end, length in _stretches(distances):
        moved = [_motion(poses[start], poses[end]) for poses in (reference, estimate)]
        errors.append(np.array(pose_difference(*moved)) / length)
    return np.array(errors).reshape(-1, 2)


def _stretches(distances: FloatArray) -> list[tuple[int, int, float]]:
    """First frame, last frame, and the length in metres to divide by."""
    long = distances[-1] >= KITTI_LENGTHS[0]
    lengths = KITTI_LENGTHS if long else [share * distances[-1] for share in SHARES]
    found = []
    for start in range(0, len(distances), KITTI_STEP if long else 1):
        # The first frame farther away, as in KITTI's evaluation.
        ends = np.searchsorted(distances, distances[start] + np.array(lengths), side="right")
        found += [
            (start, int(end), length if long else float(distances[end] - distances[start]))
            for end, length in zip(ends, lengths, strict=True)
            if end < len(distances)
        ]
    # Of a few frames, stretches of several lengths may be the same.
    return list(dict.fromkeys(found))


def absolute_error(reference: FloatArray, estimate: FloatArray) -> float:
    """Root mean square distance of positions after the best rigid alignment, metres."""
    first, second = reference[:, :3, 3], estimate[:, :3, 3]
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    left, _, right = np.linalg.svd(second.T @ first)
    # Without this a mirror image would do.
    left[:, -1] *= np.linalg.det(left @ right)
    return float(np.sqrt(np.square(second @ (left @ right) - first).sum(axis=1).mean()))


def pose_difference(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Metres and degrees from one motion [4, 4] to another."""
    difference = _motion(first, second)
    angle = Rotation.from_matrix(difference[:3, :3]).magnitude()
    return float(np.linalg.norm(difference[:3, 3])), float(np.degrees(angle))


def _motion(start: FloatArray, end: FloatArray) -> FloatArray:
    return np.linalg.inv(start) @ end


def _distances(poses: FloatArray) -> FloatArray:
    """Metres driven until every frame."""
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])
