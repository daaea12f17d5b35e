"""One frame of a sequence: encode, verify by decoding, measure, record; and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import quinr_lidar
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.datasets import Frame, FrameSource
from pipeline.datasets.cloud_files import image_writer
from pipeline.fidelity import check_promise, measure_frame, promise_of_profile
from pipeline.jobs.job import Job
from pipeline.jobs.processes import load_torch
from pipeline.sequence.identity import is_archived_scan
from pipeline.sequence.model_files import models_for, models_in
from pipeline.sequence.records import FrameRecord, frame_path, read_archived, write_record
from pipeline.sequence.warm_start import Start, encode_from, find_start
from pipeline.storage.files import named, read_bytes, sha256_of, write_atomically
from quinr_lidar import Profile, RangeImage, SphericalProjection
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import BitstreamError, GeometryError, QuinrError, ScanError
from quinr_lidar.layers.registry import NAMES
from quinr_lidar.training import FitProgress


class _FrameJob(Job[FrameRecord]):
    """What frames to archive and to restore have in common."""

    frame_id: str

    @property
    def name(self) -> str:
        """The frame's id."""
        return self.frame_id

    def failed(self, error: str) -> FrameRecord:
        """The record of a frame that could not be done."""
        return FrameRecord(
            self.frame_id, "failed", error=self.complaint(error), source=str(self.source)
        )


@dataclass(frozen=True)
class ArchiveJob(_FrameJob):
    """A frame to archive.

    With a ``predecessor`` (its frame id) the frame starts from that one's parameters, and must
    be archived after it.
    """

    frame_id: str
    source: FrameSource
    folder: Path
    profile: Profile
    projection: SphericalProjection = field(default_factory=SphericalProjection)
    predecessor: str | None = None
    resume: bool = True

    @property
    def settings(self) -> EncoderSettings:
        """What decides the frame's bytes."""
        return EncoderSettings(self.profile, self.projection)

    @property
    def file(self) -> Path:
        """The compressed frame."""
        return frame_path(self.folder, self.frame_id)

    def keep(self, record: FrameRecord) -> None:
        """Write the record into the sequence's folder.

        Raises:
            StorageError: the folder cannot be written.
        """
        write_record(self.folder, record)


@dataclass(frozen=True)
class RestoreJob(_FrameJob):
    """A compressed frame to turn back into a scan."""

    frame_id: str
    source: Path
    target: Path

    @property
    def file(self) -> Path:
        """The restored scan."""
        return self.target

    def keep(self, record: FrameRecord) -> None:
        """Nothing: a restored scan is made again rather than resumed."""


def archive_frame(
    job: ArchiveJob, progress: Callable[[FitProgress], None] | None = None
) -> FrameRecord:
    """Archive one frame, or skip it when that is already done; never raises a QuinrError.

    Args:
        job: What to do.
        progress: Called now and then while it trains.

    Returns:
        The record, which is also on disk. A failed frame leaves no compressed file behind,
        unless one of an earlier run is there.
    """
    try:
        frame = job.source.read()
        start = find_start(job.folder, job.predecessor, job.settings)
        if job.resume and (done := _finished(job, frame, start)):
            return done
        record = _archive(job, frame, start, progress)
    except (QuinrError, MemoryError) as error:
        record = job.failed(str(error) or type(error).__name__)
    return job.finish(record)


def restore_frame(job: RestoreJob) -> FrameRecord:
    """Decode a file and write it in the format of the target; never raises a QuinrError."""
    try:
        data = read_bytes(job.source)
        image = decode_file(data, job.source)
        write_atomically(job.target, image_writer(job.target)(image))
    except QuinrError as error:
        return job.failed(str(error))
    return FrameRecord(job.frame_id, "ok", source=str(job.source), file_sha256=sha256_of(data))


def decode_file(
    data: bytes,
    path: Path,
    layers: Sequence[str] = NAMES,
    entropy_models: Iterable[EntropyModel] = (),
) -> RangeImage:
    """Decode a file's bytes; errors name the file.

    Args:
        data: The bytes of the file.
        path: Where the file is; the entropy models that its archive carries are found there.
        layers: Layers to decode, see :func:`quinr_lidar.decode`.
        entropy_models: Further entropy models.

    Raises:
        BitstreamError: the file is not valid, or coded with an unknown entropy model.
    """
    try:
        at_hand = (*entropy_models, *models_for(path, data))
        return quinr_lidar.decode(data, layers, entropy_models=at_hand)
    except BitstreamError as error:
        raise named(error, path) from error


def _archive(
    job: ArchiveJob,
    frame: Frame,
    start: Start | None,
    progress: Callable[[FitProgress], None] | None,
) -> FrameRecord:
    image = job.projection.project(frame.points)
    if not image.valid.any():
        raise ScanError(f"{job.source}: no point with a range above 0 m, nothing to archive")
    masked = "mask" in job.profile.layers
    entropy_models = models_in(job.folder, job.profile.entropy_model) if masked else ()
    load_torch()
    encoding = encode_from(start, image, job.profile, entropy_models, progress)
    write_atomically(job.file, encoding.frame.data)
    try:
        written = read_bytes(job.file)
        decoded = _verified(job, written, image)
        fidelity = measure_frame(
            frame.points,
            image,
            decoded,
            encoded_bytes=len(written),
            raw_bytes=frame.raw_bytes,
            preview_psnr_db=encoding.frame.preview_psnr,
            max_error=promise_of_profile(job.profile).max_error,
        )
    except BaseException:
        # A file that could not be verified is worse than none.
        job.file.unlink(missing_ok=True)
        raise
    return FrameRecord(
        frame_id=job.frame_id,
        status="ok",
        source=str(job.source),
        source_sha256=frame.sha256,
        file_sha256=sha256_of(written),
        settings=job.settings.digest(),
        software=quinr_lidar.__version__,
        start=encoding.start,
        kept=encoding.kept,
        start_sha256=start.sha256 if start else None,
        encode_seconds=round(encoding.seconds, 3),
        steps=encoding.steps,
        stop_reason=encoding.frame.fit.stop_reason,
        timestamp=frame.timestamp,
        fidelity=fidelity.as_dict(),
    )


def _verified(job: ArchiveJob, written: bytes, image: RangeImage) -> RangeImage:
    """The decoded image of a file that keeps what its settings promise.

    Raises:
        BitstreamError: it does not decode.
        GeometryError: it breaks a promise.
    """
    decoded = decode_file(written, job.file)
    try:
        check_promise(promise_of_profile(job.profile), image, decoded)
    except GeometryError as error:
        raise GeometryError(f"{job.file}: {error}") from error
    return decoded


def _finished(job: ArchiveJob, frame: Frame, start: Start | None) -> FrameRecord | None:
    """The record of an earlier run, if it was made from what is there now, and its file too."""
    found = read_archived(job.folder, job.frame_id, job.settings)
    if found is None:
        return None
    record, _ = found
    same_start = record.start_sha256 == (start.sha256 if start else None)
    return record if same_start and is_archived_scan(frame, record) else None
