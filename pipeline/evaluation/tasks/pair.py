"""What a decoded frame is good for, against its originals: one flat record of figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.cloud_fidelity import compare_clouds, densities, prefixed
from pipeline.evaluation.tasks.cloud_tasks import TaskResult
from pipeline.evaluation.tasks.ground import label_iou
from pipeline.evaluation.tasks.occupancy import CELL, REACH, occupancy_iou
from pipeline.evaluation.tasks.registration import Step
from pipeline.evaluation.tasks.trajectory import pose_difference
from pipeline.facts import Fact
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.clouds import Cloud, Matches, match

FloatArray = NDArray[np.float64]

ABOVE_GROUND = 0.3
"""From this height on a point is an obstacle, metres."""


@dataclass(frozen=True)
class TaskComparison:
    """What tasks make of two clouds of a frame; NaN where a task has no result."""

    ground_iou: Annotated[
        float,
        Fact(
            "ground IoU",
            "share",
            "Points labelled ground by the planes of both clouds (RANSAC) over those labelled by "
            "either. Labels of the other cloud are carried over by the nearest neighbour.",
            better="higher",
        ),
    ]
    occupancy_iou: Annotated[
        float,
        Fact(
            "occupancy IoU",
            "share",
            f"Squares of {100 * CELL:g} cm seen from above, up to {REACH:g} m, that hold a point "
            "of both clouds over those of either.",
            better="higher",
        ),
    ]
    obstacle_iou: Annotated[
        float,
        Fact(
            "obstacle IoU",
            "share",
            f"Occupancy IoU of points {100 * ABOVE_GROUND:g} cm or more above each cloud's own "
            "ground.",
            better="higher",
        ),
    ]
    registration_m: Annotated[
        float,
        Fact(
            "registration, shift",
            "length",
            "By how much point-to-plane ICP of consecutive frames moves when it runs on the other "
            "cloud.",
            better="lower",
        ),
    ]
    registration_deg: Annotated[
        float,
        Fact("registration, turn", "angle", "As the shift, for the rotation.", better="lower"),
    ]


@dataclass(frozen=True)
class Registration:
    """How well a cloud registers with the frame before; NaN where it does not."""

    registration_error_m: Annotated[
        float,
        Fact(
            "registration error, shift",
            "length",
            "Error of ICP of consecutive frames, against ground truth.",
            better="lower",
        ),
    ]
    registration_error_deg: Annotated[
        float,
        Fact(
            "registration error, turn", "angle", "As the shift, for the rotation.", better="lower"
        ),
    ]
    fitness: Annotated[
        float,
        Fact(
            "registration fitness",
            "share",
            "Share of the points that find a partner in the frame before.",
            better="higher",
        ),
    ]


def evaluate_pair(
    scan: TaskResult,
    image: TaskResult,
    decoded: TaskResult,
    *,
    peak: float,
    true_step: FloatArray | None = None,
) -> dict[str, float]:
    """All figures of a frame; NaN where one cannot be had.

    Args:
        scan: What the tasks make of the original points.
        image: What they make of the original range image, back-projected.
        decoded: What they make of the decoded range image, back-projected.
        peak: Peak of D1 and D2 PSNR, metres.
        true_step: Ground truth: the sensor's pose [4, 4] in the frame of the one before.

    Returns:
        For each pair of clouds, with its prefix (``scan_``: scan and decoded, ``codec_``: image and
        decoded, ``projection_``: scan and image), the figures of
        :class:`~pipeline.evaluation.cloud_fidelity.CloudComparison` and :class:`TaskComparison`.
        For each cloud, with its name (``scan_``, ``image_``, ``decoded_``), those of
        :class:`Registration`; and ``density_<cloud>_<from>_<to>m``, points per square metre of
        ground in every ring of :data:`~pipeline.evaluation.cloud_fidelity.RINGS`.

    Raises:
        GeometryError: an original has too few points.
    """
    return {
        **evaluate_originals(scan, image, peak=peak, true_step=true_step),
        **evaluate_decoded(scan, image, decoded, peak=peak, true_step=true_step),
    }


def evaluate_originals(
    scan: TaskResult, image: TaskResult, *, peak: float, true_step: FloatArray | None = None
) -> dict[str, float]:
    """The figures of :func:`evaluate_pair` that depend on the originals alone."""
    return {
        **_compared("projection", scan, image, peak),
        **densities("scan", scan.cloud),
        **densities("image", image.cloud),
        **_alone("scan", scan, true_step),
        **_alone("image", image, true_step),
    }


def evaluate_decoded(
    scan: TaskResult,
    image: TaskResult,
    decoded: TaskResult,
    *,
    peak: float,
    true_step: FloatArray | None = None,
) -> dict[str, float]:
    """The other figures of :func:`evaluate_pair`: several decodings may share an original."""
    return {
        **_compared("scan", scan, decoded, peak),
        **_compared("codec", image, decoded, peak),
        **densities("decoded", decoded.cloud),
        **_alone("decoded", decoded, true_step),
    }


def _original(frame: TaskResult) -> Cloud:
    if frame.cloud is None:
        raise GeometryError("original: too few points to evaluate anything on")
    return frame.cloud


def _compared(
    prefix: str, original: TaskResult, other: TaskResult, peak: float
) -> dict[str, float]:
    """Distances of two clouds of a frame, and what the tasks make of both."""
    cloud = _original(original)
    matches = None if other.cloud is None else match(cloud, other.cloud)
    metres, degrees = _between(original.step, None if other.step is None else other.step.motion)
    seen = math.nan if matches is None else occupancy_iou(cloud.points, matches.b.points)
    tasks = TaskComparison(
        ground_iou=math.nan if matches is None else _ground_iou(original, other, matches),
        occupancy_iou=seen,
        obstacle_iou=_obstacle_iou(original, other),
        registration_m=metres,
        registration_deg=degrees,
    )
    return prefixed(prefix, compare_clouds(matches, peak)) | prefixed(prefix, tasks)


def _ground_iou(original: TaskResult, other: TaskResult, matches: Matches) -> float:
    if original.ground is None or other.ground is None:
        return math.nan
    carried = other.ground.labels(matches.b.points)[matches.a_nearest]
    return label_iou(original.ground.labels(matches.a.points), carried)


def _obstacle_iou(original: TaskResult, other: TaskResult) -> float:
    grids = []
    for frame in (original, other):
        if frame.cloud is None or frame.ground is None:
            return math.nan
        points = frame.cloud.points
        grids.append(points[frame.ground.heights(points) >= ABOVE_GROUND])
    return occupancy_iou(*grids)


def _alone(name: str, frame: TaskResult, true_step: FloatArray | None) -> dict[str, float]:
    metres, degrees = _between(frame.step, true_step)
    fitness = math.nan if frame.step is None else frame.step.fitness
    return prefixed(name, Registration(metres, degrees, fitness))


def _between(step: Step | None, motion: FloatArray | None) -> tuple[float, float]:
    if step is None or motion is None:
        return math.nan, math.nan
    return pose_difference(motion, step.motion)
