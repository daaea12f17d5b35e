"""The record that an evaluation keeps of each frame, and the summary of all records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.tasks.trajectory import TrajectoryErrors, trajectory_errors
from pipeline.fidelity.statistics import statistics_of

FloatArray = NDArray[np.float64]

CloudName = Literal["scan", "image", "decoded"]
CLOUDS: tuple[CloudName, ...] = ("scan", "image", "decoded")
TRUTH = "truth"


@dataclass(frozen=True)
class EvaluationRecord:
    """A frame's figures and poses, of JSON's own types.

    Attributes:
        frame: Id of the frame.
        figures: See :mod:`pipeline.evaluation.figures`; ``None`` where one is not finite, empty for
            a frame that was not sampled.
        poses: What odometry finds on each of :data:`CLOUDS`, and the ground truth as :data:`TRUTH`:
            the first three rows of [4, 4], row-major.
        error: Why there are no figures, or ``None``.
    """

    frame: str
    figures: dict[str, float | None] = field(default_factory=dict)
    poses: dict[str, list[float]] = field(default_factory=dict)
    error: str | None = None


def finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures ready for JSON."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def pose_numbers(pose: FloatArray) -> list[float]:
    """A pose [4, 4] as a record keeps it."""
    return pose[:3].ravel().tolist()


def summarise_evaluation(records: Iterable[EvaluationRecord]) -> dict[str, Any]:
    """Figures over frames, and the trajectories' errors.

    Args:
        records: In the order of the drive.

    Returns:
        ``frames``, ``measured``, ``failed``: counts. ``figures``: statistics of each figure by
        name, over frames where it is finite. ``odometry``: by ``"<cloud> to <reference>"`` the
        errors of the trajectory that odometry finds on a cloud (``None`` with fewer than two frames
        in common): each against ground truth, images and decoded clouds against scans, and decoded
        clouds against images.
    """
    rows = list(records)
    names = dict.fromkeys(name for row in rows for name in row.figures)
    pairs = [(cloud, TRUTH) for cloud in CLOUDS]
    pairs += [("image", "scan"), ("decoded", "scan"), ("decoded", "image")]
    errors = {
        f"{cloud} to {reference}": trajectories_compared(rows, reference, cloud)
        for cloud, reference in pairs
    }
    return {
        "frames": len(rows),
        "measured": sum(bool(row.figures) for row in rows),
        "failed": sum(row.error is not None for row in rows),
        "figures": {name: statistics_of(row.figures.get(name) for row in rows) for name in names},
        "odometry": {name: one and one.as_dict() for name, one in errors.items()},
    }


def trajectories_compared(
    records: Sequence[EvaluationRecord], reference: str, estimate: str
) -> TrajectoryErrors | None:
    """Errors over the frames that have both poses; ``None`` where fewer than two have."""
    both = [row.poses for row in records if {reference, estimate} <= row.poses.keys()]
    if len(both) < 2:
        return None
    first, second = ([_pose(poses[name]) for poses in both] for name in (reference, estimate))
    return trajectory_errors(first, second)


def _pose(numbers: Sequence[float]) -> FloatArray:
    return np.vstack([np.reshape(numbers, (3, 4)), [0.0, 0.0, 0.0, 1.0]])
