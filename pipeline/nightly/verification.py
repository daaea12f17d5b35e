"""Packed archives checked in worker processes, one job for each archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.archive.reader import PackedSequence
from pipeline.archive.verify import Verification, verify_archive
from pipeline.jobs.job import Job
from quinr_lidar.errors import ArchiveError, QuinrError


@dataclass(frozen=True)
class ArchiveRecord:
    """What the check of an archive found.

    Attributes:
        archive: Where it is.
        status: "ok", or "failed" (then ``error`` says why).
        error: The first of what is wrong, and how much there is.
        deep: Whether every frame was measured against its original.
        frames: Number of frames that were checked.
        largest_error_m: Largest error of a range, metres, of a deep check.
        max_error_m: The largest max error that its frames promise.
        mcap_sha256: SHA-256 of the MCAP that was checked.
        only_unarchived: Whether nothing is wrong but frames that failed when they were archived.
    """

    archive: str
    status: Literal["ok", "failed"]
    error: str | None = None
    deep: bool = False
    frames: int = 0
    largest_error_m: float | None = None
    max_error_m: float | None = None
    mcap_sha256: str | None = None
    only_unarchived: bool = False

    @property
    def name(self) -> str:
        """The archive."""
        return self.archive


@dataclass(frozen=True)
class VerifyJob(Job[ArchiveRecord]):
    """An archive to check.

    Attributes:
        where: Its folder or URL.
        originals: Data set to measure every frame against.
        sequence: Which sequence, where the data set has several.
    """

    where: str
    originals: Path | None = None
    sequence: str | None = None

    @property
    def source(self) -> Path:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The archive."""
        return Path(self.where)

    @property
    def name(self) -> str:
        """The archive's address."""
        return self.where

    def complaint(self, error: str) -> str:
        """An error as one line that names the archive; a URL stays one."""
        return error if self.where in error else f"{self.where}: {error}"

    def failed(self, error: str) -> ArchiveRecord:
        """The record of an archive that could not be checked."""
        return ArchiveRecord(self.where, "failed", error=self.complaint(error))

    def keep(self, record: ArchiveRecord) -> None:
        """Nothing: an archive is checked again rather than believed."""


def check_archive(job: VerifyJob) -> ArchiveRecord:
    """Check an archive completely; never raises a QuinrError."""
    try:
        before = PackedSequence.open(job.where).manifest.mcap_sha256
        found = verify_archive(job.where, job.originals, job.sequence)
        after = PackedSequence.open(job.where).manifest.mcap_sha256
        if before != after:
            raise ArchiveError(f"{job.where}: it was replaced while it was checked; check it again")
    except QuinrError as error:
        return job.failed(str(error))
    return _record(found, after)


def _record(found: Verification, mcap_sha256: str) -> ArchiveRecord:
    wrong = [*found.problems, *(frame.error for frame in found.frames if frame.error)]
    intact = not wrong
    if found.deep:
        wrong += [
            f"frame {name} was not archived: {why}" for name, why in found.not_archived.items()
        ]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    errors = [frame.largest_error_m for frame in found.frames if frame.largest_error_m is not None]
    max_errors = [frame.max_error_m for frame in found.frames if frame.max_error_m is not None]
    return ArchiveRecord(
        found.archive,
        "ok" if found.ok else "failed",
        None if found.ok else f"{found.archive}: {wrong[0]}{more}",
        deep=found.deep,
        frames=len(found.frames),
        largest_error_m=max(errors, default=None),
        max_error_m=max(max_errors, default=None),
        mcap_sha256=mcap_sha256,
        only_unarchived=intact and not found.ok,
    )


def verification_rows(records: list[ArchiveRecord]) -> list[dict[str, Any]]:
    """Rows for people."""
    return [
        {
            "archive": record.archive,
            "status": record.status,
            "frames": record.frames,
            "against originals": record.deep,
            "largest error [m]": record.largest_error_m,
            "max error [m]": record.max_error_m,
            "error": record.error,
        }
        for record in records
    ]
