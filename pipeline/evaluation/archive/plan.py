"""What an evaluation of an archive is of, and by what to tell that it is still the same."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import quinr_lidar
from pipeline.archive.manifest import FrameRow
from pipeline.datasets import Dataset
from pipeline.evaluation.archive.drive import ArchivedDrive, DriveSource
from pipeline.evaluation.tasks import TaskSettings, check_odometry
from pipeline.evaluation.tasks.frames import FloatArray, step_between, truth_poses
from pipeline.evaluation.tasks.records import CLOUDS, CloudName
from pipeline.storage.locations import locate
from quinr_lidar.errors import BackendError, DatasetError, StorageError

_FIGURES_BY = ("small-gicp", "open3d")
_POSES_BY = ("kiss-icp",)
"""Libraries on which the numbers depend, beside this one."""


@dataclass(frozen=True)
class PlannedFrame:
    """A frame of the archive.

    Attributes:
        name: Id of the frame.
        digest: Digest of everything that its figures depend on.
        sampled: Whether figures are wanted.
        error: Why it cannot be measured, if that is known without reading anything.
        truth: Ground truth, as a record's poses hold it.
    """

    name: str
    digest: str
    sampled: bool
    error: str | None
    truth: Mapping[str, list[float]]


@dataclass(frozen=True)
class EvaluationPlan:
    """An evaluation: which archive, which originals, and where results are kept.

    Attributes:
        source: Where a worker finds archive and originals.
        folder: Folder of the journals, on a disk that all workers share.
        settings: What is measured.
        frames: Frames of the archive, in the order of the drive.
        odometry: Digest of everything that the poses depend on, by cloud; empty if not wanted.
        originals: The data set, as a person wrote it.
    """

    source: DriveSource
    folder: Path
    settings: TaskSettings
    frames: tuple[PlannedFrame, ...]
    odometry: Mapping[CloudName, str]
    originals: str


def plan_evaluation(
    archive: str,
    originals: Path | str,
    folder: Path,
    settings: TaskSettings | None = None,
    sequence: str | None = None,
) -> EvaluationPlan:
    """Look at a packed archive and at its originals; decodes nothing.

    Args:
        archive: Folder or URL of the packed sequence.
        originals: Data set of the scans that it was made from.
        folder: Folder of the journals; may hold those of earlier runs.
        settings: What is measured; everything of every frame by default.
        sequence: Sequence of a data set that has several; the archive's own name when left out.

    Raises:
        ArchiveError, StorageError: the archive cannot be opened.
        BackendError: odometry is wanted and KISS-ICP is not installed.
        DatasetError: the originals cannot be opened, or their poses cannot be understood.
    """
    wanted = settings or TaskSettings()
    check_backends(wanted)
    place = locate(archive)
    where = place.path if place.local else place.name
    drive = ArchivedDrive.open(where, Path(originals).absolute(), sequence)
    facts = [frame_facts(row, drive.dataset) for row in drive.archive.rows]
    source = DriveSource(
        archive=where,
        originals=Path(originals).absolute(),
        sequence=sequence,
        mcap_sha256=drive.archive.manifest.mcap_sha256,
        run=secrets.token_hex(8),
    )
    return EvaluationPlan(
        source,
        folder.absolute(),
        wanted,
        tuple(_planned(drive, facts, wanted)),
        {cloud: _digest(cloud, _versions(_POSES_BY), facts) for cloud in CLOUDS}
        if wanted.odometry
        else {},
        str(originals),
    )


def frame_facts(row: FrameRow, dataset: Dataset) -> list[Any]:
    """Values by which one sees whether a frame is still the same; types of JSON.

    The scan's content is compared when it is read; that it may have changed since shows in its size
    and time.
    """
    try:
        source = dataset.frame(row.frame_id)
        seen = [source.size(), source.changed()]
    except (DatasetError, StorageError):
        seen = None
    return [row.frame_id, row.status, row.file_sha256, row.source_sha256, seen]


def _planned(
    drive: ArchivedDrive, facts: list[list[Any]], settings: TaskSettings
) -> list[PlannedFrame]:
    asked = {name: getattr(settings, name) for name in ("registration", "peak", "seed")}
    common = [_versions(_FIGURES_BY), asked, drive.dataset.sensor_height]
    sampled = settings.sampled(len(facts))
    planned, before, last_pose = [], None, None
    for row, own, wanted in zip(drive.archive.rows, facts, sampled, strict=True):
        pose = drive.poses.get(row.frame_id)
        neighbour = (
            [before, _listed(step_between(last_pose, pose))] if settings.registration else []
        )
        digest = _digest(common, own, neighbour)
        refusal = drive.refusal(row)
        planned.append(PlannedFrame(row.frame_id, digest, wanted, refusal, truth_poses(pose)))
        before, last_pose = own, pose
    return planned


def check_backends(settings: TaskSettings) -> None:
    """Check that the packages are installed, before hours of work.

    Raises:
        BackendError: one is missing; the message says how to go without it.
    """
    if not settings.odometry:
        return
    try:
        check_odometry()
    except BackendError as error:
        raise BackendError(f"{error}; or go without: --no-odometry (odometry=False)") from error


def _versions(libraries: tuple[str, ...]) -> dict[str, str]:
    return {"quinr-lidar": quinr_lidar.__version__} | {
        name: metadata.version(name) for name in libraries
    }


def _listed(matrix: FloatArray | None) -> list[list[float]] | None:
    return None if matrix is None else np.asarray(matrix).tolist()


def _digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
