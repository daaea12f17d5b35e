"""What a decoded frame is good for, against its originals: one flat record of figures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.cloud_fidelity import compare_clouds, densities, prefixed
from pipeline.evaluation.tasks.ground import label_iou
from pipeline.evaluation.tasks.occupancy import occupancy_iou
from pipeline.evaluation.tasks.registration import Step
from pipeline.evaluation.tasks.track import TrackFrame
from pipeline.evaluation.tasks.trajectory import pose_difference
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.clouds import Cloud, Matches, match

FloatArray = NDArray[np.float64]

ABOVE_GROUND = 0.3
"""From this height on a point is an obstacle, metres."""


def evaluate_pair(
    scan: TrackFrame,
    image: TrackFrame,
    decoded: TrackFrame,
    *,
    peak: float,
    true_step: FloatArray | None = None,
) -> dict[str, float]:
    """All figures of a frame; NaN where one cannot be had.

    Args:
        scan: The original points' track at this frame.
        image: Of the original range image, back-projected.
        decoded: Of the decoded range image, back-projected.
        peak: Of D1 and D2 PSNR, metres.
        true_step: Ground truth: the sensor's pose [4, 4] in the frame of the one before.

    Returns:
        Those of :func:`~pipeline.evaluation.cloud_fidelity.measure_clouds`, and for the same three
        pairs of clouds (``scan_``, ``codec_``, ``projection_``):

        - ``ground_iou``: the ground's points, by each cloud's own plane. Labels of the other
          cloud are carried to the original points by the nearest neighbour.
        - ``occupancy_iou``: 20 cm squares from above that hold a point; ``obstacle_iou``:
          squares that hold a point 0.3 m or more above the cloud's own ground.
        - ``registration_m``, ``registration_deg``: by how much registration with the frame
          before gives another motion.

        Of each cloud (``scan_``, ``image_``, ``decoded_``) ``fitness``: registration's share of
        points with a partner, and ``registration_error_m``, ``registration_error_deg`` against
        ground truth.

    Raises:
        GeometryError: an original has too few points.
    """
    return {
        **evaluate_originals(scan, image, peak=peak, true_step=true_step),
        **evaluate_decoded(scan, image, decoded, peak=peak, true_step=true_step),
    }


def evaluate_originals(
    scan: TrackFrame, image: TrackFrame, *, peak: float, true_step: FloatArray | None = None
) -> dict[str, float]:
    """Of :func:`evaluate_pair`, what depends on the originals alone."""
    return {
        **_compared("projection", scan, image, peak),
        **densities("scan", scan.cloud),
        **densities("image", image.cloud),
        **_alone("scan", scan, true_step),
        **_alone("image", image, true_step),
    }


def evaluate_decoded(
    scan: TrackFrame,
    image: TrackFrame,
    decoded: TrackFrame,
    *,
    peak: float,
    true_step: FloatArray | None = None,
) -> dict[str, float]:
    """Of :func:`evaluate_pair`, the rest: several decodings may share their originals' figures."""
    return {
        **_compared("scan", scan, decoded, peak),
        **_compared("codec", image, decoded, peak),
        **densities("decoded", decoded.cloud),
        **_alone("decoded", decoded, true_step),
    }


def _original(frame: TrackFrame) -> Cloud:
    if frame.cloud is None:
        raise GeometryError("original: too few points to evaluate anything on")
    return frame.cloud


def _compared(
    prefix: str, original: TrackFrame, other: TrackFrame, peak: float
) -> dict[str, float]:
    """Distances of two clouds of a frame, and what the tasks make of both."""
    cloud = _original(original)
    matches = None if other.cloud is None else match(cloud, other.cloud)
    metres, degrees = _between(original.step, None if other.step is None else other.step.motion)
    seen = math.nan if matches is None else occupancy_iou(cloud.points, matches.b.points)
    tasks = {
        "ground_iou": math.nan if matches is None else _ground_iou(original, other, matches),
        "occupancy_iou": seen,
        "obstacle_iou": _obstacle_iou(original, other),
        "registration_m": metres,
        "registration_deg": degrees,
    }
    return prefixed(prefix, compare_clouds(matches, peak)) | {
        f"{prefix}_{name}": value for name, value in tasks.items()
    }


def _ground_iou(original: TrackFrame, other: TrackFrame, matches: Matches) -> float:
    if original.ground is None or other.ground is None:
        return math.nan
    carried = other.ground.labels(matches.b.points)[matches.a_nearest]
    return label_iou(original.ground.labels(matches.a.points), carried)


def _obstacle_iou(original: TrackFrame, other: TrackFrame) -> float:
    grids = []
    for frame in (original, other):
        if frame.cloud is None or frame.ground is None:
            return math.nan
        points = frame.cloud.points
        grids.append(points[frame.ground.heights(points) >= ABOVE_GROUND])
    return occupancy_iou(*grids)


def _alone(name: str, frame: TrackFrame, true_step: FloatArray | None) -> dict[str, float]:
    metres, degrees = _between(frame.step, true_step)
    return {
        f"{name}_fitness": math.nan if frame.step is None else frame.step.fitness,
        f"{name}_registration_error_m": metres,
        f"{name}_registration_error_deg": degrees,
    }


def _between(step: Step | None, motion: FloatArray | None) -> tuple[float, float]:
    if step is None or motion is None:
        return math.nan, math.nan
    return pose_difference(motion, step.motion)
