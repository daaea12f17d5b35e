"""Archived frames against the scans that they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.manifest import FrameRow
from pipeline.archive.reader import PackedSequence
from pipeline.datasets import Dataset, open_dataset
from pipeline.fidelity import check_promise, largest_error, promise_of_file
from pipeline.sequence.identity import read_original
from quinr_lidar import RangeImage
from quinr_lidar.codec.inspection import FileInfo
from quinr_lidar.errors import ArchiveError, DatasetError, GeometryError


@dataclass(frozen=True)
class Originals:
    """The data set that an archive was made from."""

    dataset: Dataset

    @classmethod
    def open(cls, path: Path, sequence: str | None, archive: PackedSequence) -> Originals:
        """Open the data set of a packed archive, see :func:`open_originals`.

        Raises:
            DatasetError: it cannot be opened.
        """
        return cls(open_originals(path, sequence, archive.manifest.sequence))

    def check(self, row: FrameRow, info: FileInfo, decoded: RangeImage) -> float:
        """Measure a decoded frame against its scan.

        Returns:
            The largest error of a range, metres.

        Raises:
            ArchiveError: another scan than was archived, or the file promises no max error.
            DatasetError: there is no such scan.
            GeometryError: the mask is not exact, or a range errs by more than promised.
            ScanError, StorageError: the scan cannot be read.
        """
        source = self.dataset.frame(row.frame_id)
        scan = read_original(self.dataset, row)
        promise = promise_of_file(info)
        if promise.max_error is None or not promise.mask:
            raise ArchiveError(
                f"frame {row.frame_id}: a preview, which promises no max error: keep {source}"
            )
        image = decoded.projection.project(scan.points)
        try:
            check_promise(promise, image, decoded)
        except GeometryError as error:
            raise GeometryError(
                f"frame {row.frame_id}: not {source} as promised: {error}"
            ) from error
        return largest_error(image, decoded)

    def missing(self, archive: PackedSequence) -> Iterator[str]:
        """Say how many scans are not in the archive, if any."""
        known = {row.frame_id for row in archive.rows}
        absent = [frame_id for frame_id in self.dataset.frame_ids if frame_id not in known]
        if absent:
            yield (
                f"{archive.name}: {len(absent)} scans of {self.dataset.name} are not in the "
                f"archive, the first {absent[0]}"
            )


def open_originals(path: Path, sequence: str | None, archived: str | None) -> Dataset:
    """Open the data set that frames were made from.

    Args:
        path: A data set, or a single scan.
        sequence: Which sequence of a data set that has several.
        archived: Name of the archived sequence: the one to choose where ``sequence`` is left out.

    Raises:
        DatasetError: it cannot be opened.
    """
    try:
        return open_dataset(path, sequence)
    except DatasetError:
        if sequence is not None or archived is None:
            raise
        return open_dataset(path, archived)
