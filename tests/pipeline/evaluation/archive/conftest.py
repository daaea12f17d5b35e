"""A short street in KITTI's layout, archived within 2 cm and packed, made once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.archive.target import encoder_settings
from pipeline.archive.writer import pack_sequence
from pipeline.config.archive_config import ArchiveConfig, ProjectionConfig
from pipeline.datasets import open_dataset, read_scan
from pipeline.datasets.synthetic import write_drive
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.evaluation.archive import (
    ArchiveEvaluation,
    evaluation_jobs,
    plan_evaluation,
    read_evaluation,
    run_evaluation_job,
)
from pipeline.evaluation.tasks import TaskSettings
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.sequence import archive_jobs, write_results
from quinr_lidar import SphericalProjection
from tests.support.tiny import tiny

TINY = tiny()
PROJECTION = SphericalProjection(16, 128)
FRAMES = 5


@dataclass(frozen=True)
class Place:
    """Folders of a test.

    Attributes:
        scans: KITTI root.
        packed: Archive.
        out: For journals.
    """

    scans: Path
    packed: Path
    out: Path

    def plan(self, **settings):
        """An evaluation without odometry and registration, unless told."""
        wanted = TaskSettings(**({"odometry": False, "registration": False} | settings))
        return plan_evaluation(str(self.packed), self.scans, self.out, wanted)

    def evaluate(self, **settings) -> ArchiveEvaluation:
        """Do the jobs that are left."""
        plan = self.plan(**settings)
        for job in evaluation_jobs(plan):
            run_evaluation_job(job)
        return read_evaluation(plan)

    def scan(self, frame: int) -> Path:
        """A frame's scan."""
        return self.scans / "sequences" / "00" / "velodyne" / f"{frame:06d}.bin"

    def archive_as(self, profile: str, **settings) -> None:
        """Archive the scans as they are now; frames may fail."""
        shutil.rmtree(self.packed)
        frames = self.scans.parent / f"frames-{profile}"
        archive_scans(self.scans, frames, self.packed.parent, profile, **settings)

    def archive(self) -> None:
        """Archive the drive within 2 cm."""
        self.archive_as("bounded")


@pytest.fixture(scope="session")
def street(tmp_path_factory) -> Path:
    """A folder: the KITTI root ``scans``, and its archive ``packed/00``."""
    root = tmp_path_factory.mktemp("street")
    write_drive(root / "scans", frames=FRAMES)
    for path in (root / "scans" / "sequences" / "00" / "velodyne").iterdir():
        path.write_bytes(encode_velodyne(read_scan(path).points[::16]))
    archive_scans(root / "scans", root / "frames", root / "packed", "bounded")
    return root


def archive_scans(scans: Path, frames: Path, packed: Path, profile: str, **settings) -> None:
    """Archive sequence 00 and pack it; frames may fail."""
    projection = ProjectionConfig(**vars(PROJECTION))
    config = ArchiveConfig(profile=profile, overrides=TINY, projection=projection, **settings)
    chosen, _ = encoder_settings(frames / "00", config)
    records = [
        archive_frame(job) for job in archive_jobs(open_dataset(scans, "00"), frames, chosen)
    ]
    write_results(frames / "00", records, chosen.as_dict())
    pack_sequence(frames / "00", packed / "00")


@pytest.fixture
def place(street, tmp_path) -> Place:
    """Copies that a test may damage."""
    shutil.copytree(street / "scans", tmp_path / "scans")
    shutil.copytree(street / "packed", tmp_path / "packed")
    return Place(tmp_path / "scans", tmp_path / "packed" / "00", tmp_path / "report")
