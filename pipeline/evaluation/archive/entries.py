"""Results that an evaluation keeps on disk while it runs.

Layout, below the evaluation's folder::

    figures/<frame>.jsonl     a journal a stretch of frames, named after its first: a line a frame
    odometry/<cloud>.json     poses of a whole drive

Each entry has a digest of everything it depends on; an entry that no longer fits is measured again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.evaluation.tasks.records import CloudName
from pipeline.jobs.job import read_dataclass
from pipeline.storage.files import write_atomically
from pipeline.storage.journal import Journal

FIGURES = "figures"
ODOMETRY = "odometry"

_POSE = 12
"""Numbers of a pose: the first three rows of [4, 4]."""


@dataclass(frozen=True)
class FigureEntry:
    """A frame's figures, or why there are none.

    Attributes:
        frame: Id of the frame.
        digest: Digest of everything that the figures depend on.
        figures: See :class:`~pipeline.evaluation.tasks.EvaluationRecord`.
        error: Why there are no figures, or ``None``.
        before: Why the frame before could not be read; then figures of registration are missing.
    """

    frame: str
    digest: str
    figures: dict[str, float | None] = field(default_factory=dict)
    error: str | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        # Entries come from files, in which anything may stand.
        sound = isinstance(self.frame, str) and isinstance(self.digest, str)
        sound = sound and isinstance(self.figures, dict)
        sound = sound and _is_reason(self.error) and _is_reason(self.before)
        if not sound or not all(map(_is_number, self.figures.values())):
            raise ValueError("not an entry of an evaluation")

    @property
    def key(self) -> str:
        """The digest."""
        return self.digest

    @property
    def complete(self) -> bool:
        """Whether measuring it again would give nothing more."""
        return self.error is None and self.before is None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class OdometryEntry:
    """The trajectory that odometry finds on one kind of cloud.

    Attributes:
        cloud: "scan", "image" or "decoded".
        digest: Digest of everything that the poses depend on.
        poses: By frame id, the first three rows of [4, 4], row-major.
        errors: Why a frame has no pose, by frame id.
        error: Why there are no poses at all, or ``None``.
    """

    cloud: str
    digest: str
    poses: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    error: str | None = None

    def __post_init__(self) -> None:
        sound = isinstance(self.cloud, str) and isinstance(self.digest, str)
        sound = sound and isinstance(self.poses, dict) and isinstance(self.errors, dict)
        if not sound or not _is_reason(self.error) or not all(map(_is_pose, self.poses.values())):
            raise ValueError("not an entry of an evaluation")
        if not all(isinstance(reason, str) for reason in self.errors.values()):
            raise ValueError("errors: expected a text a frame")


def journal_file(folder: Path, frame: str) -> Path:
    """The journal of a stretch that begins with a frame."""
    return folder / FIGURES / f"{frame}.jsonl"


def odometry_file(folder: Path, cloud: str) -> Path:
    """The file of the poses of one kind of cloud."""
    return folder / ODOMETRY / f"{cloud}.json"


def read_figures(folder: Path) -> dict[str, FigureEntry]:
    """Entries of all journals by their digests; a complete one wins over others of its digest.

    Raises:
        StorageError: a journal cannot be read.
    """
    found: dict[str, FigureEntry] = {}
    for path in sorted((folder / FIGURES).glob("*.jsonl")):
        for digest, entry in Journal(path, FigureEntry).entries.items():
            if digest not in found or not found[digest].complete:
                found[digest] = entry
    return found


def add_figures(folder: Path, first: str, entry: FigureEntry) -> None:
    """Write an entry into the journal of the stretch that begins with frame ``first``.

    Raises:
        StorageError: the disk is full, say.
    """
    Journal(journal_file(folder, first), FigureEntry).add(entry)


def read_odometry(folder: Path, digests: Mapping[CloudName, str]) -> dict[CloudName, OdometryEntry]:
    """Entries with these digests, by kind of cloud; missing ones are left out.

    Args:
        folder: Folder of the evaluation.
        digests: Expected digest of each kind of cloud.
    """
    found: dict[CloudName, OdometryEntry] = {}
    for cloud, digest in digests.items():
        entry = read_dataclass(odometry_file(folder, cloud), OdometryEntry)
        if entry is not None and (entry.cloud, entry.digest) == (cloud, digest):
            found[cloud] = entry
    return found


def write_odometry(folder: Path, entry: OdometryEntry) -> None:
    """Write the poses of one kind of cloud, in place of those of an earlier run.

    Raises:
        StorageError: the disk is full, say.
    """
    text = json.dumps(asdict(entry), allow_nan=False) + "\n"
    write_atomically(odometry_file(folder, entry.cloud), text.encode())


def _is_reason(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and math.isfinite(value))


def _is_pose(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == _POSE
        and all(number is not None and _is_number(number) for number in value)
    )
