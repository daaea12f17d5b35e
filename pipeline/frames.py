"""One frame of a sequence: encode, verify by decoding, measure, record; and back.

Layout of an archived sequence::

    <sequence>/frames/<frame id>.quinr    the compressed scan
    <sequence>/records/<frame id>.json    what it was made from, and its figures

A record is written last, so a frame whose record fits its file is finished.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import quinr_lidar
from pipeline.datasets import encode_velodyne, parse_velodyne
from pipeline.evaluation import measure_frame
from pipeline.files import read_bytes, sha256_of, write_atomically, write_json_atomically
from quinr_lidar import Profile, SphericalProjection, codec
from quinr_lidar.errors import BitstreamError, QuinrError, ScanError
from quinr_lidar.training import FitProgress

SUFFIX = ".quinr"


@dataclass(frozen=True)
class FrameRecord:
    """What became of a frame.

    Attributes:
        frame_id: Stem of the scan's file name.
        status: "ok", or "failed" (then ``error`` says why).
        error: One line that names the file and the reason.
        source: The scan's path.
        source_sha256: Of the scan's bytes.
        file_sha256: Of the compressed file.
        profile: Digest of all settings.
        software: quinr-lidar's version.
        seconds: Encoding time.
        steps: Training steps.
        stop_reason: Why training ended.
        timestamp: Seconds, if the data set has times.
        fidelity: :class:`~pipeline.evaluation.FrameFidelity` as a dictionary.
    """

    frame_id: str
    status: Literal["ok", "failed"]
    error: str | None = None
    source: str | None = None
    source_sha256: str | None = None
    file_sha256: str | None = None
    profile: str | None = None
    software: str | None = None
    seconds: float | None = None
    steps: int | None = None
    stop_reason: str | None = None
    timestamp: float | None = None
    fidelity: dict[str, Any] | None = None


@dataclass(frozen=True)
class ArchiveJob:
    """A frame to archive. Small and picklable: it travels to worker processes."""

    frame_id: str
    source: Path
    folder: Path
    profile: Profile
    projection: SphericalProjection = field(default_factory=SphericalProjection)
    timestamp: float | None = None
    resume: bool = True


@dataclass(frozen=True)
class RestoreJob:
    """A compressed frame to turn back into a scan."""

    frame_id: str
    source: Path
    target: Path


def archive_frame(
    job: ArchiveJob, progress: Callable[[FitProgress], None] | None = None
) -> FrameRecord:
    """Archive one frame, or skip it when that is already done; never raises a QuinrError.

    Args:
        job: What to do.
        progress: Called after every training step.

    Returns:
        The record, which is also on disk. A failed frame leaves no compressed file behind,
        unless one of an earlier run is there.
    """
    try:
        data = read_bytes(job.source)
        digest = sha256_of(data)
        if job.resume and (done := _finished(job, digest)):
            return done
        record = _archive(job, data, digest, progress)
    except (QuinrError, MemoryError) as error:
        record = failed_record(job, str(error) or type(error).__name__)
    try:
        write_record(job.folder, record)
    except QuinrError as error:
        if record.status == "ok":
            frame_path(job.folder, job.frame_id).unlink(missing_ok=True)
        return failed_record(job, str(error))
    return record


def restore_frame(job: RestoreJob) -> FrameRecord:
    """Decode a file and write its points as a KITTI velodyne scan; never raises a QuinrError."""
    try:
        data = read_bytes(job.source)
        image = decode_file(data, job.source)
        write_atomically(job.target, encode_velodyne(image.projection.back_project(image)))
    except QuinrError as error:
        return failed_record(job, str(error))
    return FrameRecord(job.frame_id, "ok", source=str(job.source), file_sha256=sha256_of(data))


def decode_file(data: bytes, path: Path, layers: int | None = None) -> quinr_lidar.RangeImage:
    """Decode a file's bytes, or its first layers; errors name the file.

    Raises:
        BitstreamError: the file is not valid.
    """
    try:
        return quinr_lidar.decode(data, layers)
    except BitstreamError as error:
        raise named(error, path) from error


def named(error: BitstreamError, path: Path) -> BitstreamError:
    """The same error with the file's name in front."""
    error.args = (f"{path}: {error.args[0]}",)
    return error


def failed_record(job: ArchiveJob | RestoreJob, error: str) -> FrameRecord:
    """The record of a frame that could not be done."""
    path = str(job.source)
    text = error if path in error else f"{path}: {error}"
    return FrameRecord(job.frame_id, "failed", error=text, source=path)


def frame_path(folder: Path, frame_id: str) -> Path:
    """Where a sequence keeps a frame's compressed file."""
    return folder / "frames" / f"{frame_id}{SUFFIX}"


def record_path(folder: Path, frame_id: str) -> Path:
    """Where a sequence keeps a frame's record."""
    return folder / "records" / f"{frame_id}.json"


def write_record(folder: Path, record: FrameRecord) -> None:
    """Keep a frame's record.

    Raises:
        StorageError: the folder cannot be written.
    """
    write_json_atomically(record_path(folder, record.frame_id), asdict(record))


def read_record(folder: Path, frame_id: str) -> FrameRecord | None:
    """A frame's record, or ``None`` when there is none that can be understood."""
    try:
        values = json.loads(record_path(folder, frame_id).read_bytes())
        return FrameRecord(**{item.name: values[item.name] for item in fields(FrameRecord)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _archive(
    job: ArchiveJob,
    data: bytes,
    digest: str,
    progress: Callable[[FitProgress], None] | None,
) -> FrameRecord:
    points = parse_velodyne(data, str(job.source))
    image = job.projection.project(points)
    if not image.measured.any():
        raise ScanError(f"{job.source}: no point with a range above 0 m, nothing to archive")
    began = time.perf_counter()
    encoded = codec.encode_frame(image, job.profile, progress=progress)
    seconds = time.perf_counter() - began
    path = frame_path(job.folder, job.frame_id)
    write_atomically(path, encoded.data)
    try:
        written = read_bytes(path)
        fidelity = measure_frame(
            points,
            image,
            decode_file(written, path),
            encoded_bytes=len(written),
            raw_bytes=len(data),
        )
    except BaseException:
        # A file that could not be verified is worse than none.
        path.unlink(missing_ok=True)
        raise
    return FrameRecord(
        frame_id=job.frame_id,
        status="ok",
        source=str(job.source),
        source_sha256=digest,
        file_sha256=sha256_of(written),
        profile=job.profile.digest(),
        software=quinr_lidar.__version__,
        seconds=round(seconds, 3),
        steps=encoded.fit.steps,
        stop_reason=encoded.fit.stop_reason,
        timestamp=job.timestamp,
        fidelity=fidelity.as_dict(),
    )


def _finished(job: ArchiveJob, source_sha256: str) -> FrameRecord | None:
    """The record of an earlier run, if source, settings, software and file are the same."""
    record = read_record(job.folder, job.frame_id)
    if record is None or record.status != "ok":
        return None
    now = (source_sha256, job.profile.digest(), quinr_lidar.__version__)
    if (record.source_sha256, record.profile, record.software) != now:
        return None
    try:
        written = frame_path(job.folder, job.frame_id).read_bytes()
    except OSError:
        return None
    return record if sha256_of(written) == record.file_sha256 else None
