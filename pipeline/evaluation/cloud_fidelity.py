"""Distances between a frame's clouds: projection loss, codec loss, and both together.

Three clouds of a frame are compared in pairs: the *scan*; the *image*, which is its range image
back-projected; and what was *decoded*. Scan against image is the projection's loss, image against
decoded the codec's, scan against decoded what a user is left with.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Annotated, Any

from pipeline.facts import Fact
from quinr_lidar.geometry.planes import PLANE_NEIGHBOURS
from quinr_lidar.metrics import clouds as cloud_metrics
from quinr_lidar.metrics.clouds import Cloud, Matches

DEFAULT_PEAK = 80.0
"""Peak of D1 and D2 PSNR, metres: as far as KITTI's scans reach. The same for all frames."""

RINGS = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)
"""Borders of the rings in which densities are counted: horizontal distances, metres."""


@dataclass(frozen=True)
class CloudComparison:
    """Figures of two clouds, see :mod:`quinr_lidar.metrics.clouds`; NaN where one is empty."""

    chamfer_m: Annotated[
        float,
        Fact(
            "Chamfer distance",
            "length",
            "Mean of both directions' mean nearest-neighbour distances, not squared.",
            better="lower",
        ),
    ]
    d1_mse_m2: float
    d1_psnr_db: Annotated[
        float,
        Fact(
            "D1 PSNR",
            "psnr",
            "Point to point, as MPEG's pc_error: 10 log10(3 peak² / MSE), the worse direction, "
            f"peak {DEFAULT_PEAK:g} m unless the settings say otherwise.",
            better="higher",
        ),
    ]
    d2_mse_m2: float
    d2_psnr_db: Annotated[
        float,
        Fact(
            "D2 PSNR",
            "psnr",
            "As D1, but point to plane; planes go through "
            f"{PLANE_NEIGHBOURS} neighbours of the first cloud.",
            better="higher",
        ),
    ]
    f_score_5cm: Annotated[
        float,
        Fact(
            "F-score, 5 cm",
            "share",
            "Harmonic mean of the shares of either cloud's points that have one of the other "
            "cloud within 5 cm.",
            better="higher",
        ),
    ]
    f_score_10cm: Annotated[
        float, Fact("F-score, 10 cm", "share", "As for 5 cm, within 10 cm.", better="higher")
    ]
    f_score_20cm: Annotated[
        float, Fact("F-score, 20 cm", "share", "As for 5 cm, within 20 cm.", better="higher")
    ]
    distance_p95_m: Annotated[
        float,
        Fact(
            "distance, 95th percentile",
            "length",
            "95 % of the points have a neighbour in the other cloud within this distance; the "
            "worse direction.",
            better="lower",
        ),
    ]
    hausdorff_m: Annotated[
        float,
        Fact(
            "Hausdorff distance",
            "length",
            "Largest nearest-neighbour distance of all points, both directions.",
            better="lower",
        ),
    ]


def compare_clouds(matches: Matches | None, peak: float) -> CloudComparison:
    """Every figure of two clouds.

    Args:
        matches: Nearest neighbours of both clouds. The first cloud is the original; it has 5 points
            or more, and its normals count. ``None`` where the other cloud has no points.
        peak: Peak of the PSNRs, metres.

    Raises:
        GeometryError: the original has fewer points, or the peak is not positive.
    """
    if matches is None:
        return CloudComparison(*[math.nan for _ in fields(CloudComparison)])
    d1, d2 = cloud_metrics.point_to_point(matches), cloud_metrics.point_to_plane(matches)
    return CloudComparison(
        chamfer_m=cloud_metrics.chamfer(matches).symmetric,
        d1_mse_m2=d1.mse,
        d1_psnr_db=d1.psnr(peak),
        d2_mse_m2=d2.mse,
        d2_psnr_db=d2.psnr(peak),
        hausdorff_m=cloud_metrics.hausdorff(matches),
        distance_p95_m=cloud_metrics.percentile(matches, 95),
        f_score_5cm=cloud_metrics.f_score(matches, 0.05),
        f_score_10cm=cloud_metrics.f_score(matches, 0.1),
        f_score_20cm=cloud_metrics.f_score(matches, 0.2),
    )


def densities(name: str, cloud: Cloud | None) -> dict[str, float]:
    """Points per square metre of ground in every ring of :data:`RINGS`; 0 without points.

    Returns:
        By ``density_<name>_<from>_<to>m``.
    """
    names = [f"density_{name}_{near:g}_{far:g}m" for near, far in pairwise(RINGS)]
    if cloud is None:
        return dict.fromkeys(names, 0.0)
    values = cloud_metrics.ring_density(cloud.points, RINGS)
    return dict(zip(names, values.tolist(), strict=True))


def prefixed(prefix: str, figures: Any) -> dict[str, float]:
    """Figures of a dataclass as a flat record names them."""
    return {f"{prefix}_{name}": value for name, value in asdict(figures).items()}
