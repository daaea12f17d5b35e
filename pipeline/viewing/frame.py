"""One frame to look at: what was decoded, the scan it was made from, and figures of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.manifest import FrameRow
from pipeline.datasets import Dataset
from pipeline.fidelity import Promise, largest_error, promise_of_file
from pipeline.sequence.identity import is_archived_scan
from pipeline.sequence.records import SUFFIX
from pipeline.storage.files import named, sha256_of
from pipeline.viewing.sources import Frames
from quinr_lidar import RangeImage, codec, metrics
from quinr_lidar.errors import BitstreamError, DatasetError
from quinr_lidar.geometry import usable_points


@dataclass(frozen=True, eq=False)
class Scan:
    """A frame's original.

    Attributes:
        path: Path of its file.
        points: float32 [N, 3], metres: the scan's usable points.
        image: Its range image, in the projection of the decoded one.
        same: Whether it is the scan that was archived; ``None`` where nothing says so.
    """

    path: Path
    points: NDArray[np.float32]
    image: RangeImage
    same: bool | None


@dataclass(frozen=True, eq=False)
class ViewedFrame:
    """A decoded frame.

    Attributes:
        source: Name of the file or the archive.
        row: What is known about the frame; it has figures only if they belong to this very file.
        data_bytes: Size of its file.
        decoded: The decoded range image.
        promise: What its file promises.
        scan: The original, if it is at hand.
    """

    source: str
    row: FrameRow
    data_bytes: int
    decoded: RangeImage
    promise: Promise
    scan: Scan | None = None

    @property
    def points(self) -> NDArray[np.float32]:
        """The decoded cloud, float32 [N, 3], metres."""
        return self.decoded.projection.back_project(self.decoded)

    @property
    def errors(self) -> NDArray[np.float32]:
        """Range error of every decoded point, float32 [N], metres.

        NaN where nothing was measured in the original.

        Raises:
            DatasetError: there is no original.
        """
        if self.scan is None:
            raise DatasetError(f"{self.source}: errors need the scan: give it with --originals")
        image, valid = self.scan.image, self.decoded.valid
        difference = np.abs(self.decoded.ranges.astype(np.float64) - image.ranges)
        return np.where(image.valid, difference, np.nan)[valid].astype(np.float32)

    @property
    def largest_error(self) -> float | None:
        """Largest range error, metres: measured now with an original, else as archived."""
        if self.scan is not None:
            return largest_error(self.scan.image, self.decoded)
        value = self.row.figures.get("largest_error_m")
        return None if value is None else float(value)

    @property
    def psnr(self) -> float | None:
        """PSNR of whole images as in the paper, dB; measured as :attr:`largest_error` is."""
        if self.scan is not None:
            image = self.scan.image
            return float(
                metrics.psnr(image.filled(), self.decoded.ranges, max_value=image.no_return)
            )
        value = self.row.figures.get("psnr_db")
        return None if value is None else float(value)

    @property
    def headline(self) -> str:
        """File, bytes, max error and largest error, for titles."""
        name = self.source
        if not name.endswith(SUFFIX):
            name = f"{name} frame {self.row.frame_id}"
        max_error = (
            "no max error"
            if self.promise.max_error is None
            else f"max error {self.promise.max_error:.4g} m"
        )
        if self.promise.relative_error:
            max_error += f" or {self.promise.relative_error:.4g} of the range"
        largest = self.largest_error
        error = "not known, no original" if largest is None else f"{largest:.4g} m"
        return f"{name}: {self.data_bytes:,} bytes, {max_error}, largest error {error}"

    @property
    def doubt(self) -> str | None:
        """Why errors say nothing about the archive: the scan is not the archived one."""
        if self.scan is None or self.scan.same is not False:
            return None
        return (
            f"{self.scan.path}: not the scan that frame {self.row.frame_id} of {self.source} was "
            "made from (SHA-256): differences to it are no errors of the archive"
        )

    def as_dict(self) -> dict[str, Any]:
        """The most important facts, ready for JSON."""
        scan = self.scan
        return {
            "source": self.source,
            "frame": self.row.frame_id,
            "bytes": self.data_bytes,
            "points": self.decoded.valid_count,
            "max_error_m": self.promise.max_error,
            "relative_error": self.promise.relative_error,
            "largest_error_m": self.largest_error,
            "original": None if scan is None else str(scan.path),
            "original_points": None if scan is None else len(scan.points),
            "original_is_the_archived": None if scan is None else scan.same,
        }


def view_frame(frames: Frames, row: FrameRow) -> ViewedFrame:
    """Decode a frame.

    Args:
        frames: The frames that it is one of.
        row: Row of the frame.

    Raises:
        ArchiveError, StorageError: the file cannot be read.
        BitstreamError: it does not decode, or holds a picture.
    """
    data = frames.read(row)
    try:
        info = codec.inspect(data)
    except BitstreamError as error:
        raise named(error, Path(_name(frames, row))) from error
    if info.content != "scan":
        raise DatasetError(f"{_name(frames, row)}: holds a picture; `quinr decode` writes it")
    if row.file_sha256 is not None and row.file_sha256 != sha256_of(data):
        # The record is of another file, of an earlier or a failed run.
        row = FrameRow(
            row.frame_id,
            "ok",
            number=row.number,
            time_ns=row.time_ns,
            time_assumed=row.time_assumed,
        )
    return ViewedFrame(
        source=frames.name,
        row=row,
        data_bytes=len(data),
        decoded=frames.decode(row, data),
        promise=promise_of_file(info),
    )


def with_scan(frame: ViewedFrame, original: Dataset) -> ViewedFrame:
    """The frame and the scan that it was made from.

    Args:
        frame: Without a scan.
        original: Its scan is found by the frame's id; a single scan is taken as it is.

    Raises:
        DatasetError: there is no scan of this id.
        ScanError, StorageError: the scan cannot be read.
    """
    single = original.layout == "file"
    source = original.frame(original.frame_ids[0] if single else frame.row.frame_id)
    read = source.read()
    scan = Scan(
        path=source.path,
        points=usable_points(read.points),
        image=frame.decoded.projection.project(read.points),
        same=None if frame.row.source_sha256 is None else is_archived_scan(read, frame.row),
    )
    return replace(frame, scan=scan)


def _name(frames: Frames, row: FrameRow) -> str:
    return frames.name if len(frames.rows) == 1 else f"{frames.name}: frame {row.frame_id}"
