"""Every figure that a report shows: its name for people, its unit, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.archive.manifest import COLUMNS
from pipeline.evaluation.cloud_fidelity import DEFAULT_PEAK
from pipeline.evaluation.tasks.occupancy import CELL, REACH
from pipeline.evaluation.tasks.pair import ABOVE_GROUND
from pipeline.facts import Better, Kind
from quinr_lidar.metrics.clouds import PLANE_NEIGHBOURS


@dataclass(frozen=True)
class Figure:
    """What a number is.

    Attributes:
        name: Its column in the manifest, or its name in an evaluation's records (without the
            pair's prefix).
        label: For people.
        kind: Decides the unit.
        meaning: One or two sentences, with the formula.
        better: Which way is better; ``None`` where neither is.
    """

    name: str
    label: str
    kind: Kind
    meaning: str
    better: Better | None = None


ARCHIVED = tuple(
    Figure(fact.name, fact.label, fact.kind, fact.meaning, fact.better)
    for fact in COLUMNS.values()
    if fact.kind
)
"""Measured when a frame was archived; columns of the manifest."""

PAIRS = (
    Figure(
        "chamfer_m",
        "Chamfer distance",
        "length",
        "Mean of both directions' mean nearest-neighbour distances, not squared.",
        "lower",
    ),
    Figure(
        "d1_psnr_db",
        "D1 PSNR",
        "psnr",
        "Point to point, as MPEG's pc_error: 10 log10(3 peak² / MSE), the worse direction, peak "
        f"{DEFAULT_PEAK:g} m unless the settings say otherwise.",
        "higher",
    ),
    Figure(
        "d2_psnr_db",
        "D2 PSNR",
        "psnr",
        f"Point to plane, likewise; planes through {PLANE_NEIGHBOURS} neighbours.",
        "higher",
    ),
    Figure(
        "f_score_5cm",
        "F-score, 5 cm",
        "share",
        "Harmonic mean of the shares of points of either cloud that have one of the other within "
        "5 cm.",
        "higher",
    ),
    Figure("f_score_10cm", "F-score, 10 cm", "share", "Likewise within 10 cm.", "higher"),
    Figure("f_score_20cm", "F-score, 20 cm", "share", "Likewise within 20 cm.", "higher"),
    Figure(
        "distance_p95_m",
        "Distance, 95th percentile",
        "length",
        "95 % of the points have a neighbour in the other cloud within this; the worse direction.",
        "lower",
    ),
    Figure(
        "hausdorff_m",
        "Hausdorff distance",
        "length",
        "Largest nearest-neighbour distance of all points, both directions.",
        "lower",
    ),
    Figure(
        "ground_iou",
        "Ground IoU",
        "share",
        "Points labelled ground by both clouds' own planes (RANSAC) over those labelled by either.",
        "higher",
    ),
    Figure(
        "occupancy_iou",
        "Occupancy IoU",
        "share",
        f"Squares of {100 * CELL:g} cm seen from above, up to {REACH:g} m, that hold a point of "
        "both clouds over those of either.",
        "higher",
    ),
    Figure(
        "obstacle_iou",
        "Obstacle IoU",
        "share",
        f"Likewise of points {100 * ABOVE_GROUND:g} cm or more above each cloud's own ground.",
        "higher",
    ),
    Figure(
        "registration_m",
        "Registration, shift",
        "length",
        "By how much point-to-plane ICP of consecutive frames moves when it runs on the other "
        "cloud.",
        "lower",
    ),
    Figure("registration_deg", "Registration, turn", "angle", "Likewise, the rotation.", "lower"),
)
"""Of two clouds of a frame, measured by an evaluation."""

TRAJECTORY = (
    Figure(
        "translation_per_m",
        "Odometry drift",
        "rate",
        "Relative error of translation of KISS-ICP's trajectory, as KITTI defines it; on paths "
        "under 100 m over stretches of 1/16 to 8/16 of the path.",
        "lower",
    ),
    Figure(
        "rotation_deg_per_m",
        "Odometry rotation",
        "turn",
        "Relative error of rotation over the same stretches.",
        "lower",
    ),
    Figure(
        "absolute_m",
        "Odometry ATE",
        "length",
        "Absolute trajectory error: RMS distance of the positions after the best rigid alignment.",
        "lower",
    ),
)
"""Of two trajectories, measured by an evaluation."""

ALONE = (
    Figure(
        "registration_error_m",
        "Registration error, shift",
        "length",
        "Of ICP of consecutive frames, against ground truth.",
        "lower",
    ),
    Figure("registration_error_deg", "Registration error, turn", "angle", "Likewise.", "lower"),
    Figure(
        "fitness",
        "Registration fitness",
        "share",
        "Share of the points that find a partner in the frame before.",
        "higher",
    ),
)
"""Of one cloud, measured by an evaluation."""

CODEC, SCAN, PROJECTION = "codec", "scan", "projection"
"""Prefixes of pairs: image and decoded, scan and decoded, scan and image."""

BY_NAME = {figure.name: figure for figure in ARCHIVED}


def pair_figure(name: str) -> Figure:
    """One of :data:`PAIRS` by its name."""
    return next(figure for figure in PAIRS if figure.name == name)
