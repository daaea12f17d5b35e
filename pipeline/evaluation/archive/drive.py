"""An archived drive beside its originals: a frame's clouds, read when they are needed."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.archive import PackedSequence
from pipeline.archive.manifest import FrameRow
from pipeline.archive.originals import Originals
from pipeline.datasets import Dataset, Frame
from pipeline.evaluation.tasks import DriveFrame, FrameClouds
from pipeline.evaluation.tasks.records import CloudName
from pipeline.fidelity import check_promise, image_figures, promise_of_file
from pipeline.sequence.identity import read_original
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.errors import ArchiveError, BitstreamError, GeometryError, QuinrError
from quinr_lidar.geometry import usable_points

FloatArray = NDArray[np.float64]
Points = NDArray[np.float32]


@dataclass(frozen=True)
class DriveSource:
    """Where an archived drive and its originals are. Small and picklable.

    Attributes:
        archive: Folder or URL of the packed sequence.
        originals: Path of the data set.
        sequence: Sequence of a data set that has several.
        mcap_sha256: SHA-256 of the archive's MCAP; another archive is refused.
        run: A random text, new for every run, so that a worker that lives on opens files anew.
    """

    archive: str
    originals: Path
    sequence: str | None
    mcap_sha256: str
    run: str = ""


@dataclass(frozen=True, eq=False)
class ArchivedDrive:
    """Frames of an archive with their scans.

    Attributes:
        archive: Holds the frames.
        dataset: Holds the scans.
        poses: Ground truth by frame id, float64 [4, 4]; empty where the data set has none.
    """

    archive: PackedSequence
    dataset: Dataset
    poses: Mapping[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def open(cls, archive: str, originals: Path, sequence: str | None = None) -> ArchivedDrive:
        """Open both.

        Raises:
            ArchiveError, StorageError: the archive cannot be opened.
            DatasetError: the originals cannot, or their poses cannot be understood.
        """
        opened = PackedSequence.open(archive)
        dataset = Originals.open(originals, sequence, opened).dataset
        return cls(opened, dataset, dataset.poses())

    def frames(self) -> list[DriveFrame]:
        """Every frame of the archive, also failed ones, in the order of the drive."""
        return [
            DriveFrame(
                row.frame_id,
                partial(self.clouds, row.frame_id),
                self.poses.get(row.frame_id),
                self.dataset.sensor_height,
            )
            for row in self.archive.rows
        ]

    def refusal(self, row: FrameRow) -> str | None:
        """Why a frame cannot be evaluated, if that is known without reading it; else ``None``."""
        try:
            if not row.ok:
                self.archive.read(row.frame_id)
            self.dataset.frame(row.frame_id)
        except QuinrError as error:
            return str(error)
        return None

    def clouds(self, frame_id: str) -> FrameClouds:
        """A frame's clouds: the scan's usable points, the range image's, and the decoded ones.

        Raises:
            ArchiveError: the frame failed when it was archived, its file is damaged, or the scan is
                another one than was archived.
            BitstreamError: the file does not decode.
            DatasetError, ScanError: there is no such scan, or it is none.
            StorageError: archive or scan cannot be read.
        """
        data = self.archive.read(frame_id)
        scan = self._scan(frame_id)
        decoded = self.archive.decode_bytes(frame_id, data)
        image = decoded.projection.project(scan.points)
        return FrameClouds(
            usable_points(scan.points),
            _cloud(image),
            _cloud(decoded),
            partial(frame_figures, data, scan.raw_bytes, image, decoded),
        )

    def points(self, frame_id: str, cloud: CloudName) -> Points:
        """One cloud of :meth:`clouds`; only the decoded one needs decoding.

        Raises:
            QuinrError: as :meth:`clouds`.
        """
        if cloud == "decoded":
            self._scan(frame_id)
            return _cloud(self.archive.decode(frame_id))
        data = self.archive.read(frame_id)
        points = self._scan(frame_id).points
        if cloud == "scan":
            return usable_points(points)
        return _cloud(self._projection(frame_id, data).project(points))

    def _scan(self, frame_id: str) -> Frame:
        return read_original(self.dataset, self.archive.row(frame_id))

    def _projection(self, frame_id: str, data: bytes) -> SphericalProjection:
        try:
            info = codec.inspect(data)
        except BitstreamError as error:
            error.args = (f"{self.archive.name}: frame {frame_id}: {error.args[0]}",)
            raise
        return SphericalProjection(
            info.height, info.width, info.scan["fov_up"], info.scan["fov_down"]
        )


class _Kept(threading.local):
    """A thread's last drive: readers of archives are not made for several threads."""

    drive: tuple[DriveSource, ArchivedDrive] | None = None


_kept = _Kept()


def open_drive(source: DriveSource) -> ArchivedDrive:
    """A drive for a job, kept for the next one.

    Raises:
        ArchiveError: another archive is there by now.
        QuinrError: as :meth:`ArchivedDrive.open`.
    """
    if _kept.drive is None or _kept.drive[0] != source:
        drive = ArchivedDrive.open(source.archive, source.originals, source.sequence)
        if drive.archive.manifest.mcap_sha256 != source.mcap_sha256:
            raise ArchiveError(
                f"{source.archive}: it was replaced while it was evaluated; evaluate it again"
            )
        _kept.drive = (source, drive)
    return _kept.drive[1]


def frame_figures(
    data: bytes, raw_bytes: int, image: RangeImage, decoded: RangeImage
) -> dict[str, float]:
    """Figures of a decoded range image.

    Args:
        data: The compressed file.
        raw_bytes: Size of the original file.
        image: Range image of the original, as projected.
        decoded: Range image that the file decodes to.

    Returns:
        Those of :func:`~pipeline.fidelity.image_figures`, and ``max_error_kept``: whether the
        file keeps what it promises, at every range; NaN for one that promises no max error.

    Raises:
        GeometryError: the scan has no point to measure.
    """
    promise = promise_of_file(codec.inspect(data))
    figures = image_figures(
        image, decoded, encoded_bytes=len(data), raw_bytes=raw_bytes, max_error=promise.max_error
    )
    kept = math.nan
    if promise.max_error is not None:
        try:
            check_promise(promise, image, decoded)
            kept = True
        except GeometryError:
            kept = False
    return figures | {"max_error_kept": kept}


def _cloud(image: RangeImage) -> Points:
    return image.projection.back_project(image)
