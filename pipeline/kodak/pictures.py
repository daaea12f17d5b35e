"""One picture of a folder: encode it, verify it by decoding, measure it, keep a record.

Layout of an encoded folder::

    <out>/<stem>.quinr           the compressed picture
    <out>/decoded/<stem>.png     what it decodes to
    <out>/records/<stem>.json    what it was made from, and its figures

A record is written last, so a picture whose record fits its file is finished.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import quinr_lidar
from pipeline.datasets.pictures import PICTURE_SUFFIXES, is_picture, parse_picture, picture_bytes
from pipeline.jobs.job import Job, read_dataclass, read_finished
from pipeline.kodak.fidelity import measure_picture
from pipeline.sequence.records import SUFFIX
from pipeline.storage.files import (
    named,
    read_bytes,
    sha256_of,
    write_atomically,
    write_json_atomically,
)
from quinr_lidar import Profile
from quinr_lidar.codec.image_decoding import decode_image
from quinr_lidar.codec.images import encode_image
from quinr_lidar.errors import BitstreamError, DatasetError, QuinrError


@dataclass(frozen=True)
class PictureRecord:
    """The outcome of a picture.

    Attributes:
        stem: Stem of the source's file name.
        status: "ok", or "failed" (then ``error`` says why).
        source: The picture's path.
        error: One line that names the file and the reason.
        source_sha256: SHA-256 of the source's bytes.
        file_sha256: SHA-256 of the compressed file.
        decoded_sha256: SHA-256 of the decoded PNG.
        settings: Digest of all settings.
        software: quinr-lidar's version.
        seconds: Encoding time.
        steps: Number of training steps.
        stop_reason: Why training ended.
        fidelity: :class:`~pipeline.kodak.fidelity.PictureFidelity` as a dictionary.
    """

    stem: str
    status: Literal["ok", "failed"]
    source: str
    error: str | None = None
    source_sha256: str | None = None
    file_sha256: str | None = None
    decoded_sha256: str | None = None
    settings: str | None = None
    software: str | None = None
    seconds: float | None = None
    steps: int | None = None
    stop_reason: str | None = None
    fidelity: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The stem, as the name of its job."""
        return self.stem


@dataclass(frozen=True)
class PictureJob(Job[PictureRecord]):
    """A picture to encode.

    Attributes:
        source: A picture in any format that Pillow reads.
        folder: Folder of all results.
        profile: Settings of the encoder.
        resume: Whether to skip the picture if it is finished.
    """

    source: Path
    folder: Path
    profile: Profile
    resume: bool = True

    @property
    def stem(self) -> str:
        """Stem of the names of its files."""
        return self.source.stem

    @property
    def name(self) -> str:
        """The stem."""
        return self.stem

    @property
    def file(self) -> Path:
        """The compressed picture."""
        return self.folder / f"{self.stem}{SUFFIX}"

    @property
    def decoded(self) -> Path:
        """The decoded picture, a PNG."""
        return self.folder / "decoded" / f"{self.stem}.png"

    @property
    def record(self) -> Path:
        """The record's file."""
        return self.folder / "records" / f"{self.stem}.json"

    def failed(self, error: str) -> PictureRecord:
        """The record of a picture that could not be done."""
        return PictureRecord(
            self.stem, "failed", source=str(self.source), error=self.complaint(error)
        )

    def keep(self, record: PictureRecord) -> None:
        """Write the record to its file.

        Raises:
            StorageError: the folder cannot be written.
        """
        write_json_atomically(self.record, asdict(record))


def picture_jobs(
    folder: Path, out: Path, profile: Profile, *, resume: bool = True
) -> list[PictureJob]:
    """One job for every picture of a folder, in the order of their names, without hidden files.

    Raises:
        DatasetError: no folder, no picture in it, two of the same stem, or an output folder
            whose pictures would count among them.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder, expected one that holds pictures")
    if folder.resolve() in (out.resolve(), (out / "decoded").resolve()):
        raise DatasetError(f"{out}: cannot hold the results, since its pictures are the sources")
    sources = sorted(
        path
        for path in folder.iterdir()
        if is_picture(path) and path.name[0] != "." and path.is_file()
    )
    if not sources:
        raise DatasetError(f"{folder}: no picture, expected *{', *'.join(PICTURE_SUFFIXES)}")
    by_stem: dict[str, Path] = {}
    for path in sources:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise DatasetError(
                f"{folder}: {other.name} and {path.name} would both become {path.stem}{SUFFIX}; "
                "rename one"
            )
    return [PictureJob(path, out, profile, resume) for path in sources]


def encode_picture(job: PictureJob) -> PictureRecord:
    """Encode one picture, or skip it when that is already done; never raises a QuinrError.

    Returns:
        The record, which is also on disk. A failed picture leaves no compressed file behind,
        unless one of an earlier run is there.
    """
    try:
        data = read_bytes(job.source)
        digest = sha256_of(data)
        if job.resume and (done := _finished(job, digest)):
            return done
        record = _encode(job, data, digest)
    except (QuinrError, MemoryError) as error:
        record = job.failed(str(error) or type(error).__name__)
    return job.finish(record)


def read_picture_record(job: PictureJob) -> PictureRecord | None:
    """A picture's record, or ``None`` when there is none that can be understood."""
    return read_dataclass(job.record, PictureRecord)


def _encode(job: PictureJob, data: bytes, digest: str) -> PictureRecord:
    original = parse_picture(data, str(job.source))
    began = time.perf_counter()
    encoded = encode_image(original, job.profile)
    seconds = time.perf_counter() - began
    write_atomically(job.file, encoded.data)
    try:
        written = read_bytes(job.file)
        decoded = _decode(written, job.file)
        fidelity = measure_picture(
            original,
            decoded,
            raw_bytes=len(data),
            encoded_bytes=len(written),
            float_psnr_db=encoded.float_psnr,
            quantisation_loss_db=encoded.float_psnr - encoded.psnr,
        )
        decoded_sha256 = _write_decoded(job, decoded)
    except BaseException:
        # A file that could not be verified is worse than none.
        job.file.unlink(missing_ok=True)
        raise
    return PictureRecord(
        stem=job.stem,
        status="ok",
        source=str(job.source),
        source_sha256=digest,
        file_sha256=sha256_of(written),
        decoded_sha256=decoded_sha256,
        settings=job.profile.digest(),
        software=quinr_lidar.__version__,
        seconds=round(seconds, 3),
        steps=encoded.fit.steps,
        stop_reason=encoded.fit.stop_reason,
        fidelity=fidelity.as_dict(),
    )


def _finished(job: PictureJob, source_sha256: str) -> PictureRecord | None:
    """The record of an earlier run, if it was made from what is there now, and its file too.

    A decoded picture that is missing or damaged is decoded again: that needs no training.

    Raises:
        QuinrError: it cannot be decoded, or not be written.
    """
    record = read_picture_record(job)
    if record is None or record.source_sha256 != source_sha256:
        return None
    data = read_finished(record, job.file, job.profile.digest())
    if data is None:
        return None
    # The folder of sources may have moved.
    current = replace(record, source=str(job.source))
    if not _is_intact(job.decoded, record.decoded_sha256):
        current = replace(current, decoded_sha256=_write_decoded(job, _decode(data, job.file)))
    if current != record:
        job.keep(current)
    return current


def _is_intact(path: Path, sha256: str | None) -> bool:
    try:
        return sha256_of(path.read_bytes()) == sha256
    except OSError:
        return False


def _write_decoded(job: PictureJob, decoded: NDArray[np.uint8]) -> str:
    """Write the decoded picture; returns its file's SHA-256."""
    png = picture_bytes(decoded)
    write_atomically(job.decoded, png)
    return sha256_of(png)


def _decode(data: bytes, path: Path) -> NDArray[np.uint8]:
    try:
        return decode_image(data)
    except BitstreamError as error:
        raise named(error, path) from error
