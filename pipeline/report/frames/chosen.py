"""The frames that a report shows: which ones, with range images and clouds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.archive import PackedSequence
from pipeline.archive.manifest import FrameRow
from pipeline.datasets import Dataset
from pipeline.fidelity import check_promise
from pipeline.report.document import Chosen, Failure
from pipeline.report.findings.files import FrameFiles, failure_of
from pipeline.report.findings.summary import value_of
from pipeline.sequence.identity import read_original
from quinr_lidar import RangeImage
from quinr_lidar.errors import ArchiveError, BitstreamError, GeometryError, QuinrError
from quinr_lidar.geometry import usable_points
from quinr_lidar.metrics.clouds import Cloud, Matches, match

BY_PSNR = "by PSNR, as measured when archived"
NO_ORIGINALS = "no originals were at hand"
BY_PLACE = "first, middle and last, since no PSNR is known"


@dataclass(frozen=True, eq=False)
class ShownFrame:
    """A frame with its range images.

    Attributes:
        chosen: Why it is shown.
        row: The frame's row of the manifest.
        decoded: The decoded range image.
        image: The range image of the original scan, or ``None``.
        scan: The original's points that are usable, float32 [N, 3], metres; or ``None``.
    """

    chosen: Chosen
    row: FrameRow
    decoded: RangeImage
    image: RangeImage | None = None
    scan: NDArray[np.float32] | None = None

    @cached_property
    def decoded_points(self) -> NDArray[np.float32]:
        """Points of the decoded range image: float32 [N, 3], metres."""
        return self.decoded.projection.back_project(self.decoded)[:, :3]

    @cached_property
    def image_points(self) -> NDArray[np.float32] | None:
        """Points of the original range image: float32 [N, 3], metres; ``None`` without one."""
        return None if self.image is None else self.image.projection.back_project(self.image)[:, :3]

    @cached_property
    def matches(self) -> Matches | None:
        """Nearest neighbours of the original range image's points (a) and the decoded ones (b).

        ``None`` where one of them has no points.
        """
        if self.image_points is None or not len(self.image_points) or not len(self.decoded_points):
            return None
        return match(Cloud(self.image_points), Cloud(self.decoded_points))


def show_frames(
    archive: PackedSequence,
    rows: Sequence[FrameRow],
    files: FrameFiles,
    originals: Dataset | None,
) -> tuple[list[ShownFrame], list[Failure]]:
    """The best, the median and the worst frame by PSNR, decoded, with their originals.

    A frame that does not decode makes room for the next one.

    Args:
        archive: What is reported.
        rows: Rows of the manifest with everything known.
        files: The archive's files, see :func:`~pipeline.report.findings.files.read_files`.
        originals: Data set of the scans; only scans whose SHA-256 was archived count.

    Returns:
        At most three frames, and what failed on the way: frames that do not decode, or break what
        they promise.

    Raises:
        StorageError: the archive cannot be read.
    """
    sound = [row for row in rows if row.frame_id in files.infos]
    known = [row for row in sound if value_of(row, "psnr_db") is not None]
    criterion = BY_PSNR if known else BY_PLACE
    # Worst first; equal ones in the order of the drive.
    ranked = sorted(known, key=lambda row: value_of(row, "psnr_db") or 0.0) if known else sound
    shown: dict[str, ShownFrame] = {}
    failures: dict[str, Failure] = {}
    for role, candidates in _roles(ranked, by_psnr=bool(known)):
        for row in candidates:
            if row.frame_id in shown:
                break
            if row.frame_id in failures:
                continue
            try:
                decoded = archive.decode(row.frame_id)
            except (ArchiveError, BitstreamError) as error:
                failures[row.frame_id] = failure_of(row, "decoding", error)
                continue
            frame = _with_original(role, criterion, row, decoded, originals)
            shown[row.frame_id] = frame
            if (broken := _broken_promise(frame, files)) is not None:
                failures[row.frame_id] = broken
            break
    return list(shown.values()), list(failures.values())


def _roles(ranked: list[FrameRow], *, by_psnr: bool) -> Iterator[tuple[str, Iterable[FrameRow]]]:
    """Every role with its candidates, the best fitting first."""
    if len(ranked) == 1:
        yield "only", ranked
        return
    names = ("best", "median", "worst") if by_psnr else ("first", "middle", "last")
    ordered = ranked[::-1] if by_psnr else ranked
    yield names[0], ordered
    if len(ordered) > 2:
        middle = len(ordered) // 2
        outwards = sorted(range(len(ordered)), key=lambda place: abs(place - middle))
        yield names[1], [ordered[place] for place in outwards]
    yield names[2], ordered[::-1]


def _with_original(
    role: str, criterion: str, row: FrameRow, decoded: RangeImage, originals: Dataset | None
) -> ShownFrame:
    note = image = scan = None
    if originals is None:
        note = NO_ORIGINALS
    else:
        try:
            scan, image = _original(row, decoded, originals)
        except QuinrError as error:
            note = " ".join(str(error).split())
    chosen = Chosen(
        frame=row.frame_id,
        role=role,
        criterion=criterion,
        psnr_db=value_of(row, "psnr_db"),
        original=image is not None,
        note=note,
    )
    return ShownFrame(chosen, row, decoded, image, scan)


def _original(
    row: FrameRow, decoded: RangeImage, originals: Dataset
) -> tuple[NDArray[np.float32], RangeImage]:
    """A frame's scan and its range image.

    Raises:
        ArchiveError: the scan is another one than was archived.
        DatasetError: there is no such scan.
        ScanError, StorageError: it cannot be read.
    """
    points = read_original(originals, row).points
    return usable_points(points), decoded.projection.project(points)


def _broken_promise(frame: ShownFrame, files: FrameFiles) -> Failure | None:
    promise = files.promise(frame.row.frame_id)
    if frame.image is None or promise is None:
        return None
    try:
        check_promise(promise, frame.image, frame.decoded)
    except GeometryError as error:
        return failure_of(frame.row, "measuring", error)
    return None
