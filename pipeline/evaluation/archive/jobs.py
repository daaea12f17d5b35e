"""Jobs of an archive's evaluation; a worker writes each result to disk at once."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.evaluation.archive.drive import DriveSource, open_drive
from pipeline.evaluation.archive.entries import (
    FigureEntry,
    OdometryEntry,
    add_figures,
    read_figures,
    write_odometry,
)
from pipeline.evaluation.tasks import DriveFrame, TaskSettings
from pipeline.evaluation.tasks.frames import evaluate_frames
from pipeline.evaluation.tasks.odometry import FEWEST_POINTS, Odometry
from pipeline.evaluation.tasks.records import CloudName, pose_numbers
from pipeline.jobs.job import Job
from quinr_lidar.errors import BackendError, QuinrError


@dataclass(frozen=True)
class JobRecord:
    """The outcome of a job or of a frame.

    Attributes:
        name: Name of the job, or the frame's id.
        status: "failed" if any of its frames failed.
        error: The first reason, and how many more there are.
        complete: Whether the job came to its end; then only single frames may have failed.
    """

    name: str
    status: Literal["ok", "failed"]
    error: str | None = None
    complete: bool = True


@dataclass(frozen=True)
class EvaluationJob(Job[JobRecord]):
    """A part of an evaluation.

    Attributes:
        drive: Archive and originals.
        folder: Folder of the journals.
    """

    drive: DriveSource
    folder: Path

    @property
    def source(self) -> Path:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The archive."""
        return Path(self.drive.archive)

    def complaint(self, error: str) -> str:
        """An error as one line that names the archive; a URL stays one."""
        where = self.drive.archive
        return error if where in error else f"{where}: {error}"

    def failed(self, error: str) -> JobRecord:
        """The record of a job that did not come to its end."""
        return JobRecord(self.name, "failed", self.complaint(error), complete=False)

    @abstractmethod
    def run(self) -> JobRecord:
        """Do the job.

        Raises:
            QuinrError: nothing can be measured at all.
        """

    def _record(self, errors: list[str]) -> JobRecord:
        if not errors:
            return JobRecord(self.name, "ok")
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return JobRecord(self.name, "failed", self.complaint(errors[0]) + more)


@dataclass(frozen=True)
class FiguresJob(EvaluationJob):
    """Measures frames that follow each other.

    Attributes:
        settings: What is measured.
        frames: Id of each frame, and the digest of what its figures depend on.
    """

    settings: TaskSettings
    frames: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Archive and frames."""
        first, last = self.frames[0][0], self.frames[-1][0]
        return f"{self.drive.archive}: {first} to {last}"

    def run(self) -> JobRecord:
        """Measure one frame after the other and write each result down."""
        digests, errors, before = dict(self.frames), [], None
        frames = self._stretch()
        sampled = [frame.name in digests for frame in frames]
        for record in evaluate_frames(frames, self.settings, sampled):
            name = record.frame
            if name in digests:
                entry = FigureEntry(name, digests[name], record.figures, record.error, before)
                add_figures(self.folder, self.frames[0][0], entry)
                errors += [record.error] if record.error else []
            before = record.error
        return self._record(errors)

    def _stretch(self) -> list[DriveFrame]:
        """The frames, and the one before them."""
        frames = open_drive(self.drive).frames()
        names = [frame.name for frame in frames]
        first = names.index(self.frames[0][0])
        return frames[max(0, first - 1) : first + len(self.frames)]

    def keep(self, record: JobRecord) -> None:
        """Write down why frames have no figures, if the job did not come to its end."""
        if record.complete:
            return
        known = read_figures(self.folder)
        for frame, digest in self.frames:
            entry = known.get(digest)
            if entry is None or entry.error not in (None, record.error):
                add_figures(
                    self.folder,
                    self.frames[0][0],
                    FigureEntry(frame, digest, error=record.error),
                )


@dataclass(frozen=True)
class OdometryJob(EvaluationJob):
    """Runs odometry on one kind of cloud along the whole drive.

    Attributes:
        cloud: Which kind of cloud.
        digest: Digest of everything that the poses depend on.
    """

    cloud: CloudName
    digest: str

    @property
    def name(self) -> str:
        """Archive and kind of cloud."""
        return f"{self.drive.archive}: odometry of {self.cloud}"

    def run(self) -> JobRecord:
        """Follow the drive from its first frame; poses are written at its end."""
        drive, odometry = open_drive(self.drive), Odometry()
        poses: dict[str, list[float]] = {}
        errors: dict[str, str] = {}
        for frame in drive.archive.rows:
            name = frame.frame_id
            if drive.refusal(frame) is not None:
                continue
            try:
                points = drive.points(name, self.cloud)
                if len(points) >= FEWEST_POINTS:
                    poses[name] = pose_numbers(odometry.add(points))
            except BackendError:
                raise
            except QuinrError as error:
                errors[name] = str(error)
        write_odometry(self.folder, OdometryEntry(self.cloud, self.digest, poses, errors))
        return self._record(list(errors.values()))

    def keep(self, record: JobRecord) -> None:
        """Write down why there are no poses, if the job did not come to its end."""
        if not record.complete:
            write_odometry(self.folder, OdometryEntry(self.cloud, self.digest, error=record.error))


def run_evaluation_job(job: EvaluationJob) -> JobRecord:
    """Do a job in a worker process; results go to the evaluation's folder.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        return job.run()
    except QuinrError as error:
        record = job.failed(str(error))
        job.keep(record)
        return record
