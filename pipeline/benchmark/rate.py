"""The points of ``quinr bench rate``: bits for a guaranteed largest error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.benchmark import training_sets
from pipeline.benchmark.baseline import Baseline, Request
from pipeline.benchmark.baselines.code_length import ENTROPY_MODELS
from pipeline.benchmark.registry import RATE
from pipeline.benchmark.runner import Job, SourceFile, require_known
from pipeline.datasets.pictures import is_picture
from quinr_lidar.errors import DatasetError

MAX_ERRORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Largest errors allowed, metres."""
SIZES = (1638, 3276, 6553, 13107, 26214)
"""Bytes asked of those that know no largest error: 0.2 to 3.2 bits a pixel of 64 x 1024."""
MODELS = tuple(one.name for one in ENTROPY_MODELS)
USUAL = tuple(one.name for one in RATE if not one.optional)


def plan_rate(
    scans: Sequence[SourceFile],
    names: Sequence[str] = (),
    max_errors: Sequence[float] = (),
    models: Path = Path("models"),
) -> list[Job]:
    """Every point, scan by scan.

    By default of all but the optional baselines, and at :data:`MAX_ERRORS` (metres). What is
    trained is kept in the folder ``models``.

    Raises:
        DatasetError: an unknown name, a picture, a largest error that is not positive, or a scan
            that a baseline learns from is missing.
    """
    require_known(names)
    if pictures := [one for one in scans if is_picture(one.path)]:
        raise DatasetError(f"{pictures[0].path}: expected a velodyne scan (.bin), not a picture")
    if wrong := [one for one in max_errors if not 0 < one < float("inf")]:
        raise DatasetError(f"max_errors: expected metres above 0, got {wrong[0]:g}")
    goals = {"max_error": sorted(set(max_errors or MAX_ERRORS)), "size": SIZES, "lossless": (0.0,)}
    digests = {one.digest: one.path for one in scans}
    chosen = [one for one in RATE if one.name in (names or USUAL)]

    def jobs_of(scan: SourceFile, one: Baseline) -> list[Job]:
        training_set = (
            training_sets.training_set_for(scan.digest, digests, models) if one.learns else None
        )
        if one.unseen_only and training_set and training_set.seen:
            return []
        return [
            Job(scan, one.name, Request(setting, training_set=training_set))
            for setting in one.settings or goals[one.goal]
        ]

    jobs = [job for scan in scans for one in chosen for job in jobs_of(scan, one)]
    left_out = {one.name for one in chosen} - {job.baseline for job in jobs}
    if left_out:
        raise DatasetError(
            f"{', '.join(sorted(left_out))}: expected a scan that the built-in entropy model was "
            "not made from"
        )
    return jobs
